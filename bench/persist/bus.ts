/**
 * The bus of a server under measurement: this process takes what is produced, as the bridge does (Upstash's dialect), and holds rooms' messages
 * back until they are released. Then it brings them to the server as the bridge does, one push in flight a partition, until every room has heard
 * that its log is in SQL.
 */
import { createHmac, randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

const PERSIST = "gochat.messages.persist";
/** Of the topic. */
export const PARTITIONS = 4;
/** What one push may hold. Source: the defaults of bridge/src/kafka/settings.ts. */
const PUSH_RECORDS = 200;
const PUSH_CHARS = 2_000_000;
const RELEASED_WITHIN_MS = 120_000;

interface Produced {
  readonly topic: string;
  readonly key: string;
  readonly value: string;
}

/** What `src/domain/records.ts` calls a PersistBatch, as far as it is counted here. */
interface Batch {
  readonly conversationId: string;
  readonly fromSeqId: number;
  readonly toSeqId: number;
}

interface Held extends Batch {
  readonly record: Produced;
}

/** What came of a release. */
export interface Release {
  readonly messages: number;
  readonly batches: number;
  readonly pushes: number;
  readonly tookMs: number;
}

export class HeldBus {
  /** Where the server is; known only once it has been told where this is. */
  serverUrl = "";
  readonly #server: Server;
  readonly #secret = randomBytes(16).toString("hex");
  readonly #arrivals = new EventEmitter();
  /** By conversation: a room has one batch under way, and when it sends a longer one instead, the first is not needed. */
  readonly #lanes: Map<string, Held>[] = Array.from({ length: PARTITIONS }, () => new Map());
  /** How far each room's log is in SQL. */
  readonly #persisted = new Map<string, number>();
  #offset = 0;
  #others: Promise<unknown> = Promise.resolve();

  private constructor(server: Server) {
    this.#server = server;
    this.#arrivals.setMaxListeners(0);
    server.on("request", (request: IncomingMessage, response) => {
      textOf(request)
        .then((text) => {
          const records = JSON.parse(text) as Produced[];
          response.setHeader("content-type", "application/json");
          response.end(JSON.stringify(records.map((record) => this.#take(record))));
          this.#arrivals.emit("arrival");
        })
        // The server gave up on it, in the middle perhaps, and its room sends it again.
        .catch(() => response.destroy());
    });
  }

  static async start(): Promise<HeldBus> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new HeldBus(server);
  }

  /** Settings of the server. */
  get env(): Record<string, string> {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return {
      BUS: "kafka",
      UPSTASH_KAFKA_REST_URL: `http://127.0.0.1:${port}`,
      UPSTASH_KAFKA_REST_USERNAME: "bench",
      UPSTASH_KAFKA_REST_PASSWORD: "bench",
      BRIDGE_SECRET: this.#secret,
    };
  }

  /**
   * Brings what is held, and what comes after it, until SQL has each conversation up to its head.
   * @throws Error when the server refuses a push, or it takes too long
   */
  async release(heads: ReadonlyMap<string, number>): Promise<Release> {
    const end = new AbortController();
    const late = setTimeout(() => end.abort(), RELEASED_WITHIN_MS);
    const before = this.#inSql(heads);
    const counts = { batches: 0, pushes: 0 };
    const isDone = (): boolean => [...heads].every(([id, head]) => (this.#persisted.get(id) ?? 0) >= head);
    const began = performance.now();
    const lane = async (partition: number): Promise<void> => {
      while (!isDone() && !end.signal.aborted) {
        const held = this.#next(partition);
        if (held.length === 0) {
          await once(this.#arrivals, "arrival", { signal: end.signal }).catch(() => undefined);
          continue;
        }
        await this.#push(
          PERSIST,
          partition,
          held.map(({ record }) => record),
        );
        for (const { conversationId, toSeqId } of held) {
          this.#persisted.set(conversationId, Math.max(toSeqId, this.#persisted.get(conversationId) ?? 0));
        }
        counts.batches += held.length;
        counts.pushes += 1;
        // The others may wait for what this one has brought.
        this.#arrivals.emit("arrival");
      }
    };
    try {
      await Promise.all(this.#lanes.map((_, partition) => lane(partition)));
    } finally {
      clearTimeout(late);
      end.abort();
    }
    const messages = this.#inSql(heads) - before;
    if (!isDone()) {
      throw new Error(`only ${messages} messages were persisted in ${RELEASED_WITHIN_MS / 1_000} s`);
    }
    return { messages, ...counts, tookMs: performance.now() - began };
  }

  async stop(): Promise<void> {
    await this.#others;
    this.#server.closeAllConnections();
    this.#server.close();
  }

  #inSql(heads: ReadonlyMap<string, number>): number {
    return [...heads.keys()].reduce((sum, id) => sum + (this.#persisted.get(id) ?? 0), 0);
  }

  #take(record: Produced): { topic: string; partition: number; offset: number } {
    const partition = partitionOf(record.key);
    if (record.topic === PERSIST) {
      const batch = JSON.parse(record.value) as Batch;
      const lane = this.#lanes[partition];
      // A repetition of an earlier one may come after it, on another connection; Kafka would have them both.
      if ((lane?.get(batch.conversationId)?.toSeqId ?? 0) <= batch.toSeqId) {
        lane?.set(batch.conversationId, { ...batch, record });
      }
    } else {
      // Nothing is measured of these; they only must not wait.
      this.#others = this.#others.then(() => this.#push(record.topic, partition, [record])).catch(() => undefined);
    }
    return { topic: record.topic, partition, offset: this.#offset++ };
  }

  #next(partition: number): Held[] {
    const lane = this.#lanes[partition] ?? new Map<string, Held>();
    const taken: Held[] = [];
    let chars = 0;
    for (const [id, held] of lane) {
      chars += held.record.value.length;
      if (taken.length >= PUSH_RECORDS || (taken.length > 0 && chars > PUSH_CHARS)) {
        break;
      }
      lane.delete(id);
      taken.push(held);
    }
    return taken;
  }

  /** Until the server has done all of it. */
  async #push(topic: string, partition: number, records: readonly Produced[]): Promise<void> {
    const path = `/internal/bus/${topic}`;
    let left = records.map(({ key, value }) => ({ offset: String(this.#offset++), key, value }));
    for (let attempt = 1; left.length > 0; attempt++) {
      const body = JSON.stringify({ group: "bench", topic, partition, attempt, records: left });
      const time = String(Date.now());
      const signature = createHmac("sha256", this.#secret).update(`${time}\n${path}\n${body}`).digest("hex");
      const response = await fetch(this.serverUrl + path, {
        method: "POST",
        headers: { "content-type": "application/json", "x-gochat-time": time, "x-gochat-signature": signature },
        body,
      });
      if (response.status === 204) {
        return;
      }
      if (response.status !== 503) {
        throw new Error(`a push of ${topic} was answered with ${response.status}: ${await response.text()}`);
      }
      const { failed, retryAfterMs } = (await response.json()) as { failed: string[]; retryAfterMs: number };
      left = left.filter(({ offset }) => failed.includes(offset));
      await sleep(retryAfterMs);
    }
  }
}

/** The same one for the same key, which is all that an order needs. */
function partitionOf(key: string): number {
  let hash = 0;
  for (let i = 0; i < key.length; i++) {
    hash = (Math.imul(hash, 31) + key.charCodeAt(i)) >>> 0;
  }
  return hash % PARTITIONS;
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) {
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString("utf8");
}
