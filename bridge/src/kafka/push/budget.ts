/**
 * Bounded memory: what all partitions of all groups may hold together of records that were read and are not done. Each
 * has the same share, so that a partition whose records nobody takes cannot eat up what the others need.
 */
export class Budget {
  readonly #totalBytes: number;
  readonly #mostBytes: number;
  readonly #counts = new Map<string, number>();

  /** @param mostBytes more than this helps no partition, however few there are */
  constructor(totalBytes: number, mostBytes: number) {
    this.#totalBytes = totalBytes;
    this.#mostBytes = mostBytes;
  }

  /** How many partitions a group has here. */
  share(group: string, partitions: number): void {
    this.#counts.set(group, partitions);
  }

  /** A partition that holds less is read on, by at most as much again: so a share is half of what it may come to. */
  get bytesPerPartition(): number {
    const partitions = [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
    return Math.min(this.#mostBytes, Math.ceil(this.#totalBytes / (2 * Math.max(1, partitions))));
  }
}
