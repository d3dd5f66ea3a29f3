/**
 * The commands of the embedded cache over one map: expiry when read, and a bound on bytes with the
 * longest unused going first. Pure: the clock comes in, and durable keys leave through a port.
 */
import type { CacheCommand, CacheReply } from "../platform/rpc.ts";
import { HOT_LIFE_MS } from "./types.ts";

type Entry = {
  value: string | Map<string, number>;
  expiresAt: number;
  bytes: number;
};

/** Overhead of an entry in a map, roughly. */
const ENTRY_BYTES = 100;

export type DurableKeys = {
  /** Does this key have to survive the object's sleep? */
  holds(key: string): boolean;
  put(key: string, value: string, expiresAt: number): void;
  remove(key: string): void;
};

export class MemoryCache {
  readonly #maxBytes: number;
  readonly #durable: DurableKeys;
  /** In order of last use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(maxBytes: number, durable: DurableKeys) {
    this.#maxBytes = maxBytes;
    this.#durable = durable;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes in what was durable, without writing it again. */
  restore(key: string, value: string, expiresAt: number): void {
    this.#place(key, value, expiresAt);
  }

  run(command: CacheCommand, now: number): CacheReply {
    switch (command[0]) {
      case "GET":
        return this.#text(command[1], now);
      case "MGET":
        return command.slice(1).map((key) => this.#text(String(key), now));
      case "SET":
        this.#set(command[1], command[2], command[3], now);
        return "OK";
      case "SETNX":
        if (this.#live(command[1], now) !== undefined) {
          return 0;
        }
        this.#set(command[1], command[2], command[3], now);
        return 1;
      case "DEL":
        return command.slice(1).filter((key) => this.#remove(String(key))).length;
      case "SETMAX":
        return this.#setMax(command[1], command[2], now);
      case "DELIF":
        return Number(this.#text(command[1], now) ?? Number.NaN) <= Number(command[2]) && this.#remove(command[1])
          ? 1
          : 0;
      case "ZADD":
        return this.#zadd(command, now);
      case "ZREMRANGEBYSCORE":
        return this.#zremByScore(command[1], command[2], command[3], now);
      case "ZRANGE":
        return this.#zrange(command[1], command[2], command[3], now);
    }
  }

  #live(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return undefined;
    }
    if (entry.expiresAt <= now) {
      this.#remove(key);
      return undefined;
    }
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }

  #text(key: string, now: number): string | null {
    const value = this.#live(key, now)?.value;
    return typeof value === "string" ? value : null;
  }

  #set(key: string, value: string, lifeMs: number | undefined, now: number): void {
    const expiresAt = lifeMs === undefined ? Number.POSITIVE_INFINITY : now + lifeMs;
    this.#place(key, value, expiresAt);
    if (this.#durable.holds(key)) {
      this.#durable.put(key, value, expiresAt);
    }
  }

  /** A text that is no number counts as nothing: a cache is no reason to fail. */
  #setMax(key: string, value: string, now: number): string {
    const before = this.#text(key, now);
    if (before !== null && Number(before) >= Number(value)) {
      return before;
    }
    this.#set(key, value, undefined, now);
    return value;
  }

  #remove(key: string): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) {
      return false;
    }
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
    if (this.#durable.holds(key)) {
      this.#durable.remove(key);
    }
    return true;
  }

  /** A sorted set with at most `keep` members, lowest scores leaving first. */
  #zadd(command: Extract<CacheCommand, ["ZADD", ...unknown[]]>, now: number): number {
    const [, key, keep, ...pairs] = command;
    const entry = this.#live(key, now);
    const set = entry !== undefined && typeof entry.value !== "string" ? entry.value : new Map<string, number>();
    let bytes = entry?.bytes ?? ENTRY_BYTES + key.length;
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const member = String(pairs[i + 1]);
      bytes += set.delete(member) ? 0 : member.length + ENTRY_BYTES;
      set.set(member, Number(pairs[i]));
    }
    while (set.size > keep) {
      const lowest = lowestMember(set);
      set.delete(lowest);
      bytes -= lowest.length + ENTRY_BYTES;
    }
    this.#bytes += bytes - (entry?.bytes ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, { value: set, expiresAt: now + HOT_LIFE_MS, bytes });
    this.#evict();
    return pairs.length / 2;
  }

  /** Both ends included, as in Redis; answers how many went. */
  #zremByScore(key: string, min: number, max: number, now: number): number {
    const entry = this.#live(key, now);
    if (entry === undefined || typeof entry.value === "string") {
      return 0;
    }
    const gone = [...entry.value].filter(([, score]) => score >= min && score <= max);
    for (const [member] of gone) {
      entry.value.delete(member);
      entry.bytes -= member.length + ENTRY_BYTES;
      this.#bytes -= member.length + ENTRY_BYTES;
    }
    return gone.length;
  }

  /** Members by rank, both ends included, negative from the end, as in Redis. */
  #zrange(key: string, start: number, stop: number, now: number): (string | null)[] {
    const value = this.#live(key, now)?.value;
    if (value === undefined || typeof value === "string") {
      return [];
    }
    const sorted = [...value].toSorted((a, b) => a[1] - b[1]).map(([member]) => member);
    const from = start < 0 ? Math.max(0, sorted.length + start) : start;
    const to = stop < 0 ? sorted.length + stop : stop;
    return to < from ? [] : sorted.slice(from, to + 1);
  }

  #place(key: string, value: string, expiresAt: number): void {
    const old = this.#entries.get(key);
    const bytes = ENTRY_BYTES + key.length + value.length;
    this.#bytes += bytes - (old?.bytes ?? 0);
    this.#entries.delete(key);
    this.#entries.set(key, { value, expiresAt, bytes });
    this.#evict();
  }

  #evict(): void {
    for (const key of this.#entries.keys()) {
      if (this.#bytes <= this.#maxBytes) {
        return;
      }
      if (!this.#durable.holds(key)) {
        this.#remove(key);
      }
    }
  }
}

/** A scan: sets are small (`keep`), and one member leaves for each that comes. */
function lowestMember(set: ReadonlyMap<string, number>): string {
  let lowest = "";
  let lowestScore = Number.POSITIVE_INFINITY;
  for (const [member, score] of set) {
    if (score < lowestScore) {
      lowest = member;
      lowestScore = score;
    }
  }
  return lowest;
}
