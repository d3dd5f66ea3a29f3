import { describe, it } from "vitest";
import {
  afterUntold,
  changedSeqIds,
  inLastForm,
  isHeldUp,
  needsMessage,
  staleSeqIds,
  tellingOf,
  versionToTell,
} from "./changeNotices.ts";
import { makeMessageId } from "./messageId.ts";
import { WORLD, type FanoutTask, type MessageNotice, type StoredMessage } from "./records.ts";
import { storedMessage } from "./testing/storedMessage.ts";

const NOW = 1_800_000_000_000;
const ROOM = "group_01HR0000000000000000000000";

function message(seqId: number, fields: Partial<StoredMessage> = {}): StoredMessage {
  return storedMessage(seqId, { messageId: makeMessageId(seqId, NOW, () => 0.5), conversationId: ROOM, ...fields });
}

const { messageId } = message(3);
const edited: MessageNotice = { kind: "edited", messageId, seqId: 3, version: 7 };
const recalled: MessageNotice = { ...edited, kind: "recalled", operatorId: "o", recalledAt: NOW + 9, answers: [5, 8] };

describe("news of a message", () => {
  it("name every copy that is stale, by the notice and by the records", ({ expect }) => {
    expect([staleSeqIds(edited), staleSeqIds(recalled)]).toEqual([[3], [3, 5, 8]]);
    const about = { conversationId: ROOM, logId: 1 };
    expect(
      changedSeqIds([
        { ...about, kind: "message", message: message(3) },
        { ...about, kind: "edit", messageId, content: "before", editedAt: NOW },
        { ...about, kind: "reaction", messageId, userId: "u", emoji: "👍", createdAt: NOW },
        { ...about, kind: "previews", seqIds: [5, 8] },
      ]),
    ).toEqual([3, 5, 8]);
  });

  it("of an edit hold the message as it is now, without its sender's key", ({ expect }) => {
    expect([needsMessage(edited), needsMessage(recalled)]).toEqual([true, false]);
    const telling = tellingOf(ROOM, edited, message(3, { content: "later still", editedAt: NOW + 5 }));
    expect(telling).toMatchObject({ key: "message 3", version: 7, frame: { type: "message-updated" } });
    expect(JSON.stringify(telling?.frame)).toContain("later still");
    expect(JSON.stringify(telling?.frame)).not.toContain("k3");
  });

  it("of an edit say nothing once the message is recalled, or is another", ({ expect }) => {
    expect(tellingOf(ROOM, edited, message(3, { recalledAt: NOW }))).toBeUndefined();
    expect(tellingOf(ROOM, edited, undefined)).toBeUndefined();
    expect(tellingOf(ROOM, edited, message(4))).toBeUndefined();
  });

  it("of a recall say when it was, of a reaction how often it stands there", ({ expect }) => {
    expect(tellingOf(ROOM, recalled, undefined)).toMatchObject({
      message: NOW + 9,
      frame: { type: "message-recalled" },
    });
    const tapped: MessageNotice = { ...edited, kind: "reaction", emoji: "👍", userId: "u", added: true, count: 2 };
    const telling = tellingOf(ROOM, tapped, undefined);
    expect(telling).toMatchObject({ key: "reaction 3 👍", frame: { type: "message-reaction", data: { count: 2 } } });
    expect(telling).not.toHaveProperty("message");
  });
});

describe("a fan-out task that was held up", () => {
  const task: FanoutTask = {
    conversationId: ROOM,
    type: WORLD,
    fromSeqId: 3,
    toSeqId: 4,
    messages: [message(3), message(4)],
  };

  it("is one that is tried again, or old", ({ expect }) => {
    expect([isHeldUp(task, 1, NOW + 100), isHeldUp(task, 2, NOW), isHeldUp(task, 1, NOW + 1_000)]).toEqual([
      false,
      true,
      true,
    ]);
  });

  it("carries what the log has now; what has left it as it was", ({ expect }) => {
    const now = inLastForm(task.messages, [message(4, { content: "edited" })]);
    expect(now.map((row) => row.content)).toEqual(["content 3", "edited"]);
  });
});

describe("the version that the cache may be told with a notice", () => {
  const notice: MessageNotice = { kind: "edited", messageId: "m", seqId: 9, version: 5 };

  it("is its own, when what nobody was told of before goes along", ({ expect }) => {
    const told = afterUntold(notice, [[3], [4, 3]]);
    expect(told).toMatchObject({ earlier: [3, 4] });
    expect([staleSeqIds(told), versionToTell(told)]).toEqual([[9, 3, 4], 5]);
    expect(versionToTell(afterUntold(notice, []))).toBe(5);
  });

  it("is left to a later one, when that is too much or was not written down", ({ expect }) => {
    const many = afterUntold(
      notice,
      Array.from({ length: 201 }, (_, n) => [n]),
    );
    expect([staleSeqIds(many), versionToTell(many)]).toEqual([[9], undefined]);
    expect(versionToTell(notice)).toBeUndefined();
  });
});
