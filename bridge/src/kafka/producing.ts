/**
 * Requests to produce that come while Kafka is busy with earlier ones of the same topic go to it together: one by one, a
 * broker takes some hundreds a second, and the thousand senders of a busy conversation are a thousand requests. One
 * flight a topic is under way, so records of a partition also keep their order when Kafka's client repeats a flight.
 */
import { hasKafkaError } from "./client.ts";

/** What one request wants to write: all or none of it is answered with success. */
export interface Parcel<Message, Placed> {
  readonly messages: readonly Message[];
  readonly bytes: number;
  resolve(placed: Placed[]): void;
  reject(error: unknown): void;
}

/** Sends messages of one topic and answers, in their order, where each is. */
export type Send<Message, Placed> = (messages: readonly Message[]) => Promise<Placed[]>;

/** Well below what a topic takes as one batch by default (`max.message.bytes`, 1 MB), should all go to one partition. */
const FLIGHT_BYTES = 500_000;
const FLIGHT_MESSAGES = 5_000;

/** Kafka refused the flight for what stands in it, not for what Kafka is like at the moment. */
const FAULTS_OF_MESSAGES = ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE", "INVALID_TIMESTAMP", "INVALID_RECORD"];

export class TopicFlights<Message, Placed> {
  readonly #send: Send<Message, Placed>;
  readonly #onIdle: () => void;
  #waiting: Parcel<Message, Placed>[] = [];
  #isFlying = false;

  /** @param onIdle when nothing is under way and nothing waits */
  constructor(send: Send<Message, Placed>, onIdle: () => void) {
    this.#send = send;
    this.#onIdle = onIdle;
  }

  produce(messages: readonly Message[], bytes: number): Promise<Placed[]> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ messages, bytes, resolve, reject });
      if (!this.#isFlying) {
        void this.#fly();
      }
    });
  }

  async #fly(): Promise<void> {
    this.#isFlying = true;
    while (this.#waiting.length > 0) {
      await this.#flight(this.#waiting.splice(0, countOf(this.#waiting)));
    }
    this.#isFlying = false;
    this.#onIdle();
  }

  async #flight(sent: readonly Parcel<Message, Placed>[]): Promise<void> {
    let parcels = sent;
    try {
      const placed = await this.#send(parcels.flatMap(({ messages }) => messages));
      let from = 0;
      for (const { messages, resolve } of parcels) {
        resolve(placed.slice(from, (from += messages.length)));
      }
    } catch (error) {
      const isOfMessages = FAULTS_OF_MESSAGES.some((name) => hasKafkaError(error, name));
      if (!isOfMessages) {
        // Who has waited behind it hears at once what they would hear after as long a flight of their own.
        parcels = [...parcels, ...this.#waiting.splice(0)];
      }
      if (!isOfMessages || parcels.length === 1) {
        parcels.forEach(({ reject }) => reject(error));
        return;
      }
      // The one that is at fault hears of it, the others do not.
      for (const parcel of parcels) {
        await this.#flight([parcel]);
      }
    }
  }
}

/** At least one: what is larger than a flight goes alone. */
function countOf(waiting: readonly { messages: readonly unknown[]; bytes: number }[]): number {
  let [bytes, messages, count] = [0, 0, 0];
  for (const parcel of waiting) {
    bytes += parcel.bytes;
    messages += parcel.messages.length;
    if (count > 0 && (bytes > FLIGHT_BYTES || messages > FLIGHT_MESSAGES)) {
      break;
    }
    count++;
  }
  return count;
}
