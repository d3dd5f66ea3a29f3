/**
 * `gochat.notifications`: what a push service would send. Consumed here so that nothing piles up;
 * a push service takes its own consumer group.
 */
import type { EventHandler } from "./events.ts";

export const onNotification: EventHandler<"gochat.notifications"> = () => Promise.resolve();
