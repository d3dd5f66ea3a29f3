/**
 * `npm run test:services`: on a real Kafka, MariaDB and Redis, which this starts and ends, first the tests of test/services, then
 * a short fault run, then the suites that `npm test` runs on the embedded engines, end to end and chaos. Names of projects behind
 * `--` run those parts alone (services, engineFaults, engines, engineRest). What else stands there goes to vitest: `npm run test:services -- cache`
 * runs the files with that in their name.
 *
 * `npm run test:services -- faults` is the long fault run on these servers; test/chaos/engines.ts has its options.
 *
 * `npm run services` starts the three, prints how to reach them, and ends them at Ctrl-C.
 */
import { interruptRun, run as runProgram, runProject, summarize } from "../testRuns.ts";
import { missingForServices, startServices, type Services } from "./index.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** Of vitest.config.ts, cheapest first. */
const PROJECTS = ["services", "engineFaults", "engines", "engineRest"];
const FAULT_RUN = "test/chaos/engines.ts";
/** node:sqlite says at each start that it is new. */
const NO_WARNING = "--disable-warning=ExperimentalWarning";

const args = process.argv.slice(2);
const onlyServe = args[0] === "--serve";

let services: Services | undefined;
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
    console.log("starting Kafka, MariaDB and Redis");
    const began = performance.now();
    services = await startServices(console.log);
    console.log(`they answer after ${((performance.now() - began) / 1000).toFixed(1)} s`);
    if (interrupted) {
      return 130;
    }
    return onlyServe ? await serve(services) : await test(services);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await services?.dispose();
  }
}

async function test({ env }: Services): Promise<number> {
  const parts = PROJECTS.filter((project) => args.includes(project));
  const files = args.filter((arg) => !parts.includes(arg));
  const outcomes = [];
  for (const project of parts.length > 0 ? parts : PROJECTS) {
    if (!interrupted) {
      outcomes.push(await runProject(project, { args: ["--passWithNoTests", ...files], env }));
    }
  }
  const { passed, failed } = summarize(outcomes);
  return interrupted ? 130 : failed === 0 && passed > 0 ? 0 : 1;
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
