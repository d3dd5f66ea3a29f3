/**
 * `npm run test:services`: on a real Kafka, MariaDB and Redis, which this starts and ends, the tests of test/services, a short fault
 * run, and the suites that `npm test` runs on the embedded engines, end to end and chaos; in two lanes side by side. Names of projects
 * behind `--` run those parts alone, one after the other (services, engineFaults, engines, engineRest). What else stands there goes to
 * vitest: `npm run test:services -- cache` runs the files with that in their name.
 *
 * `npm run test:services -- faults` is the long fault run on these servers; test/chaos/engines.ts has its options.
 *
 * `npm run services` starts the three, prints how to reach them, and ends them at Ctrl-C.
 */
import { interruptRun, type Outcome, run as runProgram, runProject, summarize } from "../testRuns.ts";
import { missingForServices, startServices, type Services } from "./index.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/**
 * Projects of vitest.config.ts. They wait more than they work, so two go at the same time; each lane has servers of its own, since the
 * suites take Kafka's topics from each other.
 */
const LANES = [
  ["services", "engineFaults"],
  ["engines", "engineRest"],
];
/** It stops and kills servers, so it starts its own. */
const ON_ITS_OWN = "engineFaults";
const FAULT_RUN = "test/chaos/engines.ts";
/** node:sqlite says at each start that it is new. */
const NO_WARNING = "--disable-warning=ExperimentalWarning";

const args = process.argv.slice(2);
const onlyServe = args[0] === "--serve";

const started: Services[] = [];
/** The signal that asked for the end: the exit code says it, as a shell would. */
let interrupted = false;
const asked = new Promise<void>((resolve) => {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      interrupted = true;
      interruptRun();
      resolve();
    });
  }
});

process.exitCode = await run();
process.exit();

async function run(): Promise<number> {
  const missing = missingForServices();
  if (missing !== undefined) {
    console.error(missing);
    return 1;
  }
  if (args[0] === "faults") {
    // It stops and kills servers, so they are its own.
    return (await runProgram(process.execPath, [NO_WARNING, FAULT_RUN, ...args.slice(1)])) ?? 130;
  }
  try {
    // The first lane's, before a second begins: two would fetch Kafka at once on a new machine.
    const services = await start();
    if (interrupted) {
      return 130;
    }
    return onlyServe ? await serve(services) : await test(services);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await Promise.all(started.map((services) => services.dispose()));
  }
}

/** Called again, it gives what it gave. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

async function start(): Promise<Services> {
  console.log("starting Kafka, MariaDB and Redis");
  const began = performance.now();
  const services = await startServices(console.log);
  started.push(services);
  console.log(`they answer after ${((performance.now() - began) / 1000).toFixed(1)} s`);
  return services;
}

async function test(services: Services): Promise<number> {
  const projects = LANES.flat();
  const parts = projects.filter((project) => args.includes(project));
  const files = args.filter((arg) => !parts.includes(arg));
  const [first = [], ...beside] = args.length === 0 ? LANES : [parts.length > 0 ? parts : projects];
  const lanes = [
    runLane(first, files, () => Promise.resolve(services), false),
    ...beside.map((lane) => runLane(lane, [], once(start), true)),
  ];
  const { passed, failed } = summarize((await Promise.all(lanes)).flat());
  return interrupted ? 130 : failed === 0 && passed > 0 ? 0 : 1;
}

/** One project after the other. Servers that do not start are a failure of the project that wants them; the other lane goes on. */
async function runLane(
  projects: readonly string[],
  files: readonly string[],
  servicesOfIt: () => Promise<Services>,
  aside: boolean,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const project of projects) {
    try {
      const env = interrupted || project === ON_ITS_OWN ? {} : (await servicesOfIt()).env;
      // Asked to end, perhaps while the servers started.
      if (interrupted) {
        break;
      }
      outcomes.push(await runProject(project, { args: ["--passWithNoTests", ...files], env, aside }));
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      console.error(message);
      outcomes.push({
        step: project,
        passed: 0,
        failed: 1,
        isTests: true,
        seconds: 0,
        failures: [`${project}: ${message}`],
      });
    }
  }
  return outcomes;
}

async function serve({ env }: Services): Promise<number> {
  for (const [name, value] of Object.entries(env)) {
    console.log(`export ${name}=${value}`);
  }
  console.log("Ctrl-C ends them and removes their data");
  // Waiting for a signal alone would not keep the process alive.
  const alive = setInterval(() => undefined, 2 ** 30);
  await asked;
  clearInterval(alive);
  return 0;
}
