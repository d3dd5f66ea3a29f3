/**
 * The fault run: people talk without pause while the server is killed with -9 at random moments (all
 * of it, its Node parent alone, during start-up). Their clients reconnect and resend by themselves.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { wordless } from "../support/names.ts";
import { freePort, launchServer, startServer, type TestServer } from "../support/server.ts";
import { check, checkRepetition, type Findings } from "./checks.ts";
import { gather, seeded, type Talker } from "./talk.ts";

/**
 * `group`: Node and workerd at once. `parent`: Node alone, workerd lives on. `startup`: all of it, and the next start
 * again in its middle. `startupParent`: the same, but of the next start only Node.
 */
export type KillKind = "group" | "parent" | "startup" | "startupParent";
export type Kill = {
  kind: KillKind;
  /** Since the talk began, milliseconds. */
  atMs: number;
  /** Sends that waited for their acknowledgement at that moment. */
  waiting: number;
  /** From the kill until the server is ready, and until the first new acknowledgement. */
  readyAfterMs: number;
  ackAfterMs: number;
  /** Until all clients are connected again; absent when the next kill came first. */
  allBackAfterMs?: number;
};

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
  /** Sends that clients repeated by themselves. */
  resends: number;
  /** Lines of the servers' logs of level `error`, by text. */
  errorLines: Map<string, number>;
  refused: string[];
  gaps: number;
  talkMs: number;
  /** Milliseconds from the end of the talk until every send was answered and everybody had everything. */
  settledAfterMs: number;
};

/** Rate limits are not what is tried here. */
export const NO_LIMITS = {
  LIMIT_SENDS_PER_SECOND: "1000",
  LIMIT_SENDS_BURST: "1000",
  LIMIT_WORLD_SENDS_PER_SECOND: "1000",
  LIMIT_WORLD_SENDS_BURST: "1000",
  LIMIT_REQUESTS_PER_SECOND: "10000",
  LIMIT_REQUESTS_BURST: "10000",
};
/** Clients come back with a spread of up to 15 s (sdk/src/core/limits.ts), and a sync behind it. */
const BACK_WITHIN_MS = 45_000;
/** A start is hit somewhere between its first line of code and its first answer. */
const STARTUP_KILL_MS = { min: 50, max: 2_500 };
const SETTLE_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 100;

export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const random = seeded(options.seed);
  const port = await freePort();
  const first = await startServer({ port, env: NO_LIMITS });
  let server: TestServer = first;
  const people: Talker[] = [];
  try {
    people.push(...(await gather(first.url, `c${wordless(options.seed)}`)));
    people.forEach((person, n) => person.talk(seeded(options.seed + n)));
    const began = performance.now();
    const kills: Kill[] = [];
    const errorLines = new Map<string, number>();
    options.log(`seed ${options.seed}`);
    await talkFor(between(options.calmMs, random), people, began);
    for (const kind of options.kills) {
      const killedAt = performance.now();
      const waiting = people.reduce((sum, person) => sum + person.waiting, 0);
      const dead = server;
      server = await kill(kind, server, random);
      const readyAt = performance.now();
      countErrors(dead.output, errorLines);
      const { ackAt, allBackAt } = await talkFor(between(options.calmMs, random), people, readyAt);
      const since = (at: number): number => Math.round(at - killedAt);
      const done: Kill = {
        kind,
        atMs: Math.round(killedAt - began),
        waiting,
        readyAfterMs: since(readyAt),
        ackAfterMs: since(ackAt),
        ...(allBackAt === undefined ? {} : { allBackAfterMs: since(allBackAt) }),
      };
      kills.push(done);
      const acks = people.reduce((sum, person) => sum + person.promised.length, 0);
      options.log(`${JSON.stringify(done)}, ${acks} acks so far`);
    }
    const talkMs = Math.round(performance.now() - began);
    await settle(people, options.log);
    const settledAfterMs = Math.round(performance.now() - began - talkMs);
    const findings = await check(people, server);
    await checkRepetition(people, random, findings);
    countErrors(server.output, errorLines);
    const sendFrames = people.reduce((sum, person) => sum + person.sendFrames, 0);
    const sends = people.reduce((sum, person) => sum + person.sends, 0);
    return {
      ...findings,
      seed: options.seed,
      kills,
      sends,
      resends: sendFrames - sends,
      errorLines,
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
  if (kind === "startup" || kind === "startupParent") {
    const stillborn = await launchServer(again);
    await sleep(between(STARTUP_KILL_MS, random));
    await (kind === "startup" ? stillborn.killGroup() : stillborn.killParent());
  }
  return await startServer(again);
}

/**
 * Lets people talk for a while, and at least until one of them has been answered. Not until all are back: the next kill
 * may well come while some are still on their way.
 */
async function talkFor(
  ms: number,
  people: readonly Talker[],
  readyAt: number,
): Promise<{ ackAt: number; allBackAt: number | undefined }> {
  const until = performance.now() + ms;
  let ackAt = 0;
  let allBackAt: number | undefined;
  while (performance.now() < until || ackAt === 0) {
    if (performance.now() > readyAt + BACK_WITHIN_MS) {
      const away = people.filter((person) => !person.isBack).map((person) => person.name);
      throw new Error(`no answer ${BACK_WITHIN_MS} ms after the server was ready; away: ${away.join(", ")}`);
    }
    await sleep(LOOK_AGAIN_MS);
    ackAt ||= Math.min(...people.map((person) => person.lastAckAt).filter((at) => at > readyAt));
    ackAt = Number.isFinite(ackAt) ? ackAt : 0;
    allBackAt ??= people.every((person) => person.isBack) ? performance.now() : undefined;
  }
  return { ackAt, allBackAt };
}

/** What the server itself calls an error; a kill is no reason to write one. */
function countErrors(output: string, into: Map<string, number>): void {
  for (const line of output.split("\n")) {
    const text =
      /^\{"level":"error","msg":"([^"]*)"/.exec(line)?.[1] ?? (line.startsWith("Uncaught") ? line : undefined);
    if (text !== undefined) {
      into.set(text, (into.get(text) ?? 0) + 1);
    }
  }
}

/** Everybody falls silent, every send is answered, and everybody has received what was said last. */
export async function settle(people: readonly Talker[], log: (line: string) => void): Promise<void> {
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
