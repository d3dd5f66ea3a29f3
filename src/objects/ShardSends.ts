/** The way up through a shard: the sends of its users go to the room in batches, one flight at a time. */
import type { SendCommand } from "../domain/commands.ts";
import { Lane } from "../domain/lane.ts";
import type { StoredMessage } from "../domain/records.ts";
import { faultOfThrown } from "../platform/failures.ts";
import { roomOf } from "../platform/stubs.ts";
import { err, type Fault, type Result } from "../protocol/errors.ts";
import { describeError, log } from "../telemetry/log.ts";

/** Sends of one batch, and how many may wait; a shard serves thousands of users. */
const UP_LANE = { flight: 256, waiting: 4_096 };
const UNREACHABLE_RETRY_MS = 1_000;

type Parcel = { command: SendCommand; answer: (outcome: Result<StoredMessage>) => void };

export class ShardSends {
  readonly #env: Env;
  readonly #conversationId: string;
  readonly #lane = new Lane<Parcel>(UP_LANE);

  constructor(env: Env, conversationId: string) {
    this.#env = env;
    this.#conversationId = conversationId;
  }

  /** One outcome for each send, in their order. RATE_LIMITED when too many wait; UNAVAILABLE when the room was not reached. */
  send(sends: SendCommand[]): Promise<Result<StoredMessage>[]> {
    const outcomes = sends.map(
      (command) =>
        new Promise<Result<StoredMessage>>((answer) => {
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
        const outcomes = await roomOf(this.#env, this.#conversationId).append(flight.map((parcel) => parcel.command));
        this.#lane.land().forEach((parcel, index) => {
          parcel.answer(outcomes[index] ?? err({ name: "INTERNAL" }));
        });
      } catch (error) {
        log("warn", "a batch of sends did not reach its room", {
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
