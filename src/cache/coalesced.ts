/**
 * Reads of one request that do not wait for each other, as one pipeline: whoever asks in the same turn travels together. Each
 * caller stays a function of its own, with its own way to go on without the cache.
 */
import type { Cache, CacheCommand, CacheReply } from "./types.ts";

type Caller = {
  commands: CacheCommand[];
  resolve: (replies: CacheReply[]) => void;
  reject: (error: unknown) => void;
};

/** For one request; a failure of the common pipeline is everybody's. */
export function coalesced(cache: Cache): Cache {
  let waiting: Caller[] = [];

  async function depart(): Promise<void> {
    const flight = waiting;
    waiting = [];
    try {
      const replies = await cache.pipeline(flight.flatMap((caller) => caller.commands));
      let at = 0;
      for (const { commands, resolve } of flight) {
        resolve(replies.slice(at, at + commands.length));
        at += commands.length;
      }
    } catch (error) {
      flight.forEach((caller) => caller.reject(error));
    }
  }

  return {
    pipeline(commands) {
      if (commands.length === 0) {
        return Promise.resolve([]);
      }
      return new Promise((resolve, reject) => {
        waiting.push({ commands, resolve, reject });
        if (waiting.length === 1) {
          queueMicrotask(() => void depart());
        }
      });
    },
  };
}
