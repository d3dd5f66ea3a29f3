import { describe, it } from "vitest";
import type { RoomRecord, StoredMessage } from "../../../src/domain/records.ts";
import type { ConversationItem } from "../../../src/repo/types.ts";
import {
  asked,
  conversation,
  groupId,
  invite,
  member,
  message,
  NOW,
  removed,
  sent,
  shuffled,
  state,
} from "./recordMakers.ts";
import type { RepoUnderTest } from "./underTest.ts";

const ROOM_TABLES = [
  "conversations",
  "conversation_members",
  "messages",
  "user_read_pointers",
  "invites",
  "join_requests",
];

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

/** The queryable copy of rooms. */
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
      // As a queue brings it from a later release.
      const strange = JSON.parse(`{"kind":"future","conversationId":"${id}","logId":2}`) as RoomRecord;
      await expect(apply(conversation(1, state(id)), strange)).rejects.toThrow('unknown room record "future"');
      expect(await item(id, "owner")).toBeUndefined();
    });
  });
}
