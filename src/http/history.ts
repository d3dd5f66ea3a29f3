/** Pages of history that reach behind the room's log. */
import type { HistoryPage } from "../domain/commands.ts";
import type { SeenMessage, StoredMessage } from "../domain/records.ts";

/** `before` and `after` are exclusive sequences; neither: the newest. */
export type HistoryRange = { before?: number | undefined; after?: number | undefined; limit: number };

/**
 * The room's page, completed from SQL where it reaches behind the log: what has left the log is in SQL.
 * @param page what the room answered for `range`
 * @param older reads SQL; called only when something is missing
 */
export async function completeHistory(
  page: HistoryPage,
  range: HistoryRange,
  older: (range: HistoryRange) => Promise<StoredMessage[]>,
): Promise<SeenMessage[]> {
  const { before = Number.MAX_SAFE_INTEGER, after, limit } = range;
  const logged = page.messages;
  // Everything from here on is in the log.
  const behind = Math.min(before, page.firstSeqId);
  if (after !== undefined) {
    if (after + 1 >= behind) {
      return logged;
    }
    return [...(await older({ after, before: behind, limit })), ...logged].slice(0, limit);
  }
  const missing = limit - logged.length;
  if (missing <= 0 || behind <= 1) {
    return logged;
  }
  return [...(await older({ before: behind, limit: missing })), ...logged];
}

/** A query's bounds with its cursor in the place of the one that it continues. */
export function rangeOf(query: HistoryRange & { cursor?: number | undefined }): HistoryRange {
  const { before, after, limit, cursor } = query;
  if (cursor === undefined) {
    return { before, after, limit };
  }
  return after === undefined ? { before: cursor, limit } : { before, after: cursor, limit };
}

/** Where the next page begins; `null` when there is none. `head` is the last sequence of the conversation. */
export function nextOf(range: HistoryRange, rows: readonly { seqId: number }[], head: number): string | null {
  const { before = Number.MAX_SAFE_INTEGER, after } = range;
  const end = after === undefined ? rows.at(0) : rows.at(-1);
  if (end === undefined) {
    return null;
  }
  const isMore = after === undefined ? end.seqId > 1 : end.seqId < Math.min(head, before - 1);
  return isMore ? String(end.seqId) : null;
}
