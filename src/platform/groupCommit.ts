/**
 * Group commit: what several calls of an object write at about the same time goes to disk in one transaction. Each commit
 * costs an fsync, and while one is under way the object's answers wait for it: when thousands connect at once, an object that
 * all of them write to would do nothing else.
 */

/** What is needed of `DurableObjectStorage`. */
type Storage = { transactionSync(work: () => void): void };

export class GroupCommit {
  readonly #storage: Storage;
  #writes: (() => void)[] = [];
  #committed: Promise<void> | undefined;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /**
   * Makes `write` part of the next transaction, after those that were added before it.
   * @returns resolves when the transaction is done; whoever answers after that answers, by the platform's output gate, after
   * the commit. Rejects for all of a transaction when one of its writes throws: none of them is kept
   */
  add(write: () => void): Promise<void> {
    this.#writes.push(write);
    this.#committed ??= this.#commitSoon();
    return this.#committed;
  }

  async #commitSoon(): Promise<void> {
    // One timer, which fires when the calls that have already arrived have run.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const writes = this.#writes;
    this.#writes = [];
    this.#committed = undefined;
    this.#storage.transactionSync(() => {
      for (const write of writes) {
        write();
      }
    });
  }
}
