/** Keeps a direct conversation open or closed, as its two users are friends or not. */
import { usersOfDirect } from "../platform/ids.ts";

type Parts = {
  conversationId: string;
  areFriends(a: string, b: string): Promise<boolean>;
  apply(friends: boolean): void;
};

export class DirectDoor {
  readonly #parts: Parts;
  #reading: Promise<void> = Promise.resolve();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Something about the friendship has changed. The room itself reads what is so now, one reading after the other: whatever
   * order the news come in, the last reading begins after the last change, and nothing older can overwrite it.
   * @throws SqlUnavailable; the event of the change brings the news again
   */
  look(): Promise<void> {
    const users = usersOfDirect(this.#parts.conversationId);
    if (users === null) {
      return Promise.resolve();
    }
    this.#reading = this.#reading
      .catch(() => undefined)
      .then(async () => this.#parts.apply(await this.#parts.areFriends(...users)));
    return this.#reading;
  }
}
