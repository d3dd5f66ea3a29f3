/** Pages of history that reach behind the room's log. */
import type { HistoryPage } from "../domain/commands.ts";
import type { SeenMessage, StoredMessage } from "../domain/records.ts";
import type { Result } from "../protocol/errors.ts";
import type { Reaction } from "../protocol/things.ts";

/** `before` and `after` are exclusive sequences; neither: the newest. */
export type HistoryRange = { before?: number | undefined; after?: number | undefined; limit: number };

/** What of `range` is behind the room's log, and so only in SQL; undefined when nothing is. */
export function olderRange(page: HistoryPage, range: HistoryRange): HistoryRange | undefined {
  const { before = Number.MAX_SAFE_INTEGER, after, limit } = range;
  // Everything from here on is in the log.
  const behind = Math.min(before, page.firstSeqId);
  if (after !== undefined) {
    return after + 1 >= behind ? undefined : { after, before: behind, limit };
  }
  const missing = limit - page.messages.length;
  return missing <= 0 || behind <= 1 ? undefined : { before: behind, limit: missing };
}

/** The page with what SQL has of `olderRange`. */
export function joinHistory(page: HistoryPage, range: HistoryRange, older: readonly StoredMessage[]): SeenMessage[] {
  const rows = [...older, ...page.messages];
  return range.after === undefined ? rows : rows.slice(0, range.limit);
}

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
  const missing = olderRange(page, range);
  return missing === undefined ? page.messages : joinHistory(page, range, await older(missing));
}

/** The room gave its part of a page with reactions; of what SQL added these have still to be asked for. */
export function withoutReactions(page: HistoryPage, rows: readonly SeenMessage[]): number[] {
  return rows.filter((row) => row.seqId < page.firstSeqId && row.recalledAt === undefined).map((row) => row.seqId);
}

/** The rows with the reactions that the room answered for `withoutReactions`. */
export function joinReactions(
  page: HistoryPage,
  rows: readonly SeenMessage[],
  reactions: Readonly<Record<number, Reaction[]>>,
): SeenMessage[] {
  return rows.map((row) => {
    const own = row.seqId < page.firstSeqId && row.recalledAt === undefined ? reactions[row.seqId] : undefined;
    return own === undefined ? row : { ...row, reactions: own };
  });
}

/**
 * The room's page, whole: rows behind its log from SQL, and their reactions from the room, which has them as well.
 * @param reactions asks the room; called only when something is missing. Refused: the rows go without
 */
export async function wholePage(
  page: HistoryPage,
  range: HistoryRange,
  older: (range: HistoryRange) => Promise<StoredMessage[]>,
  reactions: (seqIds: number[]) => Promise<Result<Readonly<Record<number, Reaction[]>>>>,
): Promise<SeenMessage[]> {
  const rows = await completeHistory(page, range, older);
  const seqIds = withoutReactions(page, rows);
  const found = seqIds.length === 0 ? undefined : await reactions(seqIds);
  return found?.ok === true ? joinReactions(page, rows, found.value) : rows;
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
