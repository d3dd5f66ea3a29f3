import { describe, it } from "vitest";
import { makeMessageId } from "../../../src/domain/messageId.ts";
import type { RoomRecord, StoredMessage } from "../../../src/domain/records.ts";
import { conversation, groupId, member, message, NOW, sent, shuffled, state } from "./recordMakers.ts";
import type { RepoUnderTest } from "./underTest.ts";

const TABLES = ["conversations", "messages", "message_edits", "message_reactions", "user_read_pointers"];

function idOf(seqId: number): string {
  return makeMessageId(seqId, NOW, () => 0.5);
}

function text(id: string, seqId: number, over: Partial<StoredMessage> = {}): StoredMessage {
  return message(id, seqId, { messageId: idOf(seqId), ...over });
}

/** Two edits of the first message, reactions given and taken back, an answer to the second one, which is recalled. */
function changes(id: string): RoomRecord[] {
  const edit = (logId: number, seqId: number, content: string): RoomRecord => ({
    kind: "edit",
    conversationId: id,
    logId,
    version: logId,
    messageId: idOf(seqId),
    content,
    editedAt: NOW + logId,
  });
  const reaction = (logId: number, seqId: number, userId: string, removedAt?: number): RoomRecord => ({
    kind: "reaction",
    conversationId: id,
    logId,
    version: logId,
    messageId: idOf(seqId),
    userId,
    emoji: "\u{1F468}\u200D\u{1F469}\u200D\u{1F467}",
    createdAt: NOW + logId,
    ...(removedAt === undefined ? {} : { removedAt }),
  });
  const replyTo = { messageId: idOf(2), seqId: 2, senderId: "owner", preview: 'what "it" said \u{1F600}' };
  return [
    conversation(1, state(id)),
    member(id, 2, "owner", { role: 3 }),
    sent(3, text(id, 1)),
    sent(4, text(id, 2, { content: "regretted" })),
    sent(5, text(id, 3, { senderId: "guest", replyTo })),
    edit(6, 1, "text 1"),
    sent(6, text(id, 1, { content: "second", editedAt: NOW + 6 })),
    edit(7, 1, "second"),
    sent(7, text(id, 1, { content: "third", editedAt: NOW + 7 })),
    edit(8, 2, "a secret"),
    sent(8, text(id, 2, { content: "regretted", editedAt: NOW + 8 })),
    reaction(9, 1, "guest"),
    reaction(10, 1, "owner"),
    reaction(11, 1, "guest", NOW + 11),
    reaction(12, 2, "guest"),
    { ...sent(13, text(id, 2, { recalledAt: NOW + 13, editedAt: NOW + 8 })), version: 13 },
    { kind: "previews", conversationId: id, logId: 14, seqIds: [3] },
  ];
}

/** Edits, reactions, recalls and previews. */
export function changeCases({ repo, sql }: RepoUnderTest): void {
  const apply = (...records: RoomRecord[]): Promise<void> => repo.persistence.applyRoomRecords(records);

  async function dump(id: string): Promise<string> {
    const tables = await Promise.all(
      TABLES.map((table) => sql(`SELECT * FROM ${table} WHERE conversation_id = ? ORDER BY 1, 2, 3, 4`, id)),
    );
    const rows = tables.map((table) =>
      table.map((row) => ({
        ...row,
        updated_at: "x",
        // Databases write JSON in forms of their own.
        ...("reply_to" in row ? { reply_to: JSON.parse(String(row["reply_to"])) as unknown } : {}),
      })),
    );
    return JSON.stringify(rows, null, 1).replaceAll(id, "ID");
  }

  describe("changes of messages", () => {
    it("make the earlier contents, the reactions, and nothing of what was recalled", async ({ expect }) => {
      const id = groupId();
      await apply(...changes(id));
      expect(await repo.messages.edits(id, idOf(1))).toEqual([
        { content: "text 1", editedAt: NOW + 6 },
        { content: "second", editedAt: NOW + 7 },
      ]);
      expect(await repo.messages.edits(id, idOf(2))).toEqual([]);
      const rows = await repo.messages.at(id, [3, 2, 1, 99]);
      expect(rows).toMatchObject([
        { seqId: 1, content: "third" },
        { seqId: 2, recalledAt: NOW + 13 },
        { seqId: 3, replyTo: { messageId: idOf(2), seqId: 2, preview: "" } },
      ]);
      expect(rows[1]).not.toHaveProperty("content");
      const reactions = "SELECT user_id, removed_at FROM message_reactions WHERE conversation_id = ? ORDER BY user_id";
      expect(await sql(reactions, id)).toEqual([
        { user_id: "guest", removed_at: NOW + 11 },
        { user_id: "owner", removed_at: null },
      ]);
      expect((await repo.conversations.items("owner", [id]))[0]?.conversation.version).toBe(13);
      expect(await repo.messages.at(id, [])).toEqual([]);
    });

    it("give the same rows in any order, split anyhow, and twice", async ({ expect }) => {
      const straight = groupId();
      for (const record of changes(straight)) {
        await apply(record);
      }
      const expected = await dump(straight);
      expect(expected).not.toContain("secret");
      for (let seed = 0; seed < 10; seed++) {
        const id = groupId();
        // Answers come with or after what empties their previews: their room hands over one after the other.
        const records = [...shuffled(changes(id), seed), ...changes(id)];
        const size = 1 + (seed % 4) * 5;
        for (let i = 0; i < records.length; i += size) {
          await apply(...records.slice(i, i + size));
        }
        expect(await dump(id), `seed ${seed}`).toBe(expected);
      }
    });

    it("give the same rows when several consumers write them at once", async ({ expect }) => {
      const ids = Array.from({ length: 6 }, groupId);
      const straight = groupId();
      await apply(...changes(straight));
      const expected = await dump(straight);
      for (let round = 0; round < 3; round++) {
        // Each batch is about all of the conversations, and each consumer has another order.
        await Promise.all(
          [1, 2, 3, 4].map((seed) =>
            apply(
              ...shuffled(
                ids.flatMap((id) => changes(id)),
                seed + 10 * round,
              ),
            ),
          ),
        );
        // What was recalled, and what its answers show of it, is gone with the last of them at the latest.
        await apply(...ids.flatMap((id) => changes(id)));
      }
      for (const id of ids) {
        expect(await dump(id)).toBe(expected);
      }
    });
  });

  describe("senders", () => {
    it("are members who have sent something in the range, the latest first", async ({ expect }) => {
      const id = groupId();
      const senders = ["a", "b", "a", "c", "gone", "b"];
      await apply(
        ...["a", "b", "c"].map((userId, i) => member(id, i + 1, userId)),
        ...senders.map((senderId, i) => sent(10 + i, text(id, i + 1, { senderId }))),
      );
      expect(await repo.messages.senders(id, 0, 6, 10)).toEqual(["b", "c", "a"]);
      expect(await repo.messages.senders(id, 0, 6, 1)).toEqual(["b"]);
      expect(await repo.messages.senders(id, 1, 3, 10)).toEqual(["a", "b"]);
      expect(await repo.messages.senders(id, 6, 6, 10)).toEqual([]);
    });
  });
}
