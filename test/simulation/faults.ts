/** What can go wrong, how often in one seed, and how often it did. */
import { MS, SECOND } from "./kernel.ts";
import type { Prng } from "./prng.ts";

/** Each is counted when it really changed something: an outage that nobody met does not count. */
export const FAULTS = {
  frameLost: "frame lost on the way between a device and its user object; the connection dies later",
  frameDuplicated: "frame arrives twice",
  frameDelayed: "frame held up for 0.1–3 s",
  frameReordered: "frame overtakes the one before it",
  partition: "device cut off from its user object, socket half open",
  roomCrash: "room dies: writes that were not committed and answers behind the gate are gone",
  sessionCrash: "user object dies, its sockets break",
  shardCrash: "fan-out shard dies",
  processKill: "everything dies at once: rooms, user objects, shards, consumers, sockets",
  roomEviction: "idle room forgets its memory",
  sessionHibernation: "idle user object forgets its memory, its sockets stay",
  alarmLate: "alarm comes 1–30 s late",
  alarmRepeated: "alarm comes again after it succeeded",
  queueDuplicate: "queue message delivered twice",
  queueReordered: "queue message held back, later ones overtake it",
  queueLost: "queue message gone with the process",
  sqlDown: "SQL refuses everything for a while",
  busDown: "bus refuses to take messages for a while",
  cacheDown: "cache refuses everything for a while",
  cacheEmptied: "cache loses all keys",
  cacheSlow: "cache answers only after 0.1–2 s",
  rpcLostBefore: "call between objects fails before it took effect",
  rpcLostAfter: "call between objects fails after it took effect",
  receiverSlow: "user object takes a delivery at once and answers 0.1–8 s later",
  receiverSilent: "user object takes a delivery and never answers",
  commitSlow: "storage takes 10–300 ms for a commit",
  resend: "client sends again what the room may have already",
} as const;

export type FaultName = keyof typeof FAULTS;
export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[];

/** Probability per opportunity. */
export type Chances = {
  frameLost: number;
  frameDuplicated: number;
  frameDelayed: number;
  frameReordered: number;
  alarmLate: number;
  alarmRepeated: number;
  queueDuplicate: number;
  queueReordered: number;
  cacheSlow: number;
  rpcLostBefore: number;
  rpcLostAfter: number;
  receiverSlow: number;
  receiverSilent: number;
  commitSlow: number;
  roomCrash: number;
  sessionCrash: number;
  shardCrash: number;
};

/** Mean virtual microseconds between two of them; Infinity for never. */
export type Intervals = {
  partition: number;
  processKill: number;
  roomEviction: number;
  sessionHibernation: number;
  sqlDown: number;
  busDown: number;
  cacheDown: number;
  cacheEmptied: number;
};

export type FaultPlan = { chances: Chances; intervals: Intervals };

const USUAL_CHANCES: Chances = {
  frameLost: 0.000_6,
  frameDuplicated: 0.004,
  frameDelayed: 0.002,
  frameReordered: 0.004,
  alarmLate: 0.25,
  alarmRepeated: 0.2,
  queueDuplicate: 0.02,
  queueReordered: 0.03,
  cacheSlow: 0.003,
  rpcLostBefore: 0.001_5,
  rpcLostAfter: 0.001_5,
  receiverSlow: 0.003,
  receiverSilent: 0.001_2,
  commitSlow: 0.002,
  // Per step of the object: it dies a moment later, in the middle of what the step began.
  roomCrash: 0.001_5,
  sessionCrash: 0.001,
  shardCrash: 0.003,
};

const USUAL_INTERVALS: Intervals = {
  partition: 5 * SECOND,
  processKill: 10 * SECOND,
  roomEviction: 2 * SECOND,
  sessionHibernation: 500 * MS,
  sqlDown: 8 * SECOND,
  busDown: 8 * SECOND,
  cacheDown: 8 * SECOND,
  cacheEmptied: 9 * SECOND,
};

/** How long an outage lasts: mostly short, now and then longer than the consumers' last attempt. */
export function outageUs(random: Prng): number {
  const dice = random.unit();
  if (dice < 0.03) {
    return random.between(32, 45) * SECOND;
  }
  return dice < 0.13 ? random.between(5, 20) * SECOND : random.around(1_500 * MS);
}

/**
 * Each seed leaves out about a third of the faults and has its own mood about the others (swarm
 * testing, Groce et al. 2012): what always happens together hides what happens alone.
 */
export function drawPlan(random: Prng): FaultPlan {
  const chances = { ...USUAL_CHANCES };
  for (const name of Object.keys(chances) as (keyof Chances)[]) {
    const mood = random.chance(0.35) ? 0 : random.pick([0.5, 1, 1, 2, 4, 10]);
    chances[name] = Math.min(0.9, chances[name] * mood);
  }
  const intervals = { ...USUAL_INTERVALS };
  for (const name of Object.keys(intervals) as (keyof Intervals)[]) {
    const mood = random.chance(0.35) ? Infinity : random.pick([0.5, 1, 1, 2]);
    intervals[name] *= mood;
  }
  return { chances, intervals };
}

/** No fault at all. */
export function calmPlan(): FaultPlan {
  const chances = { ...USUAL_CHANCES };
  for (const name of Object.keys(chances) as (keyof Chances)[]) {
    chances[name] = 0;
  }
  const intervals = { ...USUAL_INTERVALS };
  for (const name of Object.keys(intervals) as (keyof Intervals)[]) {
    intervals[name] = Infinity;
  }
  return { chances, intervals };
}

export type FaultCounts = Record<FaultName, number>;

export function noFaults(): FaultCounts {
  return Object.fromEntries(FAULT_NAMES.map((name) => [name, 0])) as FaultCounts;
}
