/** SQL may be late: whether somebody is a member, and of what, only the rooms themselves can say. */
import type { Actor } from "../domain/commands.ts";
import { WORLD } from "../domain/records.ts";
import { roomOf } from "../platform/stubs.ts";
import type { ConversationItem } from "../repo/types.ts";

/** Rooms asked at one time. */
const SLICE = 50;
type Asked = { items: ConversationItem[]; removed: string[] };

/**
 * Items as SQL has them, but where `versions` knows of a later change as the room has them: SQL has missed something there, which may
 * be a removal, and what was said since is in the cache already.
 */
export async function asRoomsSay(
  env: Env,
  actor: Actor,
  items: readonly ConversationItem[],
  versions: ReadonlyMap<string, number>,
): Promise<Asked> {
  const isBehind = ({ conversation: { conversationId, type, version } }: ConversationItem): boolean =>
    type !== WORLD && (versions.get(conversationId) ?? 0) > version;
  const behind = items.filter(isBehind);
  const asked = await askRooms(
    env,
    actor,
    behind.map((item) => item.conversation.conversationId),
  );
  const now = new Map(asked.items.map((item) => [item.conversation.conversationId, item]));
  return {
    removed: asked.removed,
    items: items.flatMap((item) => {
      const view = now.get(item.conversation.conversationId);
      return isBehind(item)
        ? view === undefined
          ? []
          : [{ ...view, muted: item.muted, pinned: item.pinned }]
        : [item];
    }),
  };
}

/** These conversations as their rooms have them: items for a member, and which are gone. */
export async function askRooms(env: Env, actor: Actor, ids: readonly string[]): Promise<Asked> {
  const asked: Asked = { items: [], removed: [] };
  for (let at = 0; at < ids.length; at += SLICE) {
    await Promise.all(
      ids.slice(at, at + SLICE).map(async (id) => {
        const view = await roomOf(env, id).view(actor);
        if (view.ok) {
          asked.items.push({ ...view.value, lastMessage: null, muted: false, pinned: false });
        } else {
          asked.removed.push(id);
        }
      }),
    );
  }
  return asked;
}
