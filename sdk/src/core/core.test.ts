import { describe, test } from "vitest";
import { Harness, item, message, messageId, ME, ROOM, syncedItem, wireError, WORLD } from "../testing/harness.ts";
import { SESSION_LINK } from "./types.ts";

/** What every socket says first. */
const PING = { type: "ping" };

describe("order", () => {
  test("messages come out in order, each once, however they arrive", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.push(1, 1, 3, 4, 2, 2, 4, 5);
    expect(client.seen()).toEqual([1, 2, 3, 4, 5]);
    client.pass(60_000);
    expect(client.loads).toEqual([]);
  });

  test("a gap is asked for after the grace, and repaired in order", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(4);
    client.pass(149);
    expect(client.loads).toEqual([]);
    client.pass(1);
    expect(client.loads).toEqual([{ kind: "loadHistory", conversationId: ROOM, after: 1, limit: 200 }]);
    client.push(5);
    client.page(1, 2, 3, 4);
    expect(client.seen()).toEqual([2, 3, 4, 5]);
  });

  test("a gap that closes by itself within the grace asks for nothing", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(3);
    client.pass(100);
    client.push(2);
    client.pass(10_000);
    expect(client.seen()).toEqual([2, 3]);
    expect(client.loads).toEqual([]);
  });

  test("a long gap is read page by page", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(500);
    client.pass(150);
    const upTo = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);
    client.page(1, ...upTo(2, 201));
    expect(client.loads.at(-1)?.after).toBe(201);
    client.page(201, ...upTo(202, 401));
    client.page(401, ...upTo(402, 500));
    expect(client.seen()).toEqual(upTo(2, 500));
    expect(client.loads).toHaveLength(3);
  });

  test("what the history itself leaves out is reported and passed over", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(5);
    client.pass(150);
    client.page(1, 2, 4);
    expect(client.seen()).toEqual([2, 4, 5]);
    expect(client.of("gap")).toEqual([{ type: "gap", conversationId: ROOM, fromSeqId: 3, toSeqId: 3 }]);
  });

  test("a history that knows nothing of a pushed message is asked again, then the gap is reported", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(3);
    for (let asked = 1; asked <= 3; asked++) {
      client.pass(5_000);
      expect(client.loads).toHaveLength(asked);
      client.page(1);
    }
    expect(client.seen()).toEqual([3]);
    expect(client.of("gap")).toEqual([{ type: "gap", conversationId: ROOM, fromSeqId: 2, toSeqId: 2 }]);
  });

  test("a failed request is repeated; a refused one waits for the next sync", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(3);
    client.pass(150);
    client.do(client.core.historyFailed(ROOM, undefined, client.now));
    client.pass(20_000);
    expect(client.loads).toHaveLength(2);
    client.do(client.core.historyFailed(ROOM, wireError({ retry: "never" }), client.now));
    client.pass(600_000);
    expect(client.loads).toHaveLength(2);
    client.push(2);
    expect(client.seen()).toEqual([2, 3]);
  });

  test("a request that went down with its connection is asked again by the next", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(3);
    client.pass(150);
    client.closed(1006);
    client.pass(1_000);
    client.greeted();
    client.synced();
    expect(client.loads.map((load) => load.after)).toEqual([1, 1]);
    for (const room of ["a", "b", "c", "d"]) {
      client.receive({ type: "new-message", data: { message: message(2, { conversationId: room }) } });
    }
    client.pass(150);
    // Four at a time, and the lost one does not count.
    expect(client.loads).toHaveLength(5);
  });

  test("an edit of a message behind a gap changes it before it comes out", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.push(3);
    client.receive({ type: "message-updated", data: { message: message(3, { content: "edited", editedAt: 9 }) } });
    client.push(2);
    const contents = client.of("message").map((event) => event.message.content);
    expect(contents).toEqual(["message 2", "edited"]);
    client.receive({ type: "message-updated", data: { message: message(2, { content: "again" }) } });
    expect(client.of("frame")).toHaveLength(1);
  });

  test("kept messages follow edits, recalls and reactions, and stay within their window", ({ expect }) => {
    const client = new Harness({ keepMessages: 3 }).online(syncedItem([]));
    client.push(1, 2, 3, 4, 5, 6, 7);
    client.receive({
      type: "message-reaction",
      data: {
        conversationId: ROOM,
        messageId: messageId(6),
        seqId: 6,
        emoji: "👍",
        userId: ME,
        added: true,
        count: 2,
      },
    });
    client.receive({
      type: "message-recalled",
      data: { conversationId: ROOM, messageId: messageId(7), seqId: 7, operatorId: ME },
    });
    const kept = client.core.messages(ROOM);
    expect(kept.map((row) => row.seqId)).toEqual([5, 6, 7]);
    expect(kept[1]?.reactions).toEqual([{ emoji: "👍", count: 2, mine: true }]);
    expect(kept[2]?.content).toBeUndefined();
  });
});

describe("sync", () => {
  test("sends its cursors and versions, and brings what was missed", ({ expect }) => {
    const client = new Harness({ cursors: { [ROOM]: 7 } });
    client.do(client.core.connect(client.now));
    client.greeted();
    expect(client.frames).toEqual([PING, { type: "sync", id: "sync-1", data: { heads: { [ROOM]: 7 } } }]);
    client.push(10);
    client.synced(syncedItem([8, 9, 10]));
    expect(client.seen()).toEqual([8, 9, 10]);
    client.closed(1006);
    client.forget();
    client.pass(1_000);
    client.greeted();
    expect(client.frames).toEqual([
      PING,
      { type: "sync", id: "sync-2", data: { heads: { [ROOM]: { seqId: 10, version: 1, readSeqId: 0 } } } },
    ]);
    expect(client.core.cursors()).toEqual({ [ROOM]: 10 });
  });

  test("a first page that is not enough goes on with the history", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.greeted();
    client.synced(syncedItem([1, 2], 4));
    expect(client.loads.map((load) => load.after)).toEqual([2]);
    client.page(2, 3, 4);
    expect(client.seen()).toEqual([1, 2, 3, 4]);
    expect(client.of("message").every((event) => !event.live)).toBe(true);
  });

  test("pages through its answer with the same heads, and asks for no range before the last page", ({ expect }) => {
    const client = new Harness({ cursors: { [ROOM]: 1 } });
    client.do(client.core.connect(client.now));
    client.greeted();
    client.receive({
      type: "sync-result",
      ref: "sync-1",
      data: { conversations: [syncedItem([2], 5)], removed: [WORLD], nextCursor: "next", serverTime: 1 },
    });
    expect(client.frames.at(-1)).toEqual({
      type: "sync",
      id: "sync-2",
      data: { heads: { [ROOM]: 1 }, cursor: "next" },
    });
    expect(client.loads).toEqual([]);
    expect(client.of("removed")).toEqual([{ type: "removed", conversationId: WORLD }]);
    client.synced();
    expect(client.of("synced")).toHaveLength(1);
    expect(client.loads.map((load) => load.after)).toEqual([2]);
  });

  test("asks again when no answer comes, and when the server refuses for now", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.greeted();
    client.pass(10_000);
    expect(client.frames.filter((frame) => frame.type === "sync")).toHaveLength(2);
    const error = wireError({ name: "UNAVAILABLE", retry: "later", retryAfterMs: 700 });
    client.receive({ type: "error", data: { error, ref: "sync-2" } });
    client.pass(699);
    expect(client.frames.filter((frame) => frame.type === "sync")).toHaveLength(2);
    client.pass(1);
    expect(client.frames.filter((frame) => frame.type === "sync")).toHaveLength(3);
    expect(client.of("frame")).toEqual([]);
  });

  test("a limited backlog begins near the end of an unknown conversation", ({ expect }) => {
    const client = new Harness({ backlog: 2 });
    client.do(client.core.connect(client.now));
    client.greeted();
    client.synced(syncedItem([1, 2, 3], 10));
    expect(client.loads.map((load) => load.after)).toEqual([8]);
    client.page(8, 9, 10);
    expect(client.seen()).toEqual([9, 10]);
  });

  test("who was removed and comes back sees nothing twice", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2]));
    client.receive({ type: "conversation-removed", data: { conversationId: ROOM, reason: "removed" } });
    expect(client.core.cursors()).toEqual({});
    client.receive({ type: "conversation-joined", data: { conversation: item(4).conversation } });
    client.pass(150);
    client.page(2, 3, 4);
    expect(client.seen()).toEqual([3, 4]);
  });

  test("what is shown live is taken part in, whatever was said of it before", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2]));
    // The frames of a removal and of a return, the wrong way round.
    client.receive({ type: "conversation-joined", data: { conversation: item(2).conversation } });
    client.receive({ type: "conversation-removed", data: { conversationId: ROOM, reason: "removed" } });
    expect(client.core.cursors()).toEqual({});
    client.push(4);
    client.pass(150);
    client.page(2, 3, 4);
    expect(client.seen()).toEqual([3, 4]);
    expect(client.core.cursors()).toEqual({ [ROOM]: 4 });
  });

  test("more heads than a frame holds: the most recently active ones", ({ expect }) => {
    const cursors: Record<string, number> = {};
    for (let i = 0; i < 600; i++) {
      cursors[`group_${String(i).padStart(26, "0")}`] = 1;
    }
    const client = new Harness({ cursors: { ...cursors, [ROOM]: 1 } }).online();
    client.push(2);
    client.closed(1006);
    client.forget();
    client.pass(1_000);
    client.greeted();
    const [, sync] = client.frames;
    const heads = sync?.type === "sync" ? sync.data.heads : {};
    expect(Object.keys(heads)).toHaveLength(500);
    expect(heads[ROOM]).toBe(2);
  });
});

describe("read pointers and typing", () => {
  test("a pointer grows only and is sent at most once a second", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2, 3, 4, 5]));
    for (const seqId of [3, 2, 4, 5]) {
      client.do(client.core.markRead(ROOM, seqId, client.now));
    }
    expect(client.frames).toHaveLength(1);
    client.pass(1_000);
    expect(client.frames.at(-1)).toMatchObject({ type: "mark-read", data: { conversationId: ROOM, seqId: 5 } });
    client.pass(10_000);
    expect(client.frames).toHaveLength(2);
  });

  test("a pointer that may be lost with the socket is sent again after the sync", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2]));
    client.do(client.core.markRead(ROOM, 1, client.now));
    client.closed(1006);
    client.do(client.core.markRead(ROOM, 2, client.now));
    client.forget();
    client.pass(5_000);
    client.greeted();
    client.synced(syncedItem([], 2));
    expect(client.frames.at(-1)).toMatchObject({ type: "mark-read", data: { conversationId: ROOM, seqId: 2 } });
    client.pass(60_000);
    expect(client.frames.filter((frame) => frame.type === "mark-read")).toHaveLength(1);
  });

  test("a pointer goes no further than what is known to exist", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2]));
    client.do(client.core.markRead(ROOM, 9, client.now));
    expect(client.frames.at(-1)).toMatchObject({ type: "mark-read", data: { conversationId: ROOM, seqId: 2 } });
  });

  test("a pointer that was refused for now is sent again, one that never will be taken is not", ({ expect }) => {
    const client = new Harness().online(syncedItem([1, 2]));
    const sent = () => client.frames.flatMap((frame) => (frame.type === "mark-read" ? [frame] : []));
    const refuse = (retry: "later" | "never"): void => {
      const error = { code: 1012, name: "UNAVAILABLE", message: "", requestId: "r", retry } as const;
      client.receive({ type: "error", data: { error, ref: sent().at(-1)?.id } });
    };
    client.do(client.core.markRead(ROOM, 1, client.now));
    refuse("later");
    client.pass(4_000);
    expect(sent()).toHaveLength(1);
    client.pass(2_000);
    expect(sent().map((frame) => frame.data.seqId)).toEqual([1, 1]);
    refuse("never");
    client.pass(60_000);
    expect(sent()).toHaveLength(2);
  });

  test("typing is told once in three seconds", ({ expect }) => {
    const client = new Harness().online();
    for (let i = 0; i < 7; i++) {
      client.do(client.core.typing(ROOM, client.now));
      client.pass(1_000);
    }
    expect(client.frames.filter((frame) => frame.type === "typing")).toHaveLength(3);
  });
});

describe("room sockets", () => {
  const room = { type: "room", data: { conversationId: WORLD, headSeqId: 3, fromSeqId: 0 } } as const;
  const worldMessage = (seqId: number) => message(seqId, { conversationId: WORLD });

  test("while its own socket is up, the user's socket leaves the room out", ({ expect }) => {
    const client = new Harness({ cursors: { [WORLD]: 2 } }).online();
    client.do(client.core.watch(WORLD, client.now));
    expect(client.wishes).toEqual([{ kind: "open", link: WORLD, since: 2 }]);
    client.do(client.core.socketOpened(WORLD, client.now));
    client.receive(room, WORLD);
    client.receive({ type: "new-messages", data: { messages: [worldMessage(3)] } }, WORLD);
    expect(client.seen(WORLD)).toEqual([3]);
    expect(client.frames).toEqual([PING, { type: "unsubscribe", data: { conversationId: WORLD } }]);
    client.do(client.core.socketClosed(WORLD, 4019, client.now));
    expect(client.frames.at(-1)).toEqual({ type: "subscribe", data: { conversationId: WORLD } });
    client.pass(1);
    expect(client.wishes.at(-1)).toEqual({ kind: "open", link: WORLD, since: 3 });
    expect(client.core.state).toBe("online");
  });

  test("a new own socket is told again, and a room that is none stays with it", ({ expect }) => {
    const client = new Harness().online();
    client.do(client.core.watch(WORLD, client.now));
    client.do(client.core.socketOpened(WORLD, client.now));
    client.receive(room, WORLD);
    client.closed(1006);
    client.forget();
    client.pass(1_000);
    client.greeted();
    expect(client.frames.some((frame) => frame.type === "unsubscribe")).toBe(true);
    client.do(client.core.socketClosed(WORLD, 4004, client.now));
    client.forget();
    client.pass(3_000);
    expect(client.wishes.filter((wish) => wish.kind === "open")).toEqual([]);
  });

  test("nobody watches any more: the socket closes and the own socket brings the room again", ({ expect }) => {
    const client = new Harness().online();
    client.do(client.core.watch(WORLD, client.now));
    client.do(client.core.socketOpened(WORLD, client.now));
    client.receive(room, WORLD);
    client.forget();
    client.do(client.core.unwatch(WORLD));
    expect(client.wishes).toMatchObject([{ kind: "close", link: WORLD, code: 1000 }]);
    expect(client.frames).toEqual([{ type: "subscribe", data: { conversationId: WORLD } }]);
  });
});

test("frames of a link that wants no socket are not heard", ({ expect }) => {
  const client = new Harness().online(syncedItem([]));
  client.do(client.core.disconnect(client.now));
  client.do(client.core.frame(SESSION_LINK, { type: "new-message", data: { message: message(1) } }, client.now));
  expect(client.seen()).toEqual([]);
});
