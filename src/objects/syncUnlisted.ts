/** The part of `sync` about conversations that the client names and its list does not hold: is somebody still their member? */
import { isOutage } from "../cache/lastKnown.ts";
import type { Actor } from "../domain/commands.ts";
import type { SyncRequest } from "../protocol/frames.ts";
import { decodeCursor, encodeCursor } from "../repo/cursor.ts";
import { repositories } from "../repo/index.ts";
import type { ConversationItem } from "../repo/types.ts";
import { askRooms } from "./syncMembers.ts";

/** Rooms asked for one page; the others come with the next ones. */
const ASKED_ROOMS = 100;
/** First part of the cursor of such a page; then the last id that was asked for, and where the list goes on ("": nowhere). */
const MARK = "unlisted";

/** What a cursor says, when it is one of these pages; they come between the first page of the list and the second. */
export function furtherUnlisted(cursor: string | undefined): { after: string; listCursor: string | null } | undefined {
  const key = decodeCursor<readonly [string, string, string]>(cursor, [MARK, "", ""]);
  if (!key.ok || key.value === null || key.value[0] !== MARK) {
    return undefined;
  }
  const [, after, listCursor] = key.value;
  return { after, listCursor: listCursor === "" ? null : listCursor };
}

/**
 * Those of the named conversations that the page does not hold, by id after `after`. SQL may be late, so only a room itself can
 * say that somebody is not its member any more.
 * @returns `nextCursor` when there are more than could be asked for
 */
export async function unlistedOf(
  env: Env,
  actor: Actor,
  request: SyncRequest,
  listed: { readonly items: readonly ConversationItem[]; readonly nextCursor: string | null; readonly degraded?: true },
  after = "",
): Promise<{ items: ConversationItem[]; removed: string[]; nextCursor: string | null }> {
  const here = new Set(listed.items.map((item) => item.conversation.conversationId));
  const named = Object.keys(request.heads).filter((id) => !here.has(id) && id > after);
  if (named.length === 0) {
    return { items: [], removed: [], nextCursor: null };
  }
  // Those that SQL has come with another page of the list.
  const mine = listed.degraded ? new Set<string>() : await inSql(env, actor, named);
  const doubtful = named.filter((id) => !mine.has(id)).toSorted();
  const asked = doubtful.slice(0, ASKED_ROOMS);
  const { items, removed } = await askRooms(env, actor, asked);
  const isMore = doubtful.length > asked.length;
  const nextCursor = isMore ? encodeCursor([MARK, asked.at(-1) ?? "", listed.nextCursor ?? ""]) : null;
  return { items, removed, nextCursor };
}

/** None without SQL: then the rooms know best. */
async function inSql(env: Env, actor: Actor, ids: string[]): Promise<Set<string>> {
  try {
    return new Set(await repositories(env).conversations.idsAmong(actor.userId, ids));
  } catch (error) {
    if (!isOutage(error)) {
      throw error;
    }
    return new Set();
  }
}
