/** The way onto the bus for sends that go there first (UPSTREAM=topic). */
import type { SendCommand } from "../domain/commands.ts";
import { busOf } from "./index.ts";

/** Body of one record of `gochat.messages.upstream`. */
export type UpstreamSend = { conversationId: string; command: SendCommand };

/** By conversation, in their order; comes back when the bus has all of them. */
export function publishSends(env: Env, conversationId: string, commands: readonly SendCommand[]): Promise<void> {
  const records = commands.map((command) => ({
    key: conversationId,
    body: { conversationId, command } satisfies UpstreamSend,
  }));
  return busOf(env).publish("gochat.messages.upstream", records);
}
