/** The bus: at least once, in any order; a killed process takes everything with it. */
import type { FanoutTask, PersistBatch } from "../../src/domain/records.ts";
import type { TopicName } from "../../src/protocol/events.ts";
import { MS, SECOND } from "./kernel.ts";
import { Peer, type Reply } from "./net.ts";
import type { Sim } from "./sim.ts";

export type BusBody =
  | { topic: "persist"; batch: PersistBatch }
  | { topic: "fanout"; task: FanoutTask }
  | { topic: "event"; name: TopicName; body: string };

export class BusNode extends Peer {
  readonly #sim: Sim;
  #inside = 0;

  constructor(sim: Sim) {
    super("bus");
    this.#sim = sim;
  }

  publish(body: BusBody, reply: Reply<true>): void {
    if (this.#sim.isDown("busDown")) {
      reply("failed");
      return;
    }
    this.#enqueue(body, 1, this.#delayUs());
    if (this.#sim.hit("queueDuplicate")) {
      this.#enqueue(body, 1, this.#delayUs());
    }
    reply(true);
  }

  /** 1, 2, 4 … 60 seconds later, until it is given up. */
  retry(body: BusBody, attempts: number): void {
    if (attempts < this.#sim.maxAttempts) {
      this.#enqueue(body, attempts + 1, Math.min(60, 2 ** (attempts - 1)) * SECOND);
    }
  }

  /** The process died with what was in it. */
  lose(): void {
    this.#sim.hits.queueLost += this.#inside;
    this.#inside = 0;
    this.forget();
  }

  #delayUs(): number {
    const { random } = this.#sim;
    return this.#sim.hit("queueReordered") ? random.between(200, 4_000) * MS : random.between(300, 5_000);
  }

  #enqueue(body: BusBody, attempts: number, us: number): void {
    const { life } = this;
    this.#inside += 1;
    this.#sim.kernel.after(us, "queue", body.topic, () => {
      if (this.life === life) {
        this.#inside -= 1;
        this.#sim.consumers.consume(body, attempts);
      }
    });
  }
}
