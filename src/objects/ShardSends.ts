/** A way up through a shard: the sends of its users go on in batches, one flight at a time. */
import type { SendCommand } from "../domain/commands.ts";
import { Lane } from "../domain/lane.ts";
import { faultOfThrown } from "../platform/failures.ts";
import { err, type Fault, type Result } from "../protocol/errors.ts";
import { describeError, log } from "../telemetry/log.ts";

/** Sends of one batch, and how many may wait; a shard serves thousands of users. */
const UP_LANE = { flight: 256, waiting: 4_096 };
const UNREACHABLE_RETRY_MS = 1_000;

type Parcel<Value> = { command: SendCommand; answer: (outcome: Result<Value>) => void };

export class ShardSends<Value> {
  readonly #conversationId: string;
  readonly #deliver: (flight: SendCommand[]) => Promise<readonly Result<Value>[]>;
  readonly #lane = new Lane<Parcel<Value>>(UP_LANE);

  /** @param deliver takes a flight to where it goes: one outcome for each send, in their order */
  constructor(conversationId: string, deliver: (flight: SendCommand[]) => Promise<readonly Result<Value>[]>) {
    this.#conversationId = conversationId;
    this.#deliver = deliver;
  }

  /** One outcome for each send, in their order. RATE_LIMITED when too many wait; UNAVAILABLE when they did not get there. */
  send(sends: SendCommand[]): Promise<Result<Value>[]> {
    const outcomes = sends.map(
      (command) =>
        new Promise<Result<Value>>((answer) => {
          if (!this.#lane.offer({ command, answer })) {
            answer(err({ name: "RATE_LIMITED", retryAfterMs: UNREACHABLE_RETRY_MS }));
          }
        }),
    );
    void this.#depart();
    return Promise.all(outcomes);
  }

  async #depart(): Promise<void> {
    for (let flight = this.#lane.depart(); flight !== undefined; flight = this.#lane.depart()) {
      try {
        const outcomes = await this.#deliver(flight.map((parcel) => parcel.command));
        this.#lane.land().forEach((parcel, index) => {
          parcel.answer(outcomes[index] ?? err({ name: "INTERNAL" }));
        });
      } catch (error) {
        log("warn", "a batch of sends did not get through", {
          conversationId: this.#conversationId,
          error: describeError(error),
        });
        // Nobody knows what became of it: the senders repeat, in order, and are recognised.
        const thrown = faultOfThrown(error);
        const fault: Fault =
          thrown.name === "RATE_LIMITED" ? thrown : { name: "UNAVAILABLE", retryAfterMs: UNREACHABLE_RETRY_MS };
        for (const parcel of [...this.#lane.land(), ...this.#lane.abandon()]) {
          parcel.answer(err(fault));
        }
      }
    }
  }
}
