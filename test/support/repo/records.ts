import { describe, it } from "vitest";
import type {
  ConversationState,
  InviteState,
  MemberState,
  RoomRecord,
  StoredMessage,
} from "../../../src/domain/records.ts";
import { newId } from "../../../src/platform/ids.ts";
import { DEAD_LETTER_QUEUE } from "../../../src/protocol/events.ts";
import type { RepoUnderTest } from "./underTest.ts";
import type { ConversationItem } from "../../../src/repo/types.ts";

const NOW = 1_700_000_000_000;

function groupId(): string {
  return `group_${newId(NOW)}`;
}

function state(conversationId: string, over: Partial<ConversationState> = {}): ConversationState {
  return {
    conversationId,
    type: 2,
    name: "Group",
    ownerId: "owner",
    memberCount: 1,
    maxMembers: 500,
    joinApproval: false,
    muteAll: false,
    version: 1,
    createdAt: NOW,
    updatedAt: NOW,
    ...over,
  };
}

function conversation(logId: number, of: ConversationState, headSeqId = 0): RoomRecord {
  return { kind: "conversation", conversationId: of.conversationId, logId, conversation: of, headSeqId };
}

function member(conversationId: string, logId: number, userId: string, over: Partial<MemberState> = {}): RoomRecord {
  const joined = { userId, role: 1 as const, joinedAt: NOW, readSeqId: 0, ...over };
  return { kind: "member", conversationId, logId, member: joined };
}

function removed(conversationId: string, logId: number, userId: string): RoomRecord {
  return { kind: "memberRemoved", conversationId, logId, userId, removedAt: NOW + logId };
}

function message(conversationId: string, seqId: number, over: Partial<StoredMessage> = {}): StoredMessage {
  return {
    messageId: `m-${conversationId}-${seqId}`,
    conversationId,
    seqId,
    senderId: "owner",
    messageType: "text",
    content: `text ${seqId}`,
    createdAt: NOW + seqId,
    clientMsgId: `c-${seqId}`,
    ...over,
  };
}

function sent(logId: number, of: StoredMessage): RoomRecord {
  return { kind: "message", conversationId: of.conversationId, logId, message: of };
}

const ROOM_TABLES = [
  "conversations",
  "conversation_members",
  "messages",
  "user_read_pointers",
  "invites",
  "join_requests",
];

function invite(conversationId: string, logId: number, over: Partial<InviteState>): RoomRecord {
  const made = { createdBy: "owner", createdAt: NOW, expiresAt: NOW + 1_000, maxUses: 5, uses: 0 };
  const code = `code-${conversationId}`;
  return { kind: "invite", conversationId, logId, invite: { code, conversationId, ...made, ...over } };
}

function asked(conversationId: string, logId: number, status: "pending" | "accepted"): RoomRecord {
  const request = { requestId: `r-${conversationId}`, conversationId, userId: "late", status, createdAt: NOW };
  const decided = status === "pending" ? {} : { decidedBy: "owner" };
  return { kind: "joinRequest", conversationId, logId, request: { ...request, ...decided, updatedAt: NOW + logId } };
}

/** A small history: every kind of record, in the order in which the room made them. */
function history(id: string): RoomRecord[] {
  return [
    conversation(1, state(id)),
    member(id, 2, "owner", { role: 3 }),
    member(id, 3, "guest"),
    sent(4, message(id, 1)),
    sent(
      5,
      message(id, 2, { senderId: "guest", replyTo: { messageId: "m", seqId: 1, senderId: "owner", preview: "p" } }),
    ),
    { kind: "readPointer", conversationId: id, logId: 6, userId: "owner", readSeqId: 2 },
    removed(id, 7, "guest"),
    conversation(8, state(id, { name: "Renamed", memberCount: 1, version: 2 }), 2),
    member(id, 9, "guest", { role: 2, joinedAt: NOW + 9, readSeqId: 2 }),
    sent(10, message(id, 1, { recalledAt: NOW + 10 })),
    sent(11, message(id, 3, { mentions: ["guest"] })),
    removed(id, 12, "owner"),
    invite(id, 13, { uses: 0 }),
    invite(id, 14, { uses: 1 }),
    asked(id, 15, "pending"),
    invite(id, 16, { uses: 1, revokedAt: NOW + 16 }),
    asked(id, 17, "accepted"),
  ];
}

/** Deterministic shuffles, so that a failure repeats. */
function shuffled<T>(items: readonly T[], seed: number): T[] {
  const out = [...items];
  let x = seed * 2654435761 + 1;
  for (let i = out.length - 1; i > 0; i--) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    const j = x % (i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}

/** The queryable copy of rooms, and lists of it. */
export function recordCases({ repo, sql }: RepoUnderTest): void {
  function apply(...records: RoomRecord[]): Promise<void> {
    return repo.persistence.applyRoomRecords(records);
  }

  async function item(conversationId: string, userId: string): Promise<ConversationItem | undefined> {
    return (await repo.conversations.items(userId, [conversationId]))[0];
  }

  /** All rows of the room tables of one conversation, for comparing whole states. */
  async function dump(id: string): Promise<unknown[]> {
    const tables = await Promise.all(
      ROOM_TABLES.map((table) => sql(`SELECT * FROM ${table} WHERE conversation_id = ? ORDER BY 1, 2`, id)),
    );
    return tables.map((rows) => rows.map((row) => ({ ...row, conversation_id: "x", updated_at: "x" })));
  }

  describe("room records", () => {
    it("make the queryable copy", async ({ expect }) => {
      const id = groupId();
      await apply(...history(id).slice(0, 6));
      expect(await item(id, "owner")).toEqual({
        conversation: state(id),
        headSeqId: 2,
        lastMessage: message(id, 2, {
          senderId: "guest",
          replyTo: { messageId: "m", seqId: 1, senderId: "owner", preview: "p" },
        }),
        readSeqId: 2,
        role: 3,
        muted: false,
        pinned: false,
      });
      // A sender has read their own message.
      expect((await item(id, "guest"))?.readSeqId).toBe(2);
      expect(await repo.conversations.messages(id, { limit: 10 })).toHaveLength(2);
    });

    it("give the same rows in any order, split anyhow, and twice", async ({ expect }) => {
      const straight = groupId();
      for (const record of history(straight)) {
        await apply(record);
      }
      const rows = await dump(straight);
      expect(rows.slice(4)).toMatchObject([
        [{ uses: 1, revoked_at: NOW + 16, log_id: 16 }],
        [{ status: "accepted", decided_by: "owner", log_id: 17 }],
      ]);
      const expected = JSON.stringify(rows).replaceAll(straight, "ID");
      for (let seed = 0; seed < 12; seed++) {
        const id = groupId();
        const records = [...shuffled(history(id), seed), ...shuffled(history(id), seed + 100)];
        const size = 1 + (seed % 5) * 4;
        for (let i = 0; i < records.length; i += size) {
          await apply(...records.slice(i, i + size));
        }
        expect(JSON.stringify(await dump(id)).replaceAll(id, "ID"), `seed ${seed}`).toBe(expected);
      }
    });

    it("keep a removal when the older entry comes late", async ({ expect }) => {
      const id = groupId();
      await apply(conversation(1, state(id)), removed(id, 5, "late"));
      await apply(member(id, 2, "late"));
      expect(await repo.conversations.isMember(id, "late")).toBe(false);
      await apply(member(id, 6, "late"));
      expect(await repo.conversations.isMember(id, "late")).toBe(true);
    });

    it("empty what was recalled, whatever comes later", async ({ expect }) => {
      const id = groupId();
      await apply(conversation(1, state(id)), member(id, 2, "owner"));
      await apply(sent(9, message(id, 1, { recalledAt: NOW + 9, mentions: ["x"] })));
      await apply(sent(3, message(id, 1)));
      const [row] = await repo.conversations.messages(id, { limit: 10 });
      expect(row).toMatchObject({ seqId: 1, recalledAt: NOW + 9 });
      expect(row).not.toHaveProperty("content");
      expect(row).not.toHaveProperty("mentions");
    });

    it("carry contents unchanged", async ({ expect }) => {
      const id = groupId();
      const contents: StoredMessage["content"][] = [
        "quotes \" ' \\ and \u0000 NUL \u2028",
        "[1,2]",
        "null",
        "\u{1F468}\u200D\u{1F469}\u200D\u{1F467} \u0627\u0644\u0639",
        "a".repeat(60_000),
        { key: "k/1", width: 1, height: 2, size: 3, mimeType: "image/png" },
      ];
      await apply(
        ...contents.map((content, i) =>
          sent(i + 1, message(id, i + 1, { content, messageType: typeof content === "string" ? "text" : "image" })),
        ),
      );
      const rows = await repo.conversations.messages(id, { limit: 50 });
      expect(rows.map((row) => row.content)).toEqual(contents);
    });

    it("take thousands of rows of many conversations in one call", async ({ expect }) => {
      const ids = Array.from({ length: 20 }, groupId);
      const records = ids.flatMap((id) => [
        conversation(1, state(id)),
        ...Array.from({ length: 100 }, (_, i) => sent(i + 2, message(id, i + 1, { content: "x".repeat(1000) }))),
      ]);
      await apply(...shuffled(records, 7));
      for (const id of ids) {
        const rows = await sql("SELECT count(*) AS n, max(seq_id) AS head FROM messages WHERE conversation_id = ?", id);
        expect(rows).toEqual([{ n: 100, head: 100 }]);
      }
    });

    it("write nothing for readers of the world, and leave its member count alone", async ({ expect }) => {
      const before = (await item("world_chat_room", "owner"))?.conversation.memberCount;
      const world = state("world_chat_room", { type: 3, memberCount: 77, version: 5 });
      await apply(conversation(3, world, 1), sent(2, message("world_chat_room", 1)));
      expect(await sql("SELECT * FROM user_read_pointers WHERE conversation_id = ?", "world_chat_room")).toEqual([]);
      const after = await item("world_chat_room", "owner");
      expect(after).toMatchObject({ headSeqId: 1, conversation: { memberCount: before, version: 5, type: 3 } });
    });

    it("are refused whole when one is of an unknown kind", async ({ expect }) => {
      const id = groupId();
      const strange = { kind: "future", conversationId: id, logId: 2 } as unknown as RoomRecord;
      await expect(apply(conversation(1, state(id)), strange)).rejects.toThrow('unknown room record "future"');
      expect(await item(id, "owner")).toBeUndefined();
    });
  });

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
  });

  describe("ping", () => {
    it("tells whether SQL answers", async ({ expect }) => {
      expect(await repo.ping()).toBe(true);
    });
  });
}
