/**
 * One real server for tests: on a free port of the loopback, with data in a folder that is thrown away. It can be ended
 * and killed in the middle of a test and started again; port and data stay.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync } from "node:fs";
import { freePort } from "./freePort.ts";
import { findProgram } from "./programs.ts";

/** A first start of Kafka takes 3 to 6 s on an idle machine (two JVMs, one after the other). */
const READY_WITHIN_MS = 90_000;
const STOPPED_WITHIN_MS = 30_000;
/** Of what a server says, the end is enough to see why it did not start. */
const OUTPUT_CHARS = 16_000;

export interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Recipe {
  readonly name: string;
  /** Before each start; what it makes in `folder` is still there at the next one. */
  prepare?(folder: string, port: number): Promise<void>;
  command(folder: string, port: number): Command;
  /** The line of its own output that says that requests are answered: a stranger on the port cannot say it. */
  readonly ready: RegExp;
}

export class Service {
  readonly name: string;
  readonly port: number;
  readonly #recipe: Recipe;
  readonly #folder: string;
  #child: ChildProcess | undefined;
  #output = "";

  private constructor(recipe: Recipe, folder: string, port: number) {
    this.name = recipe.name;
    this.port = port;
    this.#recipe = recipe;
    this.#folder = folder;
  }

  /**
   * Starts a server and resolves when it answers.
   * @param folder where it keeps its data; made when it is not there
   * @throws Error with the last it said, when it does not start
   */
  static async start(recipe: Recipe, folder: string): Promise<Service> {
    const service = new Service(recipe, folder, await freePort());
    await service.start();
    return service;
  }

  /** Host and port as clients take them. */
  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** The server itself, not what has started it: `setpriv` becomes the program that it is given. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get output(): string {
    return this.#output;
  }

  /** Starts it again on the same port and data; does nothing while it runs. */
  async start(): Promise<void> {
    if (this.#runs) {
      return;
    }
    mkdirSync(this.#folder, { recursive: true });
    await this.#recipe.prepare?.(this.#folder, this.port);
    this.#output = "";
    this.#child = launch(this.#recipe.command(this.#folder, this.port));
    try {
      await this.#isReady(this.#child);
    } catch (error) {
      await this.kill();
      throw error;
    }
  }

  /** SIGTERM, and waits for the end; SIGKILL when that takes too long. */
  async stop(): Promise<void> {
    const patience = setTimeout(() => this.#child?.kill("SIGKILL"), STOPPED_WITHIN_MS);
    await this.#end("SIGTERM");
    clearTimeout(patience);
  }

  /** SIGKILL, as a crash of the server. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** SIGSTOP: it keeps its port and its connections, and answers nobody. */
  pause(): void {
    this.#child?.kill("SIGSTOP");
  }

  /** SIGCONT: it goes on as if no time had passed. */
  resume(): void {
    this.#child?.kill("SIGCONT");
  }

  /** Kills it and removes its data. */
  async dispose(): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #runs(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child !== undefined && this.#runs) {
      const ended = once(this.#child, "exit");
      this.#child.kill(signal);
      await ended;
    }
  }

  #isReady(child: ChildProcess): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(new Error(`${this.name} ${why}:\n${this.#output}`));
      };
      const timer = setTimeout(() => fail("is not ready in time"), READY_WITHIN_MS);
      const read = (text: string): void => {
        this.#output = (this.#output + text).slice(-OUTPUT_CHARS);
        if (this.#recipe.ready.test(this.#output)) {
          clearTimeout(timer);
          resolve();
        }
      };
      child.stdout?.setEncoding("utf8").on("data", read);
      child.stderr?.setEncoding("utf8").on("data", read);
      child.once("error", (error) => fail(`cannot be run (${error.message})`));
      // Not "exit": the last words come before "close".
      child.once("close", (code, signal) => fail(`ended (${code ?? signal}) before it was ready`));
    });
  }
}

/**
 * On Linux the child dies with this process, however that ends: no handler of ours runs after a kill -9. Elsewhere there is
 * no such thing, and a runner that is killed so leaves its servers behind.
 */
export function launch({ file, args, env }: Command): ChildProcess {
  const setpriv = process.platform === "linux" ? findProgram("setpriv") : undefined;
  const [program, all] = setpriv === undefined ? [file, args] : [setpriv, ["--pdeathsig", "KILL", file, ...args]];
  return spawn(program, all, {
    // A Ctrl-C at the terminal is for the runner, which ends them in its own order.
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...env },
  });
}
