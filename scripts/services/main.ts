/**
 * `npm run test:services`: the tests of test/services on a real Kafka, MariaDB and Redis, which this starts and ends. What
 * stands behind `--` goes to vitest: `npm run test:services -- cache` runs the files with that in their name.
 *
 * `npm run services` starts the three, prints how to reach them, and ends them at Ctrl-C.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { missingForServices, startServices, type Services } from "./index.ts";

const ROOT = join(import.meta.dirname, "../..");
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

const args = process.argv.slice(2);
const onlyServe = args[0] === "--serve";

let child: ChildProcess | undefined;
let services: Services | undefined;
/** The signal that asked for the end: the exit code says it, as a shell would. */
let interrupted = false;
const asked = new Promise<void>((resolve) => {
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      interrupted = true;
      child?.kill("SIGTERM");
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
  child = spawn(join(ROOT, "node_modules/.bin/vitest"), ["run", "--project", "services", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...env },
  });
  const [code] = await once(child, "exit");
  return interrupted ? 130 : typeof code === "number" ? code : 1;
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
