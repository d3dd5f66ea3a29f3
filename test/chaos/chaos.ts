/**
 * The fault run: people talk without pause while the server is killed with -9 at random moments (all
 * of it, its Node parent alone, during start-up). Their clients reconnect and resend by themselves.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, launchServer, startServer, type TestServer } from "../support/server.ts";
import { check, type Findings } from "./checks.ts";
import { gather, seeded, type Talker } from "./talk.ts";

/** `group`: Node and workerd at once. `parent`: Node alone, workerd lives on. `startup`: again while it starts. */
export type KillKind = "group" | "parent" | "startup";
export type Kill = { kind: KillKind; atMs: number; readyAfterMs: number };

export type ChaosOptions = {
  seed: number;
  kills: readonly KillKind[];
  /** Talk between two kills, at least and at most. */
  calmMs: { min: number; max: number };
  log(line: string): void;
};

export type ChaosReport = Findings & {
  seed: number;
  kills: Kill[];
  sends: number;
  acks: number;
  refused: string[];
  gaps: number;
  talkMs: number;
  /** Milliseconds from the end of the talk until every send was answered and everybody had everything. */
  settledAfterMs: number;
};

/** Rate limits are not what is tried here. */
const NO_LIMITS = {
  LIMIT_SENDS_PER_SECOND: "1000",
  LIMIT_SENDS_BURST: "1000",
  LIMIT_WORLD_SENDS_PER_SECOND: "1000",
  LIMIT_WORLD_SENDS_BURST: "1000",
  LIMIT_REQUESTS_PER_SECOND: "10000",
  LIMIT_REQUESTS_BURST: "10000",
};
/** A start is hit somewhere between its first line of code and its first answer. */
const STARTUP_KILL_MS = { min: 50, max: 2_500 };
const SETTLE_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 100;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const random = seeded(options.seed);
  const port = await freePort();
  const first = await startServer({ port, env: NO_LIMITS });
  const { dataDir } = first;
  let server: TestServer = first;
  const people: Talker[] = [];
  try {
    people.push(...(await gather(first.url, `c${options.seed.toString(36)}`)));
    people.forEach((person, n) => person.talk(seeded(options.seed + n)));
    const began = performance.now();
    const kills: Kill[] = [];
    for (const kind of options.kills) {
      await sleep(between(options.calmMs, random));
      const atMs = Math.round(performance.now() - began);
      server = await kill(kind, server, random);
      const readyAfterMs = Math.round(performance.now() - began - atMs);
      kills.push({ kind, atMs, readyAfterMs });
      const acks = people.reduce((sum, person) => sum + person.promised.length, 0);
      options.log(`${kind} killed at ${atMs} ms, ready again after ${readyAfterMs} ms, ${acks} acks so far`);
    }
    await sleep(between(options.calmMs, random));
    const talkMs = Math.round(performance.now() - began);
    await settle(people, options.log);
    const settledAfterMs = Math.round(performance.now() - began - talkMs);
    const findings = await check(people, dataDir);
    return {
      ...findings,
      seed: options.seed,
      kills,
      sends: people.reduce((sum, person) => sum + person.sends, 0),
      acks: people.reduce((sum, person) => sum + person.promised.length, 0),
      refused: people.flatMap((person) => person.refused),
      gaps: people.reduce((sum, person) => sum + person.gaps, 0),
      talkMs,
      settledAfterMs,
    };
  } finally {
    await Promise.all(people.map((person) => person.chat.close({ flushMs: 0 })));
    await server.killGroup();
    await first.dispose();
  }
}

function between({ min, max }: { min: number; max: number }, random: () => number): number {
  return min + random() * (max - min);
}

/** Kills the server, and answers the next one on the same port and folder when it is ready. */
async function kill(kind: KillKind, server: TestServer, random: () => number): Promise<TestServer> {
  const { port, dataDir } = server;
  const again = { port, dataDir, env: NO_LIMITS };
  // The parent alone: workerd goes on serving, and the next start has to end it.
  await (kind === "parent" ? server.killParent() : server.killGroup());
  if (kind === "startup") {
    const stillborn = await launchServer(again);
    await sleep(between(STARTUP_KILL_MS, random));
    await stillborn.killGroup();
  }
  return await startServer(again);
}

/** Everybody falls silent, every send is answered, and everybody has received what was said last. */
async function settle(people: readonly Talker[], log: (line: string) => void): Promise<void> {
  const deadline = performance.now() + SETTLE_WITHIN_MS;
  await Promise.race([
    Promise.all(people.map((person) => person.hush())),
    sleep(SETTLE_WITHIN_MS, undefined, { ref: false }).then(() => {
      const waiting = people.reduce((sum, person) => sum + person.chat.pending.get().count, 0);
      throw new Error(`${waiting} sends are unanswered ${SETTLE_WITHIN_MS} ms after the last one`);
    }),
  ]);
  const newest = new Map<string, number>();
  for (const { conversationId, seqId } of people.flatMap((person) => person.promised)) {
    newest.set(conversationId, Math.max(newest.get(conversationId) ?? 0, seqId));
  }
  const behind = (): string[] =>
    people.flatMap((person) =>
      person.conversations
        .filter((id) => (person.received.get(id)?.at(-1)?.seqId ?? 0) < (newest.get(id) ?? 0))
        .map((id) => `${person.name} in ${id}`),
    );
  while (behind().length > 0) {
    if (performance.now() > deadline) {
      // The checks tell who misses what.
      log(`still behind: ${behind().slice(0, 5).join(", ")}`);
      return;
    }
    await sleep(LOOK_AGAIN_MS);
  }
}
