/** Presence of friends on a user's sockets: what is pushed here, and what a socket has asked for beyond it. */
import { ASKING, NewestSeen, watchedAfter } from "../domain/audience.ts";
import type { PresenceView } from "../domain/comings.ts";
import { fullBucket, takeToken, type Bucket } from "../domain/rate.ts";
import { systemClock } from "../platform/clock.ts";
import type { PresenceNotice } from "../platform/rpc.ts";
import { sendFrames } from "../platform/sockets.ts";
import { sessionOf } from "../platform/stubs.ts";
import type { Fault } from "../protocol/errors.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { repositories } from "../repo/index.ts";
import type { SessionSockets } from "./SessionSockets.ts";

/** Users asked at one time. */
const SLICE = 50;

type Parts = { env: Env; userId: string; sockets: SessionSockets };

export class SessionWatching {
  readonly #parts: Parts;
  readonly #seen = new NewestSeen();
  readonly #asking: Bucket;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#asking = fullBucket(ASKING, systemClock.now());
  }

  /**
   * Shows that a friend came or went, unless something newer was shown before. Answers how many open sockets there are for it,
   * shown or not: 0 tells the caller that nobody listens.
   */
  show(notice: PresenceNotice): number {
    const { sockets } = this.#parts;
    const open = sockets.open();
    const listeners = notice.watched === true ? open.filter((s) => this.#watchedBy(s).includes(notice.userId)) : open;
    if (listeners.length > 0 && this.#isFresh(notice)) {
      sendFrames(listeners, [JSON.stringify(presenceFrame(notice.userId, notice))]);
    }
    return listeners.length;
  }

  #isFresh({ userId, at, again }: PresenceNotice): boolean {
    return again === true ? this.#seen.isCurrent(userId, at) : this.#seen.isNews(userId, at);
  }

  /**
   * `subscribe` and `unsubscribe`. Who is no friend is passed over in silence, like one who never comes. What is so now is the
   * answer, a frame for each.
   */
  async subscribe(socket: WebSocket, userIds: readonly string[], wanted: boolean): Promise<Fault | undefined> {
    const { env, userId } = this.#parts;
    const friends = wanted
      ? await repositories(env).friends.friendsAmong(userId, userIds)
      : this.#watchedBy(socket).filter((watched) => userIds.includes(watched));
    // Read after the wait: another frame of the same socket may have come meanwhile.
    const watching = watchedAfter(this.#watchedBy(socket), friends, wanted);
    if (watching === undefined) {
      return { name: "INVALID_INPUT", detail: "too many subscribed presences" };
    }
    const waitMs = takeToken(this.#asking, ASKING, systemClock.now(), friends.length);
    if (waitMs > 0) {
      return { name: "RATE_LIMITED", retryAfterMs: waitMs };
    }
    this.#remember(socket, watching);
    if (!wanted) {
      await this.#inSlices(this.#nobodyWants(friends), (friend) => sessionOf(env, friend).watch(userId, false));
      return undefined;
    }
    await this.#inSlices(friends, async (friend) => {
      const view = await sessionOf(env, friend).watch(userId, true);
      if (this.#seen.isCurrent(friend, view.at)) {
        sendFrames([socket], [JSON.stringify(presenceFrame(friend, view))]);
      }
    });
    return undefined;
  }

  #watchedBy(socket: WebSocket): readonly string[] {
    return this.#parts.sockets.of(socket).watching ?? [];
  }

  #remember(socket: WebSocket, watching: string[]): void {
    const { sockets } = this.#parts;
    sockets.remember(socket, { ...sockets.of(socket), watching });
  }

  /** Of those this socket does not ask for any more, the ones that no other socket asks for either. */
  #nobodyWants(userIds: readonly string[]): string[] {
    const wanted = new Set(this.#parts.sockets.open().flatMap((socket) => this.#watchedBy(socket)));
    return userIds.filter((userId) => !wanted.has(userId));
  }

  async #inSlices(userIds: readonly string[], work: (userId: string) => Promise<unknown>): Promise<void> {
    for (let at = 0; at < userIds.length; at += SLICE) {
      await Promise.all(userIds.slice(at, at + SLICE).map(work));
    }
  }
}

function presenceFrame(userId: string, view: PresenceView): ServerFrame {
  if (view.online) {
    return { type: "friend-online", data: { userId } };
  }
  // 0: never here.
  const lastSeenAt = view.lastSeenAt ?? view.at;
  return { type: "friend-offline", data: lastSeenAt === 0 ? { userId } : { userId, lastSeenAt } };
}
