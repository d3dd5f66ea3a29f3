/** The Worker running in miniflare: bindings, migrations, and the first answer. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Log, LogLevel, Miniflare } from "miniflare";
import { miniflareOptions } from "./bindings.ts";
import { reasonOf, StartError } from "./errors.ts";
import { applyMigrations } from "./migrations.ts";

/** How long the Worker may take to answer its first request. */
const FIRST_ANSWER_MS = 15_000;
const POLL_MS = 20;

export interface ServerOptions {
  /** Absolute path of the repository. */
  readonly root: string;
  /** The bundled Worker. */
  readonly script: string;
  /** Settings and secrets for the Worker. */
  readonly variables: Readonly<Record<string, string>>;
  readonly host: string;
  readonly port: number;
  /** Absolute path of the folder for Durable Objects, D1 and R2. */
  readonly storage: string;
}

export class Server {
  readonly #miniflare: Miniflare;
  readonly #migrations: string;

  /** Starts workerd, which listens at once: what clients send before the migrations are applied may fail. */
  constructor({ root, ...run }: ServerOptions) {
    this.#migrations = join(root, "schema/migrations/sqlite");
    this.#miniflare = new Miniflare({
      ...miniflareOptions({ ...run, configPath: join(root, "wrangler.toml") }),
      log: new Log(LogLevel.WARN),
      // The Worker writes its log as JSON lines: they go out as they are.
      handleStructuredLogs: ({ level, message }) => {
        (level === "error" || level === "warn" ? console.error : console.log)(message);
      },
    });
  }

  /** Resolves to the address when a request has been answered there. */
  async ready(): Promise<string> {
    const url = (await this.#miniflare.ready).origin;
    await applyMigrations(await this.#miniflare.getD1Database("DB"), this.#migrations);
    await firstAnswer(url);
    return url;
  }

  stop(): Promise<void> {
    return this.#miniflare.dispose();
  }
}

/** The line `ready on …` is a promise: it is printed after a request has been answered. */
async function firstAnswer(url: string): Promise<void> {
  const deadline = performance.now() + FIRST_ANSWER_MS;
  for (;;) {
    const answer = await fetch(`${url}/health`).catch(reasonOf);
    if (answer instanceof Response && answer.ok) {
      await answer.arrayBuffer();
      return;
    }
    if (performance.now() > deadline) {
      const what = answer instanceof Response ? `${answer.status} ${await answer.text()}` : answer;
      throw new StartError(`The Worker does not answer ${url}/health: ${what}.`);
    }
    await sleep(POLL_MS);
  }
}
