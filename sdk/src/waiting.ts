/** Waiting for the client to get somewhere. */
import { ChatError, closedError, notSignedIn } from "./errors.ts";
import type { Connection, Emitter } from "./events.ts";
import type { ClientClock } from "./options.ts";
import type { Store } from "./store.ts";

/** Why there will be no connection by itself; undefined while there may be one. */
function hopeless({ state, reason }: Connection): ChatError | undefined {
  if (state === "needs-auth") {
    return notSignedIn();
  }
  if (state === "stopped") {
    const message = `The server has ended this session: ${reason ?? "stopped"}.`;
    return new ChatError({ name: "STOPPED", message, retry: "never" });
  }
  return undefined;
}

/** Resolves with the next finished sync; rejects when there will be none. */
export function nextSync(emitter: Emitter, connection: Store<Connection>, ended: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (error?: ChatError): void => {
      offs.forEach((off) => off());
      ended.removeEventListener("abort", onEnded);
      if (error === undefined) {
        resolve();
      } else {
        reject(error);
      }
    };
    const look = (): void => {
      const error = hopeless(connection.get());
      if (error !== undefined) {
        end(error);
      }
    };
    const onEnded = (): void => end(closedError());
    ended.addEventListener("abort", onEnded);
    const offs = [emitter.on("synced", () => end()), connection.subscribe(look)];
    if (ended.aborted) {
      onEnded();
    } else {
      look();
    }
  });
}

/** Resolves when `done` says so after a change of the store, or when the time is over; answers whether it is done. */
export function within(ms: number, store: Store<unknown>, done: () => boolean, clock: ClientClock): Promise<boolean> {
  if (done()) {
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    const end = (): void => {
      off();
      clock.clearTimeout(timer);
      resolve(done());
    };
    const off = store.subscribe(() => {
      if (done()) {
        end();
      }
    });
    const timer = clock.setTimeout(end, ms, true);
  });
}
