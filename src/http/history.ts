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
