/**
 * The server that end-to-end tests, chaos runs and benchmarks use: `npm start`'s own script as a child process, on a
 * free port and a state folder of its own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort } from "../../scripts/services/freePort.ts";
import { workerdsOf } from "../../scripts/start/leftover.ts";
// Its code is loaded only where it is wanted: it brings the bridge's packages along.
import type { ServerEngines } from "../services/support/engines.ts";

export { freePort } from "../../scripts/services/freePort.ts";

const ROOT = join(import.meta.dirname, "../..");
const START_SCRIPT = join(ROOT, "scripts/start.mjs");

/** What DESIGN promises for the first start after install; a machine that runs other tests at once gets more. */
const READY_WITHIN_MS = 30_000;
const STOPPED_WITHIN_MS = 10_000;
const POLL_MS = 10;

export interface ServerOptions {
  /** Settings for the server, on top of this process's environment. */
  env?: Record<string, string>;
  /** State folder; without one a temporary folder is made, and removed by `dispose`. */
  dataDir?: string;
  /** Without one a free port is chosen. */
  port?: number;
}

export interface ServerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** One run of `npm start`. To restart, start another with the same `dataDir` and `port`. */
export class TestServer {
  readonly url: string;
  /** The same address for sockets: `ws://…`. */
  readonly socketUrl: string;
  readonly port: number;
  readonly dataDir: string;
  /** What it runs on instead of the embedded engines. */
  readonly engines: ServerEngines | undefined;
  /** Resolves when the server accepts requests, rejects with its output when it ends before that. */
  readonly ready: Promise<void>;
  /** Resolves when the Node process has ended; workerd may live on. */
  readonly exited: Promise<ServerExit>;

  readonly #child: ChildProcess;
  readonly #ownsDataDir: boolean;
  #stdout = "";
  #stderr = "";

  constructor(options: ServerOptions & { port: number }, engines?: ServerEngines) {
    this.engines = engines;
    this.#ownsDataDir = options.dataDir === undefined;
    this.dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), "gochat-test-"));
    this.port = options.port;
    this.url = `http://127.0.0.1:${this.port}`;
    this.socketUrl = `ws://127.0.0.1:${this.port}`;
    this.#child = spawn(process.execPath, [START_SCRIPT], {
      cwd: ROOT,
      // A process group of its own, so that Node and workerd can be killed together.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PORT: String(this.port), GOCHAT_DATA: this.dataDir, ...options.env },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.#stdout += text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => (this.#stderr += text));
    this.exited = once(this.#child, "close").then(([code, signal]) => ({ code, signal }));
    this.ready = this.#awaitReady();
    this.ready.catch(() => {}); // Whoever does not await it does not want to know.
    living.add(this);
    void this.exited.then(() => living.delete(this));
  }

  /** The Node process, which is also the id of the process group. */
  get pid(): number {
    return this.#child.pid ?? -1;
  }

  /** Everything written to standard output, then everything written to standard error. */
  get output(): string {
    return this.#stdout + this.#stderr;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<ServerExit> {
    this.#child.kill("SIGTERM");
    return await within(STOPPED_WITHIN_MS, this.exited, () => `the server did not stop:\n${this.output}`);
  }

  /** SIGKILL to the Node process alone: workerd lives on, as after an out-of-memory kill. */
  async killParent(): Promise<void> {
    this.#child.kill("SIGKILL");
    // "close" would wait for workerd, which may hold the other ends of the pipes.
    if (this.#nodeRuns) {
      await once(this.#child, "exit");
    }
  }

  /** SIGKILL to Node and workerd at the same moment, as in a power cut; waits until both are gone. */
  async killGroup(): Promise<void> {
    const deadline = performance.now() + STOPPED_WITHIN_MS;
    while (this.#nodeRuns || this.#workerdRuns()) {
      if (performance.now() > deadline) {
        throw new Error(`process group ${this.pid} survives SIGKILL`);
      }
      this.killGroupNow();
      await sleep(POLL_MS);
    }
  }

  /** The signal alone, for handlers that cannot wait. */
  killGroupNow(): void {
    try {
      process.kill(-this.pid, "SIGKILL");
    } catch {
      // Everybody in the group is gone already.
    }
  }

  /** Ends whatever is left and removes the state folder, if this server made it. */
  async dispose(): Promise<void> {
    await this.killGroup();
    if (this.engines !== undefined) {
      const { releaseEngines } = await import("../services/support/engines.ts");
      await releaseEngines(this.dataDir);
    }
    if (this.#ownsDataDir) {
      rmSync(this.dataDir, { recursive: true, force: true });
    }
  }

  get #nodeRuns(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Is there a workerd that this server started? One that a later server on the same folder started is not meant. */
  #workerdRuns(): boolean {
    if (!existsSync(this.dataDir)) {
      return false;
    }
    return workerdsOf(realpathSync(this.dataDir)).some(({ pid }) => processGroupOf(pid) === this.pid);
  }

  async #awaitReady(): Promise<void> {
    const line = new Promise<void>((resolve) => {
      this.#child.stdout?.on("data", () => {
        if (/^ready on http/m.test(this.#stdout)) {
          resolve();
        }
      });
    });
    const ended = once(this.#child, "exit").then(async ([code, signal]) => {
      await sleep(POLL_MS); // The last words may come after the exit.
      throw new Error(`the server ended (${code ?? signal}) before it was ready:\n${this.output}`);
    });
    await within(READY_WITHIN_MS, Promise.race([line, ended]), () => `the server is not ready:\n${this.output}`);
  }
}

/** Starts a server without waiting for it. */
export async function launchServer(options: ServerOptions = {}): Promise<TestServer> {
  const others = process.env[ON_ENGINES] ? await import("../services/support/engines.ts") : undefined;
  const engines = await others?.enginesOf(options.dataDir, options.port);
  const port = engines?.port ?? options.port ?? (await freePort());
  const server = new TestServer({ ...options, port, env: { ...engines?.env, ...options.env } }, engines);
  if (engines !== undefined) {
    others?.keepEngines(server.dataDir, engines);
  }
  return server;
}

/**
 * With this variable set, every server that is launched has other engines instead of the embedded ones: the same tests, on a real
 * MySQL and Redis (`npm run test:services`).
 */
export const ON_ENGINES = "GOCHAT_TEST_ENGINES";

/** Starts a server and waits until it accepts requests. */
export async function startServer(options: ServerOptions = {}): Promise<TestServer> {
  const server = await launchServer(options);
  try {
    await server.ready;
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

/** The fifth field of /proc/PID/stat; the second, the command, may hold blanks and parentheses. */
function processGroupOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[2]);
  } catch {
    return undefined; // It has just ended.
  }
}

async function within<T>(ms: number, promise: Promise<T>, message: () => string): Promise<T> {
  const timer = new AbortController();
  const late = sleep(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(message());
  });
  late.catch(() => {}); // Aborted in time.
  try {
    return await Promise.race([promise, late]);
  } finally {
    timer.abort();
  }
}

/** Servers of a test run that was interrupted end with it. */
const living = new Set<TestServer>();
process.on("exit", () => {
  for (const server of living) {
    server.killGroupNow();
  }
});
