/**
 * The other half of the fault run: people go on talking while SQL, the cache or the bus fails, hangs or is slow, and comes back.
 * Whoever is asked for lists and log-ins meanwhile is counted, and so is the time until everything has caught up.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { DEPENDENCIES, FAULT_MODES, type Dependency, type FaultMode } from "../../src/platform/faults.ts";
import { call, register, type RawUser } from "../e2e/support/raw.ts";
import { wordless } from "../support/names.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { NO_LIMITS, settle } from "./chaos.ts";
import { check, type Findings } from "./checks.ts";
import { gather, seeded, type Talker } from "./talk.ts";

export type Outage = {
  dependency: Dependency;
  mode: Exclude<FaultMode, "ok">;
  /** Sends that were acknowledged while it lasted, and that clients gave up. */
  accepted: number;
  refused: number;
  /** Pages of lists that were asked for meanwhile, by answer; `failed` had a status other than 200. */
  lists: { whole: number; degraded: number; failed: number; slowestMs: number };
  /** Log-ins meanwhile: let in, and told when to come back. */
  logins: { done: number; later: number; other: number };
  /** From its end until lists are whole, log-in works, breakers are closed and nothing waits for SQL or a consumer. */
  caughtUpAfterMs: number;
  /** What was wrong after this one, and not before it. */
  wrong: Record<Wrong, number>;
};

export const WRONG = ["lost", "twice", "holes", "differing", "missed", "repeated", "disordered", "sqlDiffers"] as const;
export type Wrong = (typeof WRONG)[number];

export type OutageReport = { seed: number; outages: Outage[]; lastMs: number; messages: number; examples: string[] };

export type OutageOptions = { seed: number; lastMs: number; log(line: string): void };

/** Who reads lists and logs in, and says nothing. */
export type Reader = RawUser & { username: string };
export const PASSWORD = "a good password";

const BAD_MODES = FAULT_MODES.filter((mode) => mode !== "ok");
/** Enough talk to be caught in the middle, and little enough to leave the machine time for what is tried. */
const TALK = { waiting: 1, pauseMs: 250 };
const ASK_AGAIN_MS = 400;
const LOOK_AGAIN_MS = 250;
/** Retries of consumers back off to 60 s, as do the alarms of rooms. */
const CATCH_UP_WITHIN_MS = 180_000;

export async function runOutages({ seed, lastMs, log }: OutageOptions): Promise<OutageReport> {
  const server = await startServer({ env: { ...NO_LIMITS, TEST_FAULTS: "on" } });
  const people: Talker[] = [];
  const outages: Outage[] = [];
  const examples = new Set<string>();
  let before: Findings | undefined;
  try {
    people.push(...(await gather(server.url, `o${wordless(seed)}`)));
    const username = `reader_${wordless(seed)}`;
    const reader: Reader = { username, ...(await register(server, { username, password: PASSWORD })) };
    // Read once while all is well: this is what can be shown later.
    await list(server, reader);
    for (const dependency of DEPENDENCIES) {
      for (const mode of BAD_MODES) {
        const seen = await endure(server, people, reader, { dependency, mode, lastMs, seed: seed + outages.length });
        const findings = await check(people, server);
        const wrong = Object.fromEntries(WRONG.map((name) => [name, findings[name] - (before?.[name] ?? 0)]));
        before = findings;
        findings.examples.forEach((example) => examples.add(example));
        const outage: Outage = { dependency, mode, ...seen, wrong: wrong as Outage["wrong"] };
        outages.push(outage);
        log(JSON.stringify(outage));
      }
    }
    return { seed, outages, lastMs, messages: before?.messages ?? 0, examples: [...examples] };
  } finally {
    await Promise.all(people.map((person) => person.chat.close({ flushMs: 0 })));
    await server.dispose();
  }
}

type Trial = { dependency: Dependency; mode: FaultMode; lastMs: number; seed: number };

async function endure(
  server: TestServer,
  people: readonly Talker[],
  reader: Reader,
  { dependency, mode, lastMs, seed }: Trial,
): Promise<Omit<Outage, "dependency" | "mode" | "wrong">> {
  const acks = () => people.reduce((sum, person) => sum + person.promised.length, 0);
  const refusals = () => people.reduce((sum, person) => sum + person.refused.length, 0);
  people.forEach((person, n) => person.talk(seeded(seed * 1_000 + n), TALK));
  await sleep(TALK.pauseMs);
  await setFault(server, dependency, mode);
  const [acksBefore, refusedBefore] = [acks(), refusals()];
  const lists = { whole: 0, degraded: 0, failed: 0, slowestMs: 0 };
  const logins = { done: 0, later: 0, other: 0 };
  const until = performance.now() + lastMs;
  while (performance.now() < until) {
    const [listed, login] = await Promise.all([list(server, reader), logIn(server, reader), sleep(ASK_AGAIN_MS)]);
    lists[listed.kind] += 1;
    lists.slowestMs = Math.max(lists.slowestMs, listed.ms);
    logins[login] += 1;
  }
  const accepted = acks() - acksBefore;
  await setFault(server, dependency, "ok");
  const ended = performance.now();
  await settle(people, () => undefined);
  while (!(await isWell(server, reader))) {
    if (performance.now() - ended > CATCH_UP_WITHIN_MS) {
      throw new Error(`${dependency} ${mode}: not caught up ${CATCH_UP_WITHIN_MS} ms after its end`);
    }
    await sleep(LOOK_AGAIN_MS);
  }
  const caughtUpAfterMs = Math.round(performance.now() - ended);
  return { accepted, refused: refusals() - refusedBefore, lists, logins, caughtUpAfterMs };
}

async function setFault(server: TestServer, dependency: Dependency, mode: FaultMode): Promise<void> {
  const { status } = await call(server, "PUT", "/testing/faults", { body: { [dependency]: mode } });
  if (status !== 200) {
    throw new Error(`fault not set: ${status}`);
  }
}

export async function list(
  server: TestServer,
  { token }: Reader,
): Promise<{ kind: "whole" | "degraded" | "failed"; ms: number }> {
  const began = performance.now();
  const { status, json } = await call(server, "GET", "/api/conversations", { token });
  const kind = status !== 200 ? "failed" : json?.["degraded"] === true ? "degraded" : "whole";
  return { kind, ms: Math.round(performance.now() - began) };
}

/** On the same device each time: as somebody who tries again. */
export async function logIn(server: TestServer, { username, deviceId }: Reader): Promise<"done" | "later" | "other"> {
  const body = { username, password: PASSWORD, device: { id: deviceId } };
  const { status, headers } = await call(server, "POST", "/api/auth/login", { body });
  return status === 200 ? "done" : status === 503 && Number(headers["retry-after"]) > 0 ? "later" : "other";
}

/** Samples of a scrape that are nothing when all has caught up. */
const WAITING = /^(?:gochat_outbox_lag_messages|gochat_outbox_events|kafka_consumer_lag_sum\{.*\}) (\S+)$/gm;
const NOT_CLOSED = /^gochat_breaker_state\{.*state="(?:open|half-open)"\} [1-9]/m;

/** Lists are whole, log-in works, breakers are closed, and nothing waits for SQL or a consumer, as far as the server knows. */
async function isWell(server: TestServer, reader: Reader): Promise<boolean> {
  const { text } = await call(server, "GET", "/metrics");
  const waits = [...text.matchAll(WAITING)].some(([, value]) => Number(value) > 0);
  return (
    !waits &&
    !NOT_CLOSED.test(text) &&
    (await list(server, reader)).kind === "whole" &&
    (await logIn(server, reader)) === "done"
  );
}
