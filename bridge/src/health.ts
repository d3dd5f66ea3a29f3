/** How the engines are: asked when somebody wants to know, and once at the start. What has changed is a line in the log. */
import type { Deps, Dialect } from "./dialect.ts";
import { describeError } from "./log.ts";

/** An engine that does not answer in this time is not healthy. */
const LIMIT_MS = 2_000;

const ENGINES: Readonly<Record<Dialect["name"], { name: string; setting: string }>> = {
  kafka: { name: "Kafka", setting: "KAFKA_BROKERS" },
  redis: { name: "Redis", setting: "REDIS_URL" },
  planetscale: { name: "MySQL", setting: "MYSQL_URL" },
};

type Checked = Pick<Dialect, "name" | "health">;

export class EngineHealth {
  readonly #dialects: readonly Checked[];
  readonly #deps: Deps;
  /** Those that did not answer the last time. */
  readonly #down = new Set<Dialect["name"]>();

  constructor(dialects: readonly Checked[], deps: Deps) {
    this.#dialects = dialects;
    this.#deps = deps;
  }

  /** Never rejects. */
  check(): Promise<{ name: Dialect["name"]; up: boolean }[]> {
    return Promise.all(this.#dialects.map((dialect) => this.#checkOne(dialect)));
  }

  async #checkOne({ name, health }: Checked): Promise<{ name: Dialect["name"]; up: boolean }> {
    const { log, metrics } = this.#deps;
    const engine = ENGINES[name];
    let up = true;
    try {
      await within(LIMIT_MS, health());
      if (this.#down.delete(name)) {
        log("info", `${engine.name} answers again`, { engine: name });
      }
    } catch (error) {
      up = false;
      if (!this.#down.has(name)) {
        this.#down.add(name);
        const message = `${engine.name} does not answer: is it running, and is ${engine.setting} right?`;
        log("warn", message, { engine: name, error: describeError(error) });
      }
    }
    metrics.engineUp.set({ dialect: name }, up ? 1 : 0);
    return { name, up };
  }
}

/** Rejects when the work takes longer; the work itself goes on. */
function within<Value>(limitMs: number, work: Promise<Value>): Promise<Value> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${limitMs} ms`)), limitMs);
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
