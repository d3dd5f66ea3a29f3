/** How much a run drives, and how long. */
import type { Span } from "./load/measures.ts";
import type { TargetName } from "./targets.ts";

/** Sends in flight in a group. */
export const IN_FLIGHT = [1, 8];
/** Sockets that send into the world room in turn. */
export const WORLD_SENDERS = 100;
/** Messages a second into the world room. The bare object also gets a rate that it manages. */
export const WORLD_RATES: Readonly<Record<TargetName, readonly number[]>> = { ours: [50, 100], bare: [10, 50] };
/** Upgrades at one time in the connect storm. */
export const STORM_AT_ONCE = 200;

/** What the flows beside sending are measured in. */
export interface FlowPlan {
  /** In SQL when they are measured. */
  readonly users: number;
  readonly groups: number;
  readonly messages: number;
  /** Conversations of the asking user, and messages that are really sent in them, all together. */
  readonly conversations: number;
  readonly own: number;
  /** Real accounts beside the asking user; so many of them become friends. */
  readonly people: number;
  readonly friends: number;
  readonly samples: number;
}

/** Messages that wait in the logs of rooms until they are let into SQL. */
export interface PersistPlan {
  readonly users: number;
  readonly rooms: number;
  readonly messages: number;
}

export interface Plan {
  readonly flows: FlowPlan;
  readonly persist: PersistPlan;
  /** Who sends into one room at the same time. Source: the target for `UPSTREAM=topic`. */
  readonly hotSenders: number;
  readonly repetitions: number;
  /** Where other work disturbs, a workload is repeated up to so many times in all. */
  readonly mostRepetitions: number;
  readonly conversations: Span;
  readonly pairs: number;
  readonly groupSizes: readonly number[];
  readonly world: Span & {
    readonly readers: number;
    /** How long after the last send everybody may still be served. */
    readonly patienceMs: number;
  };
  /** Guests: they read the world room with two sockets each, and are the idle users and the storm. */
  readonly guests: number;
  /** An object hibernates about ten seconds after its last event; then the allocator gets time to give back. */
  readonly idleMs: number;
}

/** The whole thing, which the targets are about. Source of the sizes: DESIGN section 6. */
export function wholePlan(repetitions: number): Plan {
  return {
    flows: {
      users: 10_000,
      groups: 2_000,
      messages: 1_000_000,
      conversations: 200,
      own: 10_000,
      people: 90,
      friends: 50,
      samples: 200,
    },
    persist: { users: 20, rooms: 100, messages: 40_000 },
    hotSenders: 1_000,
    repetitions,
    mostRepetitions: 2 * repetitions,
    conversations: { warmMs: 2_000, measureMs: 5_000 },
    pairs: 50,
    groupSizes: [50, 500],
    world: { warmMs: 3_000, measureMs: 15_000, readers: 4_000, patienceMs: 20_000 },
    guests: 2_000,
    idleMs: 30_000,
  };
}

/** A small one, to see that everything works. */
export function quickPlan(repetitions: number): Plan {
  return {
    flows: {
      users: 1_000,
      groups: 200,
      messages: 20_000,
      conversations: 20,
      own: 200,
      people: 24,
      friends: 13,
      samples: 20,
    },
    persist: { users: 4, rooms: 10, messages: 2_000 },
    hotSenders: 50,
    repetitions,
    mostRepetitions: repetitions,
    conversations: { warmMs: 500, measureMs: 1_500 },
    pairs: 10,
    groupSizes: [50],
    world: { warmMs: 1_000, measureMs: 3_000, readers: 400, patienceMs: 10_000 },
    guests: 200,
    idleMs: 14_000,
  };
}
