/** What the objects lean on: SQL, the cache, the bus. Each can be down; two of them forget. */
import type {
  ConversationState,
  FanoutTask,
  MemberState,
  PersistBatch,
  RoomRecord,
  StoredMessage,
} from "../../src/domain/records.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import type { TopicName } from "../../src/protocol/events.ts";
import { MS, SECOND } from "./kernel.ts";
import { Peer, type Reply } from "./net.ts";
import type { Sim } from "./sim.ts";

/** Runs an operation of a backing service after its own time; refuses while the service is down. */
function serve<T>(
  sim: Sim,
  peer: Peer,
  down: "sqlDown" | "cacheDown",
  us: number,
  work: () => T,
  reply: Reply<T>,
): void {
  sim.kernel.after(us, "serve", peer.name, () => {
    if (sim.isDown(down)) {
      reply("failed");
    } else {
      reply(work());
    }
  });
}

// ---- SQL

export type SqlMessage = { message: StoredMessage; logId: number };
export type SqlMember = { role: number; joinedAt: number; removedAt?: number; logId: number };
type SqlConversation = { state: ConversationState; headSeqId: number; logId: number };

/** The queryable copy. Each statement is guarded by `logId`, as in src/repo/records.ts. */
export class SqlNode extends Peer {
  readonly #sim: Sim;
  readonly messages = new Map<string, Map<number, SqlMessage>>();
  readonly conversations = new Map<string, SqlConversation>();
  readonly members = new Map<string, Map<string, SqlMember>>();
  readonly pointers = new Map<string, Map<string, number>>();
  /** Index of `members` by user. */
  readonly byUser = new Map<string, Set<string>>();

  constructor(sim: Sim) {
    super("sql");
    this.#sim = sim;
  }

  apply(records: readonly RoomRecord[], reply: Reply<true>): void {
    serve(
      this.#sim,
      this,
      "sqlDown",
      this.#sim.random.between(500, 6_000),
      () => {
        for (const record of records) {
          this.#applyOne(record);
        }
        return true as const;
      },
      reply,
    );
  }

  /** Conversations of a user, as the list and `sync` read them. */
  list(userId: string, reply: Reply<{ id: string; headSeqId: number; readSeqId: number; version: number }[]>): void {
    serve(
      this.#sim,
      this,
      "sqlDown",
      this.#sim.random.between(300, 3_000),
      () => {
        const ids = this.byUser.get(userId) ?? [];
        const items = [{ id: WORLD_ROOM_ID, headSeqId: this.#headOf(WORLD_ROOM_ID), readSeqId: 0, version: 1 }];
        for (const id of ids) {
          const member = this.members.get(id)?.get(userId);
          const conversation = this.conversations.get(id);
          if (
            member?.removedAt === undefined &&
            conversation !== undefined &&
            conversation.state.dismissedAt === undefined
          ) {
            const readSeqId = this.pointers.get(id)?.get(userId) ?? 0;
            items.push({ id, headSeqId: this.#headOf(id), readSeqId, version: conversation.state.version });
          }
        }
        return items;
      },
      reply,
    );
  }

  page(conversationId: string, after: number, limit: number, reply: Reply<StoredMessage[]>): void {
    serve(
      this.#sim,
      this,
      "sqlDown",
      this.#sim.random.between(300, 3_000),
      () => {
        const rows = this.messages.get(conversationId);
        const found: StoredMessage[] = [];
        for (let seqId = after + 1; found.length < limit; seqId++) {
          const row = rows?.get(seqId);
          if (row === undefined) {
            break;
          }
          found.push(row.message);
        }
        return found;
      },
      reply,
    );
  }

  #headOf(id: string): number {
    return Math.max(this.conversations.get(id)?.headSeqId ?? 0, this.messages.get(id)?.size ?? 0);
  }

  #applyOne(record: RoomRecord): void {
    const id = record.conversationId;
    const newer = (logId: number | undefined): boolean =>
      logId === undefined || record.logId > logId || this.#sim.plant.sqlIgnoresLogId === true;
    switch (record.kind) {
      case "message": {
        const rows = tableOf(this.messages, id);
        const seqId = record.message.seqId;
        if (newer(rows.get(seqId)?.logId)) {
          rows.set(seqId, { message: record.message, logId: record.logId });
        }
        this.#point(id, record.message.senderId, seqId);
        return;
      }
      case "conversation":
        if (newer(this.conversations.get(id)?.logId)) {
          this.conversations.set(id, { state: record.conversation, headSeqId: record.headSeqId, logId: record.logId });
        }
        return;
      case "member":
        this.#putMember(id, record.member.userId, newer, { ...rowOf(record.member), logId: record.logId });
        this.#point(id, record.member.userId, record.member.readSeqId);
        return;
      case "memberRemoved":
        this.#putMember(id, record.userId, newer, {
          role: 1,
          joinedAt: record.removedAt,
          removedAt: record.removedAt,
          logId: record.logId,
        });
        return;
      case "readPointer":
        this.#point(id, record.userId, record.readSeqId);
        return;
      case "invite":
      case "joinRequest":
      case "edit":
      case "reaction":
      case "previews":
        // Nothing in the simulation reads these copies.
        return;
    }
  }

  #putMember(id: string, userId: string, newer: (logId: number | undefined) => boolean, row: SqlMember): void {
    const table = tableOf(this.members, id);
    if (newer(table.get(userId)?.logId)) {
      table.set(userId, row);
      const ids = this.byUser.get(userId) ?? new Set<string>();
      ids.add(id);
      this.byUser.set(userId, ids);
    }
  }

  #point(id: string, userId: string, readSeqId: number): void {
    if (id !== WORLD_ROOM_ID) {
      const table = tableOf(this.pointers, id);
      table.set(userId, Math.max(table.get(userId) ?? 0, readSeqId));
    }
  }
}

function rowOf(member: MemberState): { role: number; joinedAt: number } {
  return { role: member.role, joinedAt: member.joinedAt };
}

function tableOf<K, V>(tables: Map<string, Map<K, V>>, id: string): Map<K, V> {
  const known = tables.get(id);
  if (known !== undefined) {
    return known;
  }
  const table = new Map<K, V>();
  tables.set(id, table);
  return table;
}

// ---- cache

export class CacheNode extends Peer {
  readonly #sim: Sim;
  readonly #heads = new Map<string, number>();
  /** Presence leases; ends in virtual microseconds. */
  readonly #online = new Map<string, { until: number; arrival: number }>();
  /** Since when presence is complete enough to be believed one lease later; the cache has been up for long. */
  #presenceSince: number | undefined = -Infinity;

  constructor(sim: Sim) {
    super("cache");
    this.#sim = sim;
  }

  empty(): void {
    this.#heads.clear();
    this.#online.clear();
    this.#presenceSince = undefined;
  }

  #serve<T>(work: () => T, reply: Reply<T>): void {
    const { random } = this.#sim;
    const us = this.#sim.hit("cacheSlow") ? random.between(100, 2_000) * MS : random.between(20, 300);
    serve(this.#sim, this, "cacheDown", us, work, reply);
  }

  /** A room's pipeline: conv_seq raised, then SETNX and GET of the epoch, then MGET of presence. */
  roomPipeline(
    id: string,
    head: number,
    presenceOf: readonly string[],
    reply: Reply<{ online: string[]; complete: boolean }>,
  ): void {
    this.#serve(() => {
      // Never back: a pipeline of a room's earlier life may come after one of this life.
      this.#heads.set(id, Math.max(head, this.#heads.get(id) ?? 0));
      return this.#presence(presenceOf, true);
    }, reply);
  }

  presence(presenceOf: readonly string[], reply: Reply<{ online: string[]; complete: boolean }>): void {
    this.#serve(() => this.#presence(presenceOf, false), reply);
  }

  heads(ids: readonly string[], reply: Reply<(number | undefined)[]>): void {
    this.#serve(() => ids.map((id) => this.#heads.get(id)), reply);
  }

  /**
   * Writes the presence of a user's `arrival`-th coming, or takes it back: only that one, since a late command of an
   * earlier life must not wipe out what a later one wrote. Answers whether it was there.
   */
  setOnline(userId: string, arrival: number, online: boolean, reply: Reply<boolean>): void {
    this.#serve(() => {
      const before = this.#isOnline(userId);
      if (online) {
        this.#online.set(userId, { until: this.#sim.kernel.now + this.#sim.lease.ttlUs, arrival });
      } else if ((this.#online.get(userId)?.arrival ?? 0) <= arrival) {
        this.#online.delete(userId);
      }
      return before;
    }, reply);
  }

  #isOnline(userId: string): boolean {
    return (this.#online.get(userId)?.until ?? 0) > this.#sim.kernel.now;
  }

  #presence(userIds: readonly string[], begins: boolean): { online: string[]; complete: boolean } {
    const { kernel } = this.#sim;
    if (userIds.length > 0 && begins) {
      this.#presenceSince ??= kernel.now;
    }
    const since = this.#presenceSince;
    return {
      online: userIds.filter((userId) => this.#isOnline(userId)),
      complete: userIds.length === 0 || (since !== undefined && kernel.now - since >= this.#sim.lease.ttlUs),
    };
  }
}

// ---- bus

export type BusBody =
  | { topic: "persist"; batch: PersistBatch }
  | { topic: "fanout"; task: FanoutTask }
  | { topic: "event"; name: TopicName; body: string };

/** At least once, in any order; a killed process takes everything with it. */
export class BusNode extends Peer {
  readonly #sim: Sim;
  #inside = 0;

  constructor(sim: Sim) {
    super("bus");
    this.#sim = sim;
  }

  publish(body: BusBody, reply: Reply<true>): void {
    if (this.#sim.isDown("busDown")) {
      reply("failed");
      return;
    }
    this.#enqueue(body, 1, this.#delayUs());
    if (this.#sim.hit("queueDuplicate")) {
      this.#enqueue(body, 1, this.#delayUs());
    }
    reply(true);
  }

  /** 1, 2, 4 … 60 seconds later, until it is given up. */
  retry(body: BusBody, attempts: number): void {
    if (attempts < this.#sim.maxAttempts) {
      this.#enqueue(body, attempts + 1, Math.min(60, 2 ** (attempts - 1)) * SECOND);
    }
  }

  /** The process died with what was in it. */
  lose(): void {
    this.#sim.hits.queueLost += this.#inside;
    this.#inside = 0;
    this.forget();
  }

  #delayUs(): number {
    const { random } = this.#sim;
    return this.#sim.hit("queueReordered") ? random.between(200, 4_000) * MS : random.between(300, 5_000);
  }

  #enqueue(body: BusBody, attempts: number, us: number): void {
    const { life } = this;
    this.#inside += 1;
    this.#sim.kernel.after(us, "queue", body.topic, () => {
      if (this.life === life) {
        this.#inside -= 1;
        this.#sim.consumers.consume(body, attempts);
      }
    });
  }
}
