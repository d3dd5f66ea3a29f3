/**
 * The fault run on real servers: people talk while Kafka, the bridge, MySQL, Redis and the Worker are stopped, killed and emptied, one after the
 * other. After each, every promise is checked, and nothing may wait in Kafka any more.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { startServices, type Services } from "../../scripts/services/index.ts";
import type { Service } from "../../scripts/services/service.ts";
import { call, register } from "../e2e/support/raw.ts";
import { firstAnswer, serviceAddress } from "../services/support/addresses.ts";
import type { ServerEngines } from "../services/support/engines.ts";
import { wordless } from "../support/names.ts";
import { ON_ENGINES, startServer, type TestServer } from "../support/server.ts";
import { NO_LIMITS, settle } from "./chaos.ts";
import { check, type Findings } from "./checks.ts";
import { list, logIn, PASSWORD, WRONG, type Reader, type Wrong } from "./outages.ts";
import { gather, seeded, type Talker } from "./talk.ts";

export const ENGINE_FAULTS = [
  "Kafka stopped",
  "Kafka killed",
  "bridge killed in the middle of a batch",
  "two bridges, one comes, leaves, comes back and is killed",
  "MariaDB killed",
  "Redis flushed",
  "Redis killed",
  "Worker killed",
] as const;
export type EngineFaultName = (typeof ENGINE_FAULTS)[number];

export type EngineFault = {
  name: EngineFaultName;
  /** From its beginning until what was stopped or killed answers again, milliseconds. */
  lastedMs: number;
  /** Sends that were acknowledged from its beginning until the people fell silent, some time after its end; and that clients gave up. */
  accepted: number;
  refused: number;
  /** Records that waited in Kafka for a consumer when it was over. */
  lag: number;
  /** From its end until every send is answered, everybody has everything, nothing waits in Kafka, and lists and log-ins work. */
  caughtUpAfterMs: number;
  /** What was wrong after this one, and not before it. */
  wrong: Record<Wrong, number>;
};

export type EngineFaultReport = {
  seed: number;
  upstream: Upstream;
  faults: EngineFault[];
  messages: number;
  examples: string[];
};

export type Upstream = "direct" | "topic";

export type EngineFaultOptions = {
  seed: number;
  upstream: Upstream;
  /** How long Kafka is stopped, and how long what was killed stays away. */
  stopMs: number;
  awayMs: number;
  /** Talk before each fault and after it. */
  calmMs: number;
  only?: readonly EngineFaultName[];
  log(line: string): void;
};

/** What faults are made of; the server is another one after its death. */
type Stage = { services: Services; server: TestServer; engines: ServerEngines; options: EngineFaultOptions };

/** Enough talk to be caught in the middle, and little enough to leave the machine time for what is tried. */
const TALK = { waiting: 1, pauseMs: 250 };
const LOOK_AGAIN_MS = 250;
/** Retries of the bridge back off to 15 s and the alarms of rooms to 60 s; a killed member of a group is missed after 10 s. */
const CATCH_UP_WITHIN_MS = 180_000;
/** A group is balanced anew within its session's time-out of 10 s. */
const BALANCED_WITHIN_MS = 40_000;

export async function runEngineFaults(options: EngineFaultOptions): Promise<EngineFaultReport> {
  const { seed, log } = options;
  const services = await startServices(log);
  // Where servers and their engines look for them.
  Object.assign(process.env, services.env, { [ON_ENGINES]: "on" });
  const people: Talker[] = [];
  let stage: Stage | undefined;
  try {
    stage = await setStage(services, options);
    people.push(...(await gather(stage.server.url, `e${wordless(seed)}`)));
    const username = `reader_${wordless(seed)}`;
    const reader: Reader = { username, ...(await register(stage.server, { username, password: PASSWORD })) };
    await list(stage.server, reader);
    const faults: EngineFault[] = [];
    const examples = new Set<string>();
    let before: Findings | undefined;
    for (const name of options.only ?? ENGINE_FAULTS) {
      const seen = await endure(stage, people, reader, name, seed + faults.length);
      const findings = await check(people, stage.server);
      const wrong = Object.fromEntries(WRONG.map((what) => [what, findings[what] - (before?.[what] ?? 0)]));
      before = findings;
      [...findings.examples, ...people.flatMap((person) => person.refused)].forEach((line) => examples.add(line));
      const fault: EngineFault = { name, ...seen, wrong: wrong as EngineFault["wrong"] };
      faults.push(fault);
      log(JSON.stringify(fault));
    }
    return { seed, upstream: options.upstream, faults, messages: before?.messages ?? 0, examples: [...examples] };
  } finally {
    await Promise.all(people.map((person) => person.chat.close({ flushMs: 0 })));
    try {
      await stage?.server.dispose();
    } finally {
      await services.dispose();
    }
  }
}

function settingsOf({ upstream }: EngineFaultOptions): Record<string, string> {
  return { ...NO_LIMITS, TEST_FAULTS: "on", UPSTREAM: upstream };
}

async function setStage(services: Services, options: EngineFaultOptions): Promise<Stage> {
  const server = await startServer({ env: settingsOf(options) });
  if (server.engines === undefined) {
    throw new Error("the server runs on embedded engines");
  }
  return { services, server, engines: server.engines, options };
}

async function endure(
  stage: Stage,
  people: readonly Talker[],
  reader: Reader,
  name: EngineFaultName,
  seed: number,
): Promise<Omit<EngineFault, "name" | "wrong">> {
  const acks = () => people.reduce((sum, person) => sum + person.promised.length, 0);
  const refusals = () => people.reduce((sum, person) => sum + person.refused.length, 0);
  const { calmMs } = stage.options;
  people.forEach((person, n) => person.talk(seeded(seed * 1_000 + n), TALK));
  await sleep(calmMs);
  const [acksBefore, refusedBefore, began] = [acks(), refusals(), performance.now()];
  await MAKE[name](stage);
  const ended = performance.now();
  const lag = (await stage.engines.lags().catch(() => undefined))?.total ?? 0;
  await sleep(calmMs);
  await settle(people, () => undefined);
  const accepted = acks() - acksBefore;
  for (let waits = await waiting(stage, reader); waits !== undefined; waits = await waiting(stage, reader)) {
    if (performance.now() - ended > CATCH_UP_WITHIN_MS) {
      throw new Error(`${name}: not caught up ${CATCH_UP_WITHIN_MS} ms after its end: ${waits}`);
    }
    await sleep(LOOK_AGAIN_MS);
  }
  const caughtUpAfterMs = Math.round(performance.now() - ended);
  return { lastedMs: Math.round(ended - began), accepted, refused: refusals() - refusedBefore, lag, caughtUpAfterMs };
}

/**
 * What is not as it was; undefined: all of it is. The server's own gauges are not asked: what a killed Worker has reported last stays in
 * them for five minutes.
 */
async function waiting({ engines, server }: Stage, reader: Reader): Promise<string | undefined> {
  const lags = await engines.lags().catch((error: unknown) => ({ total: 1, text: String(error) }));
  if (lags.total > 0) {
    return lags.text;
  }
  const [listed, login] = [await list(server, reader), await logIn(server, reader)];
  return listed.kind !== "whole" ? `lists are ${listed.kind}` : login !== "done" ? "log-in" : undefined;
}

const MAKE: Record<EngineFaultName, (stage: Stage) => Promise<void>> = {
  async "Kafka stopped"({ services: { kafka }, options }) {
    kafka.pause();
    await sleep(options.stopMs);
    kafka.resume();
  },

  "Kafka killed": ({ services, options }) => killed(services.kafka, options),
  "MariaDB killed": ({ services, options }) => killed(services.mariadb, options),
  "Redis killed": ({ services, options }) => killed(services.redis, options),

  async "bridge killed in the middle of a batch"({ engines, server, options }) {
    // Each statement takes so long now that batches are on their way at any time; this one has not been committed.
    await setSql(server, "slow");
    const { total } = await untilLag(engines);
    options.log(`the bridge is killed with ${total} records before it`);
    await killed(engines.bridge, options);
    await setSql(server, "ok");
  },

  async "two bridges, one comes, leaves, comes back and is killed"({ engines, options }) {
    const second = await engines.anotherBridge();
    try {
      await untilShared(second);
      await sleep(options.awayMs);
      await second.stop();
      await second.start();
      await untilShared(second);
      await sleep(options.awayMs);
    } finally {
      await second.dispose();
    }
  },

  async "Redis flushed"() {
    await firstAnswer(serviceAddress("REDIS_URL"), Buffer.from("FLUSHALL\r\n"));
  },

  async "Worker killed"(stage) {
    const { port, dataDir } = stage.server;
    await stage.server.killGroup();
    stage.server = await startServer({ port, dataDir, env: settingsOf(stage.options) });
  },
};

async function killed(service: Service, { awayMs }: EngineFaultOptions): Promise<void> {
  await service.kill();
  await sleep(awayMs);
  await service.start();
}

async function setSql(server: TestServer, mode: "ok" | "slow"): Promise<void> {
  const { status } = await call(server, "PUT", "/testing/faults", { body: { sql: mode } });
  if (status !== 200) {
    throw new Error(`SQL is not ${mode}: ${status}`);
  }
}

async function untilLag(engines: ServerEngines): Promise<{ total: number }> {
  const deadline = performance.now() + BALANCED_WITHIN_MS;
  for (;;) {
    const lags = await engines.lags();
    if (lags.total > 0) {
      return lags;
    }
    if (performance.now() > deadline) {
      throw new Error("nothing waits in Kafka");
    }
  }
}

const ITS_PARTITIONS = /^bridge_partitions\{group="task\.persist\.group"\} [1-9]/m;

/** Until this bridge, too, has partitions of the messages' records. */
async function untilShared(bridge: Service): Promise<void> {
  const deadline = performance.now() + BALANCED_WITHIN_MS;
  while (!ITS_PARTITIONS.test(await metricsOf(bridge))) {
    if (performance.now() > deadline) {
      throw new Error("the second bridge got no partition");
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

async function metricsOf({ address }: Service): Promise<string> {
  return (await fetch(`http://${address}/metrics`)).text();
}
