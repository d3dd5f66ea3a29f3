/** `gochat.user-events`: what a user's coming, going and profile mean for others. */
import type { EventHandler } from "./events.ts";

export const onUserEvent: EventHandler<"gochat.user-events"> = (event) => {
  switch (event.event_type) {
    // Presence of friends and caches of profiles follow these; nothing reads them yet.
    case "user.online":
    case "user.offline":
    case "user.profile.updated":
      return Promise.resolve();
  }
};
