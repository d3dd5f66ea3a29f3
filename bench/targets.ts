/** The two servers of a run: ours as `npm start` runs it, and the baseline in the same version of workerd. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { workerdsOf } from "../scripts/start/leftover.ts";
import { freePort, startServer, type TestServer } from "../test/support/server.ts";
import { cpuSeconds, machineCpuSeconds } from "./meters.ts";

const SERVE_BASELINE = join(import.meta.dirname, "baseline/serve.ts");
const READY_WITHIN_MS = 30_000;
/** A server counts as quiet when its workerd, and the whole machine, used less than this in one look. */
const QUIET_CPU_S = 0.03;
const QUIET_MACHINE_CPU_S = 0.15;
const QUIET_LOOK_MS = 500;
const QUIET_WITHIN_MS = 20_000;

/**
 * The benchmark's users do in seconds what real ones do in hours, so the limits a user has are lifted. Everything else
 * is as `npm start` has it. Source of the names: src/platform/settings.ts.
 */
const LIFTED_LIMITS: Record<string, string> = {
  LIMIT_SENDS_PER_SECOND: "1000000",
  LIMIT_SENDS_BURST: "1000000",
  LIMIT_WORLD_SENDS_PER_SECOND: "1000000",
  LIMIT_WORLD_SENDS_BURST: "1000000",
  LIMIT_REQUESTS_PER_SECOND: "1000000",
  LIMIT_REQUESTS_BURST: "1000000",
  // The load client holds its tokens for the whole run.
  LIMIT_ACCESS_TOKEN_MS: "86400000",
};

export type TargetName = "ours" | "bare";

/** A running server. */
export interface Target {
  readonly name: TargetName;
  readonly url: string;
  /** The workerd process, without the Node process that started it. */
  readonly workerdPid: number;
  /** A new process on the same port and state. */
  restart(): Promise<void>;
  /** Ends it; its state goes with this process. */
  dispose(): Promise<void>;
}

export class OurServer implements Target {
  readonly name = "ours";
  /** Its state folder. */
  readonly folder: string;
  readonly #env: Record<string, string>;
  #server: TestServer;

  private constructor(folder: string, env: Record<string, string>, server: TestServer) {
    this.folder = folder;
    this.#env = env;
    this.#server = server;
  }

  /**
   * @param settings beside the lifted limits
   * @param port a free one when left out
   */
  static async start(settings: Readonly<Record<string, string>> = {}, port?: number): Promise<OurServer> {
    const folder = temporaryFolder("gochat-bench-");
    const env = { ...LIFTED_LIMITS, ...settings };
    const where = port === undefined ? { dataDir: folder } : { dataDir: folder, port };
    return new OurServer(folder, env, await startServer({ ...where, env }));
  }

  get url(): string {
    return this.#server.url;
  }

  get workerdPid(): number {
    return workerdIn(this.folder);
  }

  restart(): Promise<void> {
    return this.whileStopped(() => undefined);
  }

  /** Stops it, lets `work` at its state folder, and starts it again. */
  async whileStopped(work: (folder: string) => void): Promise<void> {
    const { port } = this.#server;
    await this.#server.stop();
    work(this.folder);
    this.#server = await startServer({ dataDir: this.folder, port, env: this.#env });
  }

  async dispose(): Promise<void> {
    await this.#server.dispose();
  }
}

export class BareServer implements Target {
  readonly name = "bare";
  readonly url: string;
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess;

  private constructor(folder: string, port: number, child: ChildProcess) {
    this.#folder = folder;
    this.#port = port;
    this.#child = child;
    this.url = `http://127.0.0.1:${port}`;
  }

  static async start(): Promise<BareServer> {
    const folder = temporaryFolder("gochat-bench-bare-");
    const port = await freePort();
    return new BareServer(folder, port, await serveBaseline(port, folder));
  }

  get workerdPid(): number {
    return workerdIn(this.#folder);
  }

  async restart(): Promise<void> {
    await this.#end();
    this.#child = await serveBaseline(this.#port, this.#folder);
  }

  async dispose(): Promise<void> {
    await this.#end();
  }

  async #end(): Promise<void> {
    const ended = once(this.#child, "close");
    this.#child.kill("SIGTERM");
    await ended;
  }
}

/**
 * Waits until a server has nothing left to do from what came before (queues, alarms, sockets that close), and a while
 * for other work on the machine to end.
 */
export async function quiet(target: Target): Promise<void> {
  const deadline = performance.now() + QUIET_WITHIN_MS;
  for (let calm = false; !calm && performance.now() < deadline;) {
    const [server, machine] = [cpuSeconds(target.workerdPid), machineCpuSeconds()];
    await sleep(QUIET_LOOK_MS);
    calm =
      cpuSeconds(target.workerdPid) - server <= QUIET_CPU_S && machineCpuSeconds() - machine <= QUIET_MACHINE_CPU_S;
  }
}

async function serveBaseline(port: number, folder: string): Promise<ChildProcess> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", SERVE_BASELINE, String(port), folder],
    {
      stdio: ["ignore", "pipe", "inherit"],
      // The mark by which scripts/start/leftover.ts finds the workerd of a folder.
      env: { ...process.env, GOCHAT_WORKERD_STATE: realpathSync(folder) },
    },
  );
  // SIGTERM, so that it can take its workerd along.
  process.on("exit", () => child.kill("SIGTERM"));
  const ready = new Promise<void>((resolve, reject) => {
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes("ready on ")) {
        resolve();
      }
    });
    child.once("exit", () => reject(new Error(`the baseline ended before it was ready: ${output}`)));
    setTimeout(() => reject(new Error("the baseline is not ready")), READY_WITHIN_MS).unref();
  });
  await ready;
  return child;
}

/** Removed at the end, also of an interrupted run. */
function temporaryFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

function workerdIn(folder: string): number {
  const [workerd, ...others] = workerdsOf(realpathSync(folder));
  if (workerd === undefined || others.length > 0) {
    throw new Error(`expected one workerd for ${folder}, found ${workerd === undefined ? 0 : others.length + 1}`);
  }
  return workerd.pid;
}
