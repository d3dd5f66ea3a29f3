import { describe, test } from "vitest";
import { Harness, message, messageId, ME, ROOM, syncedItem, WORLD } from "../testing/harness.ts";

const LATER = { name: "RATE_LIMITED", retry: "later", retryAfterMs: 400 } as const;

describe("acknowledgement", () => {
  test("an ack is the message: emitted once, in its place", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.ack("a", 2);
    client.ack("a", 2);
    expect(client.of("accepted")).toMatchObject([{ clientMsgId: "a", seqId: 2, messageId: messageId(2) }]);
    expect(client.of("message")).toMatchObject([
      { message: { seqId: 2, senderId: ME, content: "text of a", clientMsgId: "a" }, live: true },
    ]);
    client.pass(60_000);
    expect(client.loads).toEqual([]);
  });

  test("an ack before the push that precedes it waits for it", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.ack("a", 3);
    expect(client.of("accepted")).toHaveLength(1);
    expect(client.seen()).toEqual([]);
    client.push(2);
    expect(client.seen()).toEqual([2, 3]);
  });

  test("the own message by push or sync before its ack is its ack", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.receive({
      type: "new-message",
      data: { message: message(2, { senderId: ME, clientMsgId: "a" }) },
    });
    client.ack("a", 2);
    expect(client.of("accepted")).toHaveLength(1);
    expect(client.seen()).toEqual([2]);
    expect(client.core.pendingCount).toBe(0);
  });

  test("a foreign message with the same key in another conversation is no ack", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.receive({
      type: "new-message",
      data: { message: message(1, { conversationId: WORLD, clientMsgId: "a" }) },
    });
    expect(client.core.pendingCount).toBe(1);
  });

  test("a reply is read back, since only the server knows the quoted preview", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    const data = {
      clientMsgId: "a",
      conversationId: ROOM,
      messageType: "text",
      content: "yes",
      replyTo: messageId(1),
    } as const;
    client.do(client.core.send({ data, createdAt: client.now }, client.now));
    client.ack("a", 2);
    expect(client.of("accepted")).toHaveLength(1);
    client.pass(150);
    client.page(1, 2);
    expect(client.seen()).toEqual([2]);
  });

  test("`sending` buys time, `sent` ends it", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.pass(9_000);
    client.receive({
      type: "message-ack",
      data: { clientMsgId: "a", conversationId: ROOM, status: "sending" },
    });
    client.pass(9_000);
    expect(client.sent()).toEqual(["a"]);
    client.ack("a", 2);
    expect(client.of("accepted")).toHaveLength(1);
  });
});

test("a send repeated while the bus has it is accepted once, whichever answer comes first", ({ expect }) => {
  const client = new Harness().online(syncedItem([1]));
  const sending = () =>
    client.receive({
      type: "message-ack",
      data: { clientMsgId: "a", conversationId: ROOM, status: "sending" },
    });
  client.send("a");
  sending();
  client.pass(10_000);
  expect(client.sent()).toEqual(["a", "a"]);
  sending();
  client.ack("a", 2);
  client.ack("a", 2);
  sending();
  expect(client.of("accepted")).toHaveLength(1);
  client.pass(20_000);
  expect(client.sent()).toEqual(["a", "a"]);
  expect(client.seen()).toEqual([2]);
});

describe("order of sends", () => {
  test("one at a time by default, as many as asked for otherwise", ({ expect }) => {
    const strict = new Harness().online(syncedItem([]));
    const wide = new Harness({ maxInFlight: 3 }).online(syncedItem([]));
    for (const client of [strict, wide]) {
      for (const key of ["a", "b", "c", "d"]) {
        client.send(key);
      }
    }
    expect(strict.sent()).toEqual(["a"]);
    strict.ack("a", 1);
    expect(strict.sent()).toEqual(["a", "b"]);
    expect(wide.sent()).toEqual(["a", "b", "c"]);
    wide.ack("b", 2);
    expect(wide.sent()).toEqual(["a", "b", "c", "d"]);
  });

  test("after a reconnect everything goes again, in order, under its old keys", ({ expect }) => {
    const client = new Harness({ maxInFlight: 2 }).online(syncedItem([]));
    for (const key of ["a", "b", "c"]) {
      client.send(key);
    }
    client.closed(1006);
    client.forget();
    client.pass(1_000);
    client.greeted();
    expect(client.sent()).toEqual(["a", "b"]);
    client.ack("a", 1);
    client.ack("b", 2);
    client.ack("c", 3);
    expect(client.seen()).toEqual([1, 2, 3]);
    expect(client.core.pendingCount).toBe(0);
  });

  test("without an answer for 10 s the row and those behind it go again", ({ expect }) => {
    const client = new Harness({ maxInFlight: 2 }).online(syncedItem([]));
    client.send("a");
    client.pass(5_000);
    client.send("b");
    client.pass(5_000);
    expect(client.sent()).toEqual(["a", "b", "a", "b"]);
  });

  test("`never` fails one row and does not block the next", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.send("a");
    client.send("b");
    client.refuse("a", { name: "CONTENT_REJECTED", retry: "never" });
    expect(client.of("failed")).toMatchObject([{ clientMsgId: "a", error: { name: "CONTENT_REJECTED" } }]);
    expect(client.sent()).toEqual(["a", "b"]);
  });

  test("`later` holds its conversation until the given time, and no other", ({ expect }) => {
    const client = new Harness({ maxInFlight: 2 }).online(syncedItem([]));
    client.send("a");
    client.send("b");
    client.refuse("a", LATER);
    client.refuse("b", LATER);
    client.send("w", WORLD);
    client.pass(399);
    expect(client.sent()).toEqual(["a", "b", "w"]);
    client.pass(1);
    // One probe first: what was refused may be refused again.
    expect(client.sent()).toEqual(["a", "b", "w", "a"]);
    client.ack("a", 1);
    expect(client.sent()).toEqual(["a", "b", "w", "a", "b"]);
    expect(client.of("failed")).toEqual([]);
  });

  test("an outage's time is spread, and its wait outlives the connection", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.send("a");
    client.refuse("a", { name: "UNAVAILABLE", retry: "later", retryAfterMs: 1_000 });
    client.closed(4019);
    client.pass(0);
    client.greeted();
    client.pass(1_249);
    expect(client.sent()).toEqual(["a"]);
    client.pass(1);
    expect(client.sent()).toEqual(["a", "a"]);
  });

  test("`same` is tried a few times, then fails", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.send("a");
    for (let i = 0; i < 5; i++) {
      client.refuse("a", { name: "INTERNAL", retry: "same" });
      client.pass(9_000);
    }
    expect(client.sent()).toHaveLength(5);
    expect(client.of("failed")).toHaveLength(1);
  });

  test("a token that ran out says nothing about the message", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.send("a");
    client.refuse("a", { name: "UNAUTHENTICATED", retry: "never" });
    client.pass(1_000);
    expect(client.of("failed")).toEqual([]);
    expect(client.sent()).toEqual(["a", "a"]);
  });
});

describe("bounds", () => {
  test("a row older than six days fails instead of being sent", ({ expect }) => {
    const client = new Harness();
    client.send("a");
    client.pass(6 * 24 * 3_600_000 - 1);
    expect(client.of("failed")).toEqual([]);
    client.pass(1);
    expect(client.of("failed")).toMatchObject([{ clientMsgId: "a", error: { name: "EXPIRED" } }]);
    client.do(client.core.connect(client.now));
    client.greeted();
    expect(client.sent()).toEqual([]);
  });

  test("more than the bound is refused at once", ({ expect }) => {
    const client = new Harness({ maxPending: 2 });
    for (const key of ["a", "b", "c"]) {
      client.send(key);
    }
    expect(client.of("failed")).toMatchObject([{ clientMsgId: "c", error: { name: "PENDING_FULL" } }]);
    expect(client.core.pendingCount).toBe(2);
  });

  test("a cancelled row fails and makes room", ({ expect }) => {
    const client = new Harness().online(syncedItem([]));
    client.send("a");
    client.send("b");
    client.do(client.core.cancel("a", client.now));
    client.do(client.core.cancel("unknown", client.now));
    expect(client.of("failed")).toMatchObject([{ clientMsgId: "a", error: { name: "CANCELLED" } }]);
    expect(client.sent()).toEqual(["a", "b"]);
  });

  test("a failed one that has arrived nevertheless is accepted, once, by ack, push or sync", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    for (const key of ["a", "b", "c"]) {
      client.send(key);
      client.refuse(key, { name: "PERMISSION_DENIED", retry: "never" });
    }
    expect(client.of("failed")).toHaveLength(3);
    client.ack("a", 2);
    client.receive({ type: "new-message", data: { message: message(3, { senderId: ME, clientMsgId: "b" }) } });
    client.do(
      client.core.historyLoaded(ROOM, 1, [message(2), message(3), message(4, { clientMsgId: "c" })], client.now),
    );
    const accepted = [
      { clientMsgId: "a", seqId: 2 },
      { clientMsgId: "b", seqId: 3 },
      { clientMsgId: "c", seqId: 4 },
    ];
    expect(client.of("accepted")).toMatchObject(accepted);
    client.ack("a", 2);
    client.ack("c", 4);
    expect(client.of("accepted")).toHaveLength(3);
  });

  test("a failed one stays failed when the key comes from elsewhere, and begins anew when it is sent again", ({
    expect,
  }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.refuse("a", { name: "PERMISSION_DENIED", retry: "never" });
    client.receive({
      type: "new-message",
      data: { message: message(1, { conversationId: WORLD, clientMsgId: "a" }) },
    });
    expect(client.of("accepted")).toEqual([]);
    client.send("a");
    client.ack("a", 2);
    expect(client.of("accepted")).toMatchObject([{ clientMsgId: "a", seqId: 2 }]);
  });

  test("rows of a store are sent by the next life, and leave it when they are accepted", ({ expect }) => {
    const rows = new Map<string, unknown>();
    const first = new Harness({
      store: { load: () => [], put: (row) => rows.set(row.data.clientMsgId, row), remove: (key) => rows.delete(key) },
    }).online(syncedItem([]));
    first.send("a");
    first.send("b");
    first.ack("a", 1);
    expect([...rows.keys()]).toEqual(["b"]);
    const [row] = first.core.pending();
    const second = new Harness({
      store: { load: () => (row === undefined ? [] : [row]), put: () => undefined, remove: () => undefined },
    });
    second.do(second.core.connect(second.now));
    second.greeted();
    expect(second.sent()).toEqual(["b"]);
  });
});
