/** Events as an async iteration, for bots. */
import type { ChatEventName, ChatEvents, Emitter } from "./events.ts";
import { ChatError } from "./errors.ts";

/** Events that may wait for a slow reader; beyond it the stream fails rather than lose or hoard. */
const STREAM_LIMIT = 10_000;

/** Ends with the signal, or with `ended`. */
export async function* streamEvents<Name extends ChatEventName>(
  emitter: Emitter,
  name: Name,
  signal: AbortSignal | undefined,
  ended: AbortSignal,
): AsyncGenerator<ChatEvents[Name], void, void> {
  const waiting: ChatEvents[Name][] = [];
  let overflow = false;
  let wake: (() => void) | undefined;
  const notify = (): void => wake?.();
  const off = emitter.on(name, (event) => {
    overflow = overflow || waiting.length >= STREAM_LIMIT;
    if (!overflow) {
      waiting.push(event);
    }
    notify();
  });
  const isOver = (): boolean => ended.aborted || signal?.aborted === true;
  signal?.addEventListener("abort", notify);
  ended.addEventListener("abort", notify);
  try {
    for (;;) {
      while (waiting.length > 0) {
        yield* waiting.splice(0);
      }
      if (overflow) {
        throw new ChatError({ name: "STREAM_FULL", message: `Nobody read "${name}" for too long.`, retry: "never" });
      }
      if (isOver()) {
        return;
      }
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  } finally {
    off();
    signal?.removeEventListener("abort", notify);
    ended.removeEventListener("abort", notify);
  }
}
