/** Who hears that somebody has read on: those who wrote what was read, each once, the latest first. */

/** Messages looked at for their senders; a longer range is older than anybody waits for. */
const RECEIPT_RANGE = 10_000;
/** Senders told of one reader, the latest first: each is a call, and a big group has many readers. */
export const RECEIPT_SENDERS = 500;

/** Where the look for senders begins (exclusive), for a pointer that moved from `from` to `to`. */
export function receiptsAfter(from: number, to: number): number {
  return Math.max(from, to - RECEIPT_RANGE);
}

/** The end (inclusive) of what has to be asked of SQL because it has left the log; undefined when the log has it all. */
export function olderReceiptsUpTo(
  after: number,
  to: number,
  logged: { userIds: readonly string[]; firstSeqId: number },
): number | undefined {
  const { userIds, firstSeqId } = logged;
  return after + 1 < firstSeqId && userIds.length < RECEIPT_SENDERS ? Math.min(to, firstSeqId - 1) : undefined;
}

/** The senders to tell: of the log first, then of SQL, never the reader. */
export function receiptSenders(readerId: string, logged: readonly string[], older: readonly string[]): string[] {
  const senders = [...new Set([...logged, ...older])].slice(0, RECEIPT_SENDERS);
  return senders.filter((userId) => userId !== readerId);
}
