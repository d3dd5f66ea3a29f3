/** The consumer instances that are open at this bridge, by group and name. */
import { ConsumerInstance, type InstanceOptions } from "./instance.ts";
import { KafkaProblem } from "./problems.ts";
import type { KafkaSettings } from "./settings.ts";

export class ConsumerInstances {
  readonly #settings: KafkaSettings;
  readonly #open = new Map<string, ConsumerInstance>();

  constructor(settings: KafkaSettings) {
    this.#settings = settings;
  }

  get all(): readonly ConsumerInstance[] {
    return [...this.#open.values()];
  }

  find(group: string, name: string): ConsumerInstance | undefined {
    return this.#open.get(keyOf(group, name));
  }

  /** The instance of this name; one with other topics makes way. @throws KafkaProblem 503 when there are too many */
  async open(options: InstanceOptions): Promise<ConsumerInstance> {
    const key = keyOf(options.group, options.name);
    // Again after each wait: somebody else may have opened it meanwhile.
    for (let found = this.#open.get(key); found; found = this.#open.get(key)) {
      if (sameTopics(found.options.topics, options.topics)) {
        return found;
      }
      await found.close();
    }
    if (this.#open.size >= this.#settings.maxInstances) {
      throw new KafkaProblem(503, "too many consumers are open");
    }
    const made = new ConsumerInstance(this.#settings, options, () => {
      if (this.#open.get(key) === made) {
        this.#open.delete(key);
      }
    });
    this.#open.set(key, made);
    return made;
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((instance) => instance.close()));
  }
}

function keyOf(group: string, name: string): string {
  return JSON.stringify([group, name]);
}

function sameTopics(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((topic) => b.includes(topic));
}
