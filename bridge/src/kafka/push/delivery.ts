/** One push to the Worker: signed, within a time limit, and its answer in the words of the lane. */
import { createHmac } from "node:crypto";
import * as z from "zod";
import type { PushSettings } from "../settings.ts";
import type { LaneRecord, PushOutcome } from "./lane.ts";

const TIME_HEADER = "x-gochat-time";
const SIGNATURE_HEADER = "x-gochat-signature";

const Undone = z.object({
  failed: z.array(z.string()).min(1),
  retryAfterMs: z.number().min(0).default(0),
});

/** Answers that say something about the records; every other refusal is about the way to the Worker. */
const ABOUT_RECORDS = new Set([400, 413, 422, 500]);
const MAX_ANSWER_CHARS = 1_000_000;

export interface Push {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly LaneRecord[];
}

/** Hex of HMAC-SHA256 over the time, the path and the body, each on a line of its own. */
export function signatureOf(
  secret: string,
  { timeMs, path, body }: { timeMs: number; path: string; body: string },
): string {
  return createHmac("sha256", secret).update(`${timeMs}\n${path}\n${body}`).digest("hex");
}

/** `retry-after` in seconds, as milliseconds; 0 without one. */
function retryAfterMsOf(response: Response): number {
  const seconds = Number(response.headers.get("retry-after") ?? "0");
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0;
}

/** @returns the outcome, and the status that it was read from (0: no answer) */
export async function deliver(
  settings: PushSettings,
  push: Push,
  signal: AbortSignal,
): Promise<{ outcome: PushOutcome; status: number }> {
  const url = new URL(`${settings.workerUrl}/internal/bus/${encodeURIComponent(push.topic)}`);
  const body = JSON.stringify({
    group: push.group,
    topic: push.topic,
    partition: push.partition,
    attempt: Math.min(...push.records.map(({ tries }) => tries)) + 1,
    records: push.records.map(({ offset, key, value }) => ({ offset: String(offset), key, value })),
  });
  const timeMs = Date.now();
  const limit = limited(settings.timeoutMs, signal);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        [TIME_HEADER]: String(timeMs),
        [SIGNATURE_HEADER]: signatureOf(settings.secret, { timeMs, path: url.pathname, body }),
      },
      body,
      redirect: "manual",
      signal: limit.signal,
    });
    const text = (await response.text()).slice(0, MAX_ANSWER_CHARS);
    return { outcome: outcomeOf(response, text), status: response.status };
  } catch {
    // The Worker has it and is silent: that may be the records' doing. Otherwise nobody is there.
    return { outcome: limit.isLate() ? { kind: "refused" } : { kind: "unavailable", retryAfterMs: 0 }, status: 0 };
  } finally {
    limit.clear();
  }
}

/** Ends with its time or with the given signal. By hand, since a signal made of others stays with those for as long as they live. */
function limited(timeoutMs: number, given: AbortSignal) {
  const own = new AbortController();
  let late = false;
  const stop = (): void => own.abort();
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, timeoutMs);
  given.addEventListener("abort", stop, { once: true });
  if (given.aborted) {
    stop();
  }
  return {
    signal: own.signal,
    isLate: () => late,
    clear: () => {
      clearTimeout(timer);
      given.removeEventListener("abort", stop);
    },
  };
}

function outcomeOf(response: Response, text: string): PushOutcome {
  if (response.ok) {
    return { kind: "done" };
  }
  const undone = Undone.safeParse(parsed(text));
  if (undone.success && response.status >= 500) {
    return { kind: "failed", offsets: new Set(undone.data.failed), retryAfterMs: undone.data.retryAfterMs };
  }
  return ABOUT_RECORDS.has(response.status)
    ? { kind: "refused" }
    : { kind: "unavailable", retryAfterMs: retryAfterMsOf(response) };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
