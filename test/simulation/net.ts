/** Calls between objects: they take time, get lost before or after their effect, and die with either end. */
import { MS } from "./kernel.ts";
import type { Sim } from "./sim.ts";

/** Nobody knows what became of the call. */
export type Failed = "failed";
export type Reply<T> = (value: T | Failed) => void;

/** Something that can be called, and that can die. */
export class Peer {
  readonly name: string;
  /** Grows when the memory is lost: what was begun before must not come back to what lives now. */
  life = 0;
  /** Calls, timers and answers under way: an object with any of them is not evicted. */
  busy = 0;
  /** Calls that this peer has not answered yet. */
  readonly calls = new Set<Reply<never>>();

  constructor(name: string) {
    this.name = name;
  }

  /** The memory is gone; whoever waits for an answer hears that there will be none. */
  forget(): void {
    this.life += 1;
    this.busy = 0;
    // A reply may lead to the next call, which this death does not concern.
    const broken = [...this.calls];
    for (const reply of broken) {
      reply("failed");
    }
  }
}

/** One way between two objects: mostly a fraction of a millisecond, now and then much more. */
export function hopUs(sim: Sim): number {
  return sim.random.chance(0.02) ? sim.random.between(1, 20) * MS : sim.random.between(40, 400);
}

/**
 * Calls `to`. `effect` runs there and answers by `reply`, at once or later; `done` runs at the
 * caller, once, unless the caller died meanwhile.
 */
export function call<T>(
  sim: Sim,
  from: Peer,
  to: Peer,
  kind: string,
  effect: (reply: Reply<T>) => void,
  done: Reply<T>,
): void {
  const { life } = from;
  from.busy += 1;
  const settle = (value: T | Failed): void => {
    if (from.life === life) {
      from.busy -= 1;
      done(value);
    }
  };
  if (sim.hit("rpcLostBefore")) {
    // Mostly the caller hears at once, but some failures are found out by a timeout.
    const us = sim.random.chance(0.5) ? sim.random.between(50, 5_000) * MS : hopUs(sim) * 2;
    sim.kernel.after(us, kind, from.name, () => settle("failed"));
    return;
  }
  sim.kernel.after(hopUs(sim), kind, to.name, () => {
    if (from.life !== life && sim.random.chance(0.5)) {
      // The caller died before its call had really left.
      return;
    }
    const reply = (value: T | Failed): void => {
      if (!to.calls.delete(reply)) {
        return;
      }
      const lost = value !== "failed" && sim.hit("rpcLostAfter");
      sim.kernel.after(hopUs(sim), kind, from.name, () => settle(lost ? "failed" : value));
    };
    to.calls.add(reply);
    effect(reply);
  });
}
