/** Friends whose presence is wanted beyond what the server pushes: asked for again after each reconnect. */
export class PresenceWatch {
  readonly #wanted = new Set<string>();
  readonly #send: (userIds: string[], wanted: boolean) => void;

  constructor(send: (userIds: string[], wanted: boolean) => void) {
    this.#send = send;
  }

  watch(userIds: readonly string[], wanted: boolean): void {
    for (const userId of userIds) {
      if (wanted) {
        this.#wanted.add(userId);
      } else {
        this.#wanted.delete(userId);
      }
    }
    if (userIds.length > 0) {
      this.#send([...userIds], wanted);
    }
  }

  /** A new connection knows nothing of it. */
  again(): void {
    if (this.#wanted.size > 0) {
      this.#send([...this.#wanted], true);
    }
  }
}
