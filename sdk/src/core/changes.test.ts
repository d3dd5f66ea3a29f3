/** Edits, recalls and reactions on their way to a client: late, twice, in the wrong order, before what they change. */
import { describe, test } from "vitest";
import { Harness, message, messageId, ME, ROOM, syncedItem } from "../testing/harness.ts";
import type { Message, ServerFrame } from "./types.ts";

const updated = (seqId: number, fields: Partial<Message>, version?: number): ServerFrame => ({
  type: "message-updated",
  data: { message: message(seqId, fields), ...(version === undefined ? {} : { version }) },
});
const recalled = (seqId: number, version?: number): ServerFrame => ({
  type: "message-recalled",
  data: {
    conversationId: ROOM,
    messageId: messageId(seqId),
    seqId,
    operatorId: "o",
    recalledAt: 77,
    ...(version === undefined ? {} : { version }),
  },
});
const reaction = (seqId: number, count: number, version: number, userId = "u"): ServerFrame => ({
  type: "message-reaction",
  data: {
    conversationId: ROOM,
    messageId: messageId(seqId),
    seqId,
    emoji: "👍",
    userId,
    added: count > 0,
    count,
    version,
  },
});

function online(): Harness {
  return new Harness({ keepMessages: 10 }).online(syncedItem([]));
}

function frames(client: Harness): string[] {
  return client.of("frame").map((event) => event.frame.type);
}

describe("a change that comes before its message", () => {
  test("is in the message when it comes, in whatever form, and nobody hears of it twice", ({ expect }) => {
    const client = online();
    client.receive(updated(1, { content: "edited", editedAt: 9 }, 5));
    client.receive(reaction(1, 1, 6));
    client.push(1);
    const [first] = client.of("message").map((event) => event.message);
    expect(first).toMatchObject({
      content: "edited",
      editedAt: 9,
      reactions: [{ emoji: "👍", count: 1, mine: false }],
    });
    expect(frames(client)).toEqual([]);
  });

  test("says that there is a message, which is asked for when it stays away", ({ expect }) => {
    const client = online();
    client.receive(recalled(1, 5));
    client.pass(150);
    expect(client.loads).toMatchObject([{ after: 0 }]);
    client.page(0, 1);
    expect(client.of("message").map((event) => [event.message.content, event.message.recalledAt])).toEqual([
      [undefined, 77],
    ]);
  });
});

describe("changes that overtake each other", () => {
  test("end with the newest: of edits, of reactions, and never undo a recall", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive(updated(1, { content: "second", editedAt: 20 }, 7));
    client.receive(updated(1, { content: "first", editedAt: 10 }, 6));
    client.receive(reaction(1, 2, 9));
    client.receive(reaction(1, 1, 8));
    client.receive(reaction(1, 2, 9));
    const [kept] = client.core.messages(ROOM);
    expect(kept).toMatchObject({ content: "second", reactions: [{ emoji: "👍", count: 2 }] });
    expect(frames(client)).toEqual(["message-updated", "message-reaction"]);
    client.receive(recalled(1, 10));
    // A sync answer that left before the recall has no version to be known by.
    client.receive(updated(1, { content: "third", editedAt: 30 }));
    client.receive(reaction(1, 3, 11));
    expect(client.core.messages(ROOM)[0]).toMatchObject({ recalledAt: 77 });
    expect(client.core.messages(ROOM)[0]).not.toHaveProperty("content");
    expect(client.core.messages(ROOM)[0]).not.toHaveProperty("reactions");
  });

  test("an edit leaves reactions as they are known, and one's own stay one's own", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive(reaction(1, 1, 2, ME));
    client.receive(reaction(1, 2, 3));
    client.receive(updated(1, { content: "edited", editedAt: 9 }, 4));
    expect(client.core.messages(ROOM)[0]?.reactions).toEqual([{ emoji: "👍", count: 2, mine: true }]);
  });
});

test("a recall empties what answers show of it", ({ expect }) => {
  const client = online();
  const replyTo = { messageId: messageId(1), seqId: 1, senderId: "s", preview: "secret" };
  client.push(1);
  client.receive({ type: "new-message", data: { message: message(2, { replyTo }) } });
  client.receive(recalled(1));
  expect(client.core.messages(ROOM)[1]?.replyTo?.preview).toBe("");
});

describe("what a sync and frames say together", () => {
  const conversation = (version: number, headSeqId: number): ServerFrame => ({
    type: "conversation-updated",
    data: { conversation: { ...syncedItem([]).conversation, version, headSeqId } },
  });
  const asked = (client: Harness) => {
    client.closed(1006);
    client.forget();
    client.pass(1_000);
    client.greeted();
    const [sync] = client.frames.filter((frame) => frame.type === "sync");
    return sync?.type === "sync" ? sync.data.heads[ROOM] : undefined;
  };

  test("only an answer of sync proves that the changes before its version are known", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive(conversation(9, 1));
    expect(asked(client)).toMatchObject({ seqId: 1, version: 1 });
    client.synced({ ...syncedItem([]), changesUpTo: 3 });
    expect(asked(client)).toMatchObject({ seqId: 1, version: 3 });
  });

  test("a message that was pushed before it changed takes the form that a sync brings", ({ expect }) => {
    const client = online();
    client.push(1, 2);
    client.closed(1006);
    client.pass(1_000);
    client.greeted();
    client.push(3);
    const synced = syncedItem([3], 3);
    client.synced({ ...synced, messages: [message(3, { content: undefined, recalledAt: 5 })] });
    expect(client.core.messages(ROOM).at(-1)).not.toHaveProperty("content", "message 3");
    expect(client.core.messages(ROOM).at(-1)).toMatchObject({ seqId: 3, recalledAt: 5 });
  });

  test("late news of what a sync has told of change nothing", ({ expect }) => {
    const client = online();
    client.push(1);
    asked(client);
    const now = message(1, { reactions: [{ emoji: "👍", count: 2, mine: false }] });
    const item = syncedItem([], 1);
    client.synced({ ...item, conversation: { ...item.conversation, version: 9 }, updated: [now] });
    client.receive(reaction(1, 1, 8));
    expect(client.core.messages(ROOM)[0]?.reactions).toEqual([{ emoji: "👍", count: 2, mine: false }]);
  });

  test("one's own reaction is one's own, though a later one of others came before", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive(reaction(1, 2, 9));
    client.receive(reaction(1, 1, 8, ME));
    expect(client.core.messages(ROOM)[0]?.reactions).toEqual([{ emoji: "👍", count: 2, mine: true }]);
  });

  test("an answer that comes after the recall of what it quotes shows nothing of it", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive(recalled(1, 2));
    const replyTo = { messageId: messageId(1), seqId: 1, senderId: "s", preview: "what was said" };
    client.receive({ type: "new-message", data: { message: message(2, { replyTo }) } });
    expect(client.core.messages(ROOM).map((row) => row.replyTo?.preview)).toEqual([undefined, ""]);
  });

  test("what was pushed while the first answer was on its way has its changes in the next one", ({ expect }) => {
    const client = new Harness({ keepMessages: 10 });
    client.do(client.core.connect(client.now));
    client.greeted();
    client.push(1);
    client.synced({ ...syncedItem([], 1), changesUpTo: 3 });
    expect(asked(client)).toMatchObject({ seqId: 1, version: 0 });
    client.synced({ ...syncedItem([], 1), changesUpTo: 3 });
    expect(asked(client)).toMatchObject({ seqId: 1, version: 3 });
  });

  test("a receipt comes once and never goes back", ({ expect }) => {
    const client = online();
    const receipt = (readSeqId: number): void =>
      client.receive({ type: "message-read-receipt", data: { conversationId: ROOM, userId: "u", readSeqId } });
    [3, 2, 3, 4].forEach(receipt);
    const heard = client
      .of("frame")
      .flatMap(({ frame }) => (frame.type === "message-read-receipt" ? [frame.data] : []));
    expect(heard.map((data) => data.readSeqId)).toEqual([3, 4]);
  });

  test("whoever was removed and is back asks for the changes of what they have", ({ expect }) => {
    const client = online();
    client.push(1);
    client.receive({ type: "conversation-removed", data: { conversationId: ROOM, reason: "removed" } });
    expect(asked(client)).toBeUndefined();
    client.forget();
    client.synced({ ...syncedItem([], 1), changesUpTo: 9 });
    const [again] = client.frames.filter((frame) => frame.type === "sync");
    expect(again).toMatchObject({ data: { heads: { [ROOM]: { seqId: 1, version: 1 } } } });
  });
});
