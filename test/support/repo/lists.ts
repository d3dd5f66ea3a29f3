import { describe, it } from "vitest";
import type { RoomRecord } from "../../../src/domain/records.ts";
import { newId } from "../../../src/platform/ids.ts";
import { DEAD_LETTER_QUEUE } from "../../../src/protocol/events.ts";
import type { ConversationItem } from "../../../src/repo/types.ts";
import { conversation, groupId, member, message, NOW, removed, sent, state } from "./recordMakers.ts";
import type { RepoUnderTest } from "./underTest.ts";

/** Lists of the queryable copy, settings of members, dead letters. */
export function listCases({ repo, sql }: RepoUnderTest): void {
  function apply(...records: RoomRecord[]): Promise<void> {
    return repo.persistence.applyRoomRecords(records);
  }

  async function item(conversationId: string, userId: string): Promise<ConversationItem | undefined> {
    return (await repo.conversations.items(userId, [conversationId]))[0];
  }

  describe("conversation list", () => {
    it("is pinned first, then newest activity, page by page, with the world in it", async ({ expect }) => {
      const user = newId(NOW);
      const ids = [groupId(), groupId(), groupId(), groupId()];
      for (const [i, id] of ids.entries()) {
        await apply(
          conversation(1, state(id, { createdAt: NOW + i })),
          member(id, 2, user),
          sent(3, message(id, 1, { createdAt: NOW + 100 - i })),
        );
      }
      const [a = "", b = "", c = "", d = ""] = ids;
      await repo.conversations.setSettings(c, user, { pinned: true });
      await apply(removed(d, 4, user));
      const seen: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await repo.conversations.list(user, { limit: 1, cursor });
        expect(page.ok && page.value.items.length).toBe(1);
        const value = page.ok ? page.value : { items: [], nextCursor: null };
        seen.push(...value.items.map((one) => one.conversation.conversationId));
        cursor = value.nextCursor ?? undefined;
      } while (cursor !== undefined);
      // The world room was made by the migration, just now, so its activity is newer than the year of these.
      expect(seen).toEqual([c, "world_chat_room", a, b]);
      const whole = await repo.conversations.list(user, { limit: 100 });
      expect(whole.ok && whole.value.items.map((one) => one.conversation.conversationId)).toEqual(seen);
      expect(whole.ok && whole.value.items[0]).toMatchObject({
        pinned: true,
        muted: false,
        headSeqId: 1,
        readSeqId: 0,
      });
      expect(await repo.conversations.list(user, { limit: 1, cursor: "nonsense" })).toMatchObject({
        ok: false,
        fault: { name: "INVALID_INPUT" },
      });
    });

    it("is the same in one statement, but for last messages", async ({ expect }) => {
      const user = newId(NOW);
      const ids = [groupId(), groupId(), groupId()];
      for (const [i, id] of ids.entries()) {
        await apply(
          conversation(1, state(id, { createdAt: NOW + i, ...(i === 0 ? { dismissedAt: NOW + 9 } : {}) })),
          member(id, 2, user, { role: 3 }),
          sent(3, message(id, 1, { createdAt: NOW + 100 - i })),
          { kind: "readPointer", conversationId: id, logId: 4, userId: user, readSeqId: i },
        );
      }
      await repo.conversations.setSettings(ids[2] ?? "", user, { pinned: true, muted: true });
      await repo.conversations.setSettings("world_chat_room", user, { muted: true });
      for (const page of [{ limit: 1 }, { limit: 2 }, { limit: 100 }]) {
        let cursor: string | undefined;
        do {
          const [whole, light] = await Promise.all([
            repo.conversations.list(user, { ...page, cursor }),
            repo.conversations.listWithoutMessages(user, { ...page, cursor }),
          ]);
          const value = whole.ok ? whole.value : { items: [], nextCursor: null };
          const items = value.items.map((one) => ({ ...one, lastMessage: null }));
          expect(items).not.toEqual([]);
          expect(light).toEqual({ ok: true, value: { ...value, items } });
          cursor = value.nextCursor ?? undefined;
        } while (cursor !== undefined);
      }
      expect(await repo.conversations.listWithoutMessages(newId(NOW), { limit: 9 })).toMatchObject({
        value: { items: [{ conversation: { type: 3 }, role: 1, muted: false, pinned: false, readSeqId: 0 }] },
      });
      expect(await repo.conversations.listWithoutMessages(user, { limit: 1, cursor: "nonsense" })).toMatchObject({
        ok: false,
        fault: { name: "INVALID_INPUT" },
      });
    });

    it("tells which of some ids it holds", async ({ expect }) => {
      const user = newId(NOW);
      const [here, gone, over] = [groupId(), groupId(), groupId()];
      await apply(conversation(1, state(here)), member(here, 2, user));
      await apply(conversation(1, state(gone)), member(gone, 2, user), removed(gone, 3, user));
      await apply(conversation(1, state(over, { dismissedAt: NOW })), member(over, 2, user));
      const asked = [over, here, groupId(), gone, "world_chat_room"];
      expect(await repo.conversations.idsAmong(user, asked)).toEqual([here, "world_chat_room"]);
      expect(await repo.conversations.idsAmong(user, [])).toEqual([]);
    });

    it("keeps a user's own settings through records of the room, and drops them with a removal", async ({ expect }) => {
      const [id, user] = [groupId(), newId(NOW)];
      await apply(conversation(1, state(id)), member(id, 2, user));
      expect(await repo.conversations.setSettings(id, user, { muted: true })).toBe(true);
      expect(await repo.conversations.setSettings(id, user, { pinned: true })).toBe(true);
      await apply(member(id, 3, user, { role: 2 }));
      expect(await item(id, user)).toMatchObject({ muted: true, pinned: true, role: 2 });
      await apply(removed(id, 4, user));
      expect(await item(id, user)).toBeUndefined();
      expect(await repo.conversations.setSettings(id, user, { muted: true })).toBe(false);
      await apply(member(id, 5, user));
      expect(await item(id, user)).toMatchObject({ muted: false, pinned: false });
    });

    it("lets everybody pin and mute the world", async ({ expect }) => {
      const user = newId(NOW);
      expect(await repo.conversations.setSettings("world_chat_room", user, { pinned: true })).toBe(true);
      expect(await repo.conversations.setSettings("world_chat_room", user, { muted: true })).toBe(true);
      expect(await item("world_chat_room", user)).toMatchObject({ pinned: true, muted: true, role: 1 });
      expect(await item("world_chat_room", "another")).toMatchObject({ pinned: false, muted: false });
      expect(await repo.conversations.isMember("world_chat_room", "anybody")).toBe(true);
    });

    it("leaves out what was dismissed, and unknown ids", async ({ expect }) => {
      const [id, user] = [groupId(), newId(NOW)];
      await apply(conversation(1, state(id)), member(id, 2, user));
      await apply(conversation(3, state(id, { dismissedAt: NOW + 3 })));
      expect(await repo.conversations.items(user, [id, "group_nothing"])).toEqual([]);
      const list = await repo.conversations.list(user, { limit: 100 });
      expect(list.ok && list.value.items.map((one) => one.conversation.type)).toEqual([3]);
    });

    it("names all conversations of a user by id, page by page", async ({ expect }) => {
      const user = newId(NOW);
      const ids = [groupId(), groupId(), groupId()];
      for (const id of ids) {
        await apply(member(id, 1, user));
      }
      const first = await repo.conversations.idsOf(user, { limit: 3 });
      expect(first.items).toEqual(ids.toSorted());
      const second = await repo.conversations.idsOf(user, { limit: 3, cursor: first.nextCursor ?? undefined });
      expect(second).toEqual({ items: ["world_chat_room"], nextCursor: null });
    });

    it("pages through messages both ways", async ({ expect }) => {
      const id = groupId();
      await apply(...Array.from({ length: 9 }, (_, i) => sent(i + 1, message(id, i + 1))));
      const seqs = async (page: { before?: number; after?: number; limit: number }): Promise<number[]> =>
        (await repo.conversations.messages(id, page)).map((row) => row.seqId);
      expect(await seqs({ limit: 3 })).toEqual([7, 8, 9]);
      expect(await seqs({ limit: 3, before: 7 })).toEqual([4, 5, 6]);
      expect(await seqs({ limit: 3, after: 0 })).toEqual([1, 2, 3]);
      expect(await seqs({ limit: 3, after: 4, before: 6 })).toEqual([5]);
      expect(await seqs({ limit: 3, after: 9 })).toEqual([]);
    });
  });

  describe("dead letters", () => {
    it("are kept once, with the reason that came first and the newest body, and open again when they come back", async ({
      expect,
    }) => {
      const queue = "gochat-messages-persist";
      const first = {
        deadLetterId: newId(NOW),
        queue,
        messageId: newId(NOW),
        body: "{}",
        attempts: 6,
        error: "why",
        createdAt: NOW,
      };
      await repo.deadLetters.add(first);
      await repo.deadLetters.markReplayed(first.deadLetterId, NOW + 1);
      expect((await repo.deadLetters.byId(first.deadLetterId))?.replayedAt).toBe(NOW + 1);
      const open = await repo.deadLetters.openCount();
      const again = {
        ...first,
        queue: DEAD_LETTER_QUEUE,
        body: "[]",
        attempts: 1,
        error: undefined,
        createdAt: NOW + 2,
      };
      await repo.deadLetters.add({ ...again, deadLetterId: newId(NOW) });
      expect(await repo.deadLetters.openCount()).toBe(open + 1);
      const letters = await sql("SELECT letter_id FROM dead_letters WHERE message_id = ?", first.messageId);
      expect(letters).toEqual([{ letter_id: first.deadLetterId }]);
      expect(await repo.deadLetters.byId(first.deadLetterId)).toEqual({
        letterId: first.deadLetterId,
        queue,
        body: "[]",
        attempts: 6,
        error: "why",
        createdAt: NOW,
        replayedAt: null,
      });
      expect(await repo.deadLetters.byId("nothing")).toBeNull();
    });

    it("are listed page by page, the newest first", async ({ expect }) => {
      const ids = [newId(NOW + 1), newId(NOW + 2), newId(NOW + 3)];
      for (const id of ids) {
        const letter = { queue: DEAD_LETTER_QUEUE, messageId: id, body: "{}", attempts: 1, error: undefined };
        await repo.deadLetters.add({ deadLetterId: id, ...letter, createdAt: NOW });
      }
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await repo.deadLetters.list({ limit: 2, cursor });
        const value = page.ok ? page.value : { items: [], nextCursor: null };
        found.push(...value.items.map((letter) => letter.letterId));
        cursor = value.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(found).toEqual(found.toSorted().toReversed());
      expect(found.filter((id) => ids.includes(id))).toEqual(ids.toReversed());
      expect(await repo.deadLetters.list({ limit: 2, cursor: "nonsense" })).toMatchObject({
        fault: { name: "INVALID_INPUT" },
      });
    });
  });

  describe("ping", () => {
    it("tells whether SQL answers", async ({ expect }) => {
      expect(await repo.ping()).toBe(true);
    });
  });
}
