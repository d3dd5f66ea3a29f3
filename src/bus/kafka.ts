/**
 * The bus on Kafka, in Upstash's REST dialect: the bridge speaks it in front of any Kafka. What comes back from the topics comes
 * through the bridge as well (src/http/bus.ts).
 *
 * The package @upstash/kafka is not used here: it sends whatever fails five times more, a wrong password too, waits 15.5 s in all, and
 * has no time limit. Judging the bridge's dialect is what it is good for.
 */
import type { UpstashKafkaSettings } from "../platform/engines.ts";
import type { TopicName } from "../protocol/events.ts";
import { partsOf, type PartLimits } from "../platform/parts.ts";
import type { Bus, BusRecord } from "./types.ts";

/** A request: below what the bridge takes by default (8 MiB), and soon answered. */
const PART: PartLimits = { records: 500, bytes: 1_000_000 };
/** A produce that all replicas confirm takes some milliseconds; a broker that is elected anew, a second or two. */
const ATTEMPT_LIMIT_MS = 2_000;
/** Before the second and the third attempt. What fails then is the caller's to send again: every caller has an outbox, or says so. */
const PAUSES_MS = [50, 300];
/** Attempts that would begin later than this have no caller any more: the bus is given up on after 5 s (index.ts). */
const LAST_ATTEMPT_MS = 2_500;

/** The bus did not take the records, or nobody knows whether it did. Says the status only: an answer may repeat what was sent. */
export class ProduceFailure extends Error {
  override readonly name = "ProduceFailure";
  /** HTTP status; undefined when there was no answer. */
  readonly status: number | undefined;
  /** When to come back, where the answer said so, milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(why: string, status?: number, retryAfterMs?: number) {
    super(`kafka: ${why}`);
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }

  /** Trying again may help: no answer, too much at once, or something on the other side that passes. */
  get passes(): boolean {
    return this.status === undefined || this.status === 429 || this.status >= 500;
  }

  /** It is this request that is wrong, not the bus that is away: no such topic, a record that is too large. */
  get isOurs(): boolean {
    return this.status === 400 || this.status === 404 || this.status === 413 || this.status === 422;
  }
}

type Message = { topic: TopicName; key: string; value: string };

export function kafkaBus(settings: UpstashKafkaSettings): Bus {
  return {
    async publish(topic, records) {
      const messages = records.map(({ key, body }: BusRecord) => ({ topic, key, value: JSON.stringify(body) }));
      const began = performance.now();
      for (const part of partsOf(messages, bytesOf, PART)) {
        await producePatiently(settings, part, began);
      }
    },

    // The bridge knows it, and shows it to Prometheus by group.
    backlog: () => Promise.resolve(undefined),
  };
}

/** Near enough: what is no ASCII takes up to three bytes, and a limit of the other side is far away. */
function bytesOf({ key, value }: Message): number {
  return key.length + value.length;
}

/** Sent again, it may be there twice: consumers know each record by an id of its own. */
async function producePatiently(settings: UpstashKafkaSettings, part: Message[], began: number): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await produce(settings, part);
    } catch (error) {
      const failure = error instanceof ProduceFailure ? error : new ProduceFailure("no answer");
      const pauseMs = Math.max(PAUSES_MS[attempt] ?? 0, failure.retryAfterMs ?? 0);
      const isLate = performance.now() - began + pauseMs > LAST_ATTEMPT_MS;
      if (!failure.passes || attempt >= PAUSES_MS.length || isLate) {
        throw failure;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }
}

async function produce({ url, username, password }: UpstashKafkaSettings, part: Message[]): Promise<void> {
  const credentials = new TextEncoder().encode(`${username}:${password}`);
  const response = await fetch(`${url}/produce`, {
    method: "POST",
    headers: {
      Authorization: `Basic ${btoa(String.fromCharCode(...credentials))}`,
      "Content-Type": "application/json",
    },
    body: JSON.stringify(part),
    signal: AbortSignal.timeout(ATTEMPT_LIMIT_MS),
  });
  if (!response.ok) {
    await response.body?.cancel();
    throw new ProduceFailure(`status ${response.status}`, response.status, retryAfterOf(response));
  }
  const metadata: unknown = await response.json().catch(() => undefined);
  // A proxy's page, or an answer to less than was sent: nobody knows what is in the topic.
  if (!Array.isArray(metadata) || metadata.length !== part.length) {
    throw new ProduceFailure("an answer that is none");
  }
}

function retryAfterOf(response: Response): number | undefined {
  const seconds = response.headers.get("Retry-After") ?? "";
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1_000 : undefined;
}
