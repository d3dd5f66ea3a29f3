/** A shard of a room in the hands of a test: what is pushed, what time does, and what came out. */
import type { StoredMessage } from "../records.ts";
import { ShardCore, type ShardEffect } from "../shard.ts";
import { storedMessage } from "./storedMessage.ts";

const NOW = 1_700_000_000_000;

/** Of the world, with these sequences. */
export function messagesOf(...sequences: number[]): StoredMessage[] {
  return sequences.map((seqId) => storedMessage(seqId));
}

export function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from + 1) }, (_, n) => from + n);
}

export function seqIds(messages: readonly StoredMessage[]): number[] {
  return messages.map((one) => one.seqId);
}

type Kind = ShardEffect["kind"];

export class ShardHarness {
  readonly core = new ShardCore();
  now = NOW;
  #effects: ShardEffect[] = [];

  /** The room stands at `head` and nobody lacks anything. */
  static at(head: number, ...users: string[]): ShardHarness {
    const shard = new ShardHarness();
    shard.core.begin(head, head, NOW);
    users.forEach((user) => shard.core.join(user));
    return shard;
  }

  push(from: number, to = from): this {
    this.core.pushed(messagesOf(...range(from, to)), this.now);
    return this;
  }

  /** Time passes in steps, with the timer firing as it was armed at the latest. */
  pass(ms: number): this {
    const end = this.now + ms;
    while (this.now < end) {
      this.now = Math.min(end, this.now + 50);
      this.core.onTimer(this.now);
    }
    return this;
  }

  answer(user: string, to: number, sockets: number | "failed" = 1): this {
    this.core.answered(user, to, sockets, this.now);
    return this;
  }

  take<K extends Kind>(kind: K): Extract<ShardEffect, { kind: K }>[] {
    this.#effects.push(...this.core.takeEffects());
    const taken = this.#effects.filter((effect): effect is Extract<ShardEffect, { kind: K }> => effect.kind === kind);
    this.#effects = this.#effects.filter((effect) => effect.kind !== kind);
    return taken;
  }

  /** Sequences of each frame since the last call. */
  frames(): number[][] {
    return this.take("broadcast").map(({ messages }) => seqIds(messages));
  }

  /** Calls since the last call, as `users: sequences`. */
  calls(): string[] {
    return this.take("deliver").map(({ userIds, messages }) => `${userIds.join(" ")}: ${seqIds(messages).join(" ")}`);
  }

  pulls(): number[] {
    return this.take("pull").map(({ after }) => after);
  }
}
