/** How often one user may do something in a room. In memory: whoever outwaits the room has waited long enough. */
import { fullBucket, takeToken, type Bucket, type Rate } from "./rate.ts";

/** Users remembered; the one who was longest quiet leaves first, with a full bucket. */
const USERS = 1_000;

export class ChangeBrake {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes one token; answers 0, or the milliseconds until one is there. */
  take(userId: string, now: number): number {
    const bucket = this.#buckets.get(userId) ?? fullBucket(this.#rate, now);
    this.#buckets.delete(userId);
    this.#buckets.set(userId, bucket);
    if (this.#buckets.size > USERS) {
      const [longestQuiet] = this.#buckets.keys();
      this.#buckets.delete(longestQuiet ?? "");
    }
    return takeToken(bucket, this.#rate, now);
  }
}
