/** The cache: heads, versions and newest messages of conversations, and who is here. Forgets when it is emptied. */
import type { StoredMessage } from "../../src/domain/records.ts";
import { MS } from "./kernel.ts";
import { Peer, type Reply } from "./net.ts";
import { serve } from "./serve.ts";
import type { Sim } from "./sim.ts";

/** What a sorted set holds: members are texts, so two forms of one message are two members. */
type Hot = Map<string, StoredMessage>;

export type Presence = { online: string[]; complete: boolean };

/** What a room's pipeline carries: see `RoomEffects`. */
export type RoomPipeline = {
  headSeqId: number;
  version: number | undefined;
  stale: readonly number[] | undefined;
  messages: readonly StoredMessage[];
  presenceOf: readonly string[];
  /** Its room has died since it left: see README.md, "What is not simulated". */
  isLate: () => boolean;
};

export class CacheNode extends Peer {
  readonly #sim: Sim;
  readonly #heads = new Map<string, number>();
  readonly #versions = new Map<string, number>();
  readonly #hot = new Map<string, Hot>();
  /** The same in order, until it changes. */
  readonly #sorted = new Map<string, StoredMessage[]>();
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
    this.#versions.clear();
    this.#hot.clear();
    this.#sorted.clear();
    this.#online.clear();
    this.#presenceSince = undefined;
  }

  #serve<T>(work: () => T, reply: Reply<T>): void {
    const { random } = this.#sim;
    const us = this.#sim.hit("cacheSlow") ? random.between(100, 2_000) * MS : random.between(20, 300);
    serve(this.#sim, this, "cacheDown", us, work, reply);
  }

  /** A room's pipeline: conv_seq raised, newest messages, then SETNX and GET of the epoch, then MGET of presence. */
  roomPipeline(id: string, pipeline: RoomPipeline, reply: Reply<Presence>): void {
    const { headSeqId, version, stale = [], messages, presenceOf } = pipeline;
    this.#serve(() => {
      // Never back: a pipeline of a room's earlier life may come after one of this life.
      this.#heads.set(id, Math.max(headSeqId, this.#heads.get(id) ?? 0));
      this.#raise(id, version);
      this.#remove(id, stale);
      this.#keepHot(id, pipeline.isLate() ? [] : messages);
      return this.#presence(presenceOf, true);
    }, reply);
  }

  #keepHot(id: string, messages: readonly StoredMessage[]): void {
    const hot = this.#hot.get(id) ?? new Map<string, StoredMessage>();
    this.#hot.set(id, hot);
    if (messages.length > 0) {
      this.#sorted.delete(id);
    }
    for (const message of messages) {
      hot.set(memberOf(message), message);
    }
    const keep = this.#sim.limits.hotMessages;
    for (let over = hot.size - keep; over > 0; over--) {
      let lowest: [string, number] | undefined;
      for (const [key, { seqId }] of hot) {
        if (lowest === undefined || seqId < lowest[1]) {
          lowest = [key, seqId];
        }
      }
      hot.delete(lowest?.[0] ?? "");
    }
  }

  #remove(id: string, seqIds: readonly number[]): void {
    const hot = this.#hot.get(id);
    for (const [key, message] of hot ?? []) {
      if (seqIds.includes(message.seqId) && this.#sim.plant.cacheKeepsOldForms !== true) {
        hot?.delete(key);
        this.#sorted.delete(id);
      }
    }
  }

  #raise(id: string, version: number | undefined): void {
    if (version !== undefined && this.#sim.plant.cacheForgetsVersions !== true) {
      this.#versions.set(id, Math.max(version, this.#versions.get(id) ?? 0));
    }
  }

  /** Takes messages out of the newest ones, and raises the version of the conversation where one is given. */
  purge(id: string, seqIds: readonly number[], version: number | undefined, reply: Reply<true>): void {
    this.#serve(() => {
      this.#remove(id, seqIds);
      this.#raise(id, version);
      return true as const;
    }, reply);
  }

  presence(presenceOf: readonly string[], reply: Reply<Presence>): void {
    this.#serve(() => this.#presence(presenceOf, false), reply);
  }

  /** Heads and versions in one pipeline. */
  standings(
    ids: readonly string[],
    reply: Reply<{ headSeqId: number | undefined; version: number | undefined }[]>,
  ): void {
    this.#serve(() => ids.map((id) => ({ headSeqId: this.#heads.get(id), version: this.#versions.get(id) })), reply);
  }

  /** ZRANGE of newest messages, by ranks counted from the end, for several conversations in one pipeline. */
  hot(ranges: readonly { id: string; ranks: readonly [number, number] }[], reply: Reply<StoredMessage[][]>): void {
    this.#serve(
      () =>
        ranges.map(({ id, ranks: [first, last] }) => {
          const rows = this.#ordered(id);
          return rows.slice(Math.max(0, rows.length + first), rows.length + last + 1);
        }),
      reply,
    );
  }

  #ordered(id: string): StoredMessage[] {
    let rows = this.#sorted.get(id);
    if (rows === undefined) {
      rows = inOrder(this.#hot.get(id) ?? new Map<string, StoredMessage>());
      this.#sorted.set(id, rows);
    }
    return rows;
  }

  /** Newest messages as they stand there; for the oracles. */
  hotNow(id: string): StoredMessage[] {
    return [...(this.#hot.get(id)?.values() ?? [])];
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

  #presence(userIds: readonly string[], begins: boolean): Presence {
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

/** Stands for the message as text: other forms give other ones. */
function memberOf({ seqId, editedAt = 0, recalledAt = 0, replyTo }: StoredMessage): string {
  return `${seqId} ${editedAt} ${recalledAt} ${replyTo?.preview === ""}`;
}

/** By score, and by text where scores are equal. */
function inOrder(hot: Hot): StoredMessage[] {
  const rows = [...hot].sort(([a, one], [b, other]) => one.seqId - other.seqId || (a < b ? -1 : 1));
  return rows.map(([, message]) => message);
}
