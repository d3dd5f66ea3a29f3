/** `npm start`: the whole backend on this machine, in one workerd, with its state in one folder. */
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { LOCAL, parseSettings, type Settings } from "../../src/platform/settings.ts";
import { bundleWorker } from "./bundle.ts";
import { reasonOf, StartError } from "./errors.ts";
import { endLeftovers, watchForWorkerd } from "./leftover.ts";
import { noteRowsIn, refuseForgottenCopy } from "./rowsIn.ts";
import { readStartSettings, type StartSettings } from "./settings.ts";
import { signingKeys } from "./signingKeys.ts";
import { StateFolder } from "./stateFolder.ts";

/** How long the port of a leftover that was killed may stay taken, and how often it is tried meanwhile. */
const PORT_FREED_MS = 5_000;
const POLL_MS = 20;

const ROOT = join(import.meta.dirname, "../..");

/** Nothing that has to be saved happens at the end, so an end that hangs is cut short. */
const STOP_MS = 3_000;

/** Starts the server and returns when it accepts requests. Prints one sentence and exits with 1 when it cannot start. */
export async function start(): Promise<void> {
  const shutdown = new Shutdown();
  try {
    await run(shutdown);
  } catch (error) {
    // An interrupted start fails in many ways, and none of them is news.
    if (!shutdown.begun) {
      console.error(error instanceof StartError ? error.message : error);
    }
    await shutdown.stop(1);
  }
}

async function run(shutdown: Shutdown): Promise<void> {
  const settings = readStartSettings(process.env);
  const folder = StateFolder.open(settings.dataFolder);
  shutdown.onStop(() => folder.close());
  const variables = {
    ...settings.workerSettings,
    JWT_KEYS: settings.jwtKeys ?? signingKeys(folder.path),
    GOCHAT_LOCAL: LOCAL,
  };
  const engines = checked(variables);
  const { planetscale, sql } = engines;
  refuseForgottenCopy(folder.path, sql);

  const ended = await endLeftovers(folder);
  if (ended > 0) {
    console.log(`ended ${ended} workerd that a killed server had left behind`);
  }
  await refuseTakenPort(settings, ended > 0 ? () => endLeftovers(folder) : undefined);
  watchForWorkerd(folder);
  process.env["TMPDIR"] = folder.emptyTemporary();

  const building = bundleWorker(join(ROOT, "src/worker.ts"));
  building.catch(() => {}); // Awaited below; until then a failure is not unhandled.
  if (engines.kafka !== undefined || engines.redis !== undefined) {
    const { checkEngines } = await import("./engines.ts");
    for (const problem of await checkEngines(engines)) {
      console.error(problem);
    }
  }
  if (planetscale !== undefined) {
    await migrateIfThere(planetscale.url);
  }
  // Loading wrangler and miniflare takes a second: it is done while the Worker builds, and not before all is well.
  const { Server } = await import("./server.ts");
  noteRowsIn(folder.path, [sql]);
  const server = new Server({
    root: ROOT,
    script: await building,
    variables,
    host: settings.host,
    port: settings.port,
    storage: folder.storage,
  });
  shutdown.takeSignals();
  shutdown.onStop(() => server.stop());
  try {
    const url = await server.ready();
    if (!shutdown.begun) {
      console.log(`ready on ${url}`);
    }
  } catch (error) {
    throw startErrorFrom(error, settings);
  }
}

/** What is to be undone at the end, last thing first: at the first SIGTERM or SIGINT, or when the start fails. */
class Shutdown {
  readonly #steps: (() => unknown)[] = [];
  #end: Promise<never> | undefined;

  constructor() {
    this.takeSignals();
    // Whoever read our output has gone: that is no reason to stop serving.
    process.stdout.on("error", () => {});
    process.stderr.on("error", () => {});
  }

  get begun(): boolean {
    return this.#end !== undefined;
  }

  /** To be called again after `new Miniflare`, whose own listeners exit at once with 143, before anything is undone. */
  takeSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      process.removeAllListeners(signal);
      process.on(signal, () => void this.stop(0));
    }
  }

  onStop(step: () => unknown): void {
    this.#steps.unshift(step);
  }

  /** Ends the process. Only the first call counts. */
  stop(exitCode: number): Promise<never> {
    this.#end ??= this.#undo(exitCode);
    return this.#end;
  }

  async #undo(exitCode: number): Promise<never> {
    setTimeout(() => process.exit(exitCode), STOP_MS).unref();
    for (const step of this.#steps) {
      try {
        await step();
      } catch (error) {
        console.error(error);
      }
    }
    process.exit(exitCode);
  }
}

function checked(variables: Record<string, string>): Settings {
  const parsed = parseSettings(variables);
  if (!parsed.ok) {
    throw new StartError(`The settings are not right: ${parsed.problems.join("; ")}.`);
  }
  return parsed.value;
}

/** Conversations go on while SQL is away, so a server comes up without it as well. */
async function migrateIfThere(url: string): Promise<void> {
  const { applyMysqlMigrations } = await import("./mysqlMigrations.ts");
  const away = await applyMysqlMigrations(url);
  if (away !== undefined) {
    console.error(`${away} Served without it; start again when it is back, should this release have new migrations.`);
  }
}

/**
 * Asked before workerd is, because a socket of ours says clearly what is wrong with the address. Where a leftover was
 * ended just now, its port may take a moment to be free, and a second one may still have been on its way.
 * @param endMore ends leftovers once more; absent when there was none
 */
async function refuseTakenPort(settings: StartSettings, endMore?: () => Promise<number>): Promise<void> {
  for (const deadline = performance.now() + PORT_FREED_MS; ;) {
    const error = await probe(settings);
    if (error === undefined) {
      return;
    }
    if (endMore === undefined || performance.now() > deadline || reasonOf(error) !== "EADDRINUSE") {
      throw startErrorFrom(error, settings);
    }
    await endMore();
    await sleep(POLL_MS);
  }
}

/** Why the address cannot be listened on; `undefined` when it can. */
async function probe({ host, port }: StartSettings): Promise<unknown> {
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port, exclusive: true }, resolve);
    });
    return undefined;
  } catch (error) {
    return error;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}

function startErrorFrom(error: unknown, { host, port }: Pick<StartSettings, "host" | "port">): unknown {
  const reason = reasonOf(error);
  if (reason === "EADDRINUSE" || reason === "ERR_ADDRESS_IN_USE") {
    return new StartError(
      `Port ${port} on ${host} is in use by another program: end that one, or set PORT to another.`,
    );
  }
  if (reason === "EACCES") {
    return new StartError(`Port ${port} on ${host} may not be opened by this user: set PORT to one above 1023.`);
  }
  if (reason === "EADDRNOTAVAIL" || reason === "ENOTFOUND" || reason === "EAI_AGAIN") {
    return new StartError(`HOST is "${host}", which is no address of this machine.`);
  }
  if (isBadPort(error)) {
    return new StartError(`Port ${port} is one that browsers refuse to talk to: set PORT to another.`);
  }
  return error;
}

/** `fetch` knows the ports of other protocols and refuses them, as browsers do. Source: Fetch Standard, "bad port". */
function isBadPort(error: unknown): boolean {
  return error instanceof Error && (error.message === "bad port" || isBadPort(error.cause));
}
