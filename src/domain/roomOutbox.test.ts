import { describe, it } from "vitest";
import { MemoryRoom, must, textOf } from "../../test/support/memoryRoom.ts";
import { alarm, batches, bytesOf, confirm, fire, spans } from "../../test/support/persistBatches.ts";
import { persistBatchLimitBytes } from "../../test/support/platformLimits.ts";
import { OUTBOX_RETRY_MAX_MS, OUTBOX_RETRY_MS } from "./room.ts";

/** Longest pause between two batches under load. */
const PAUSE_MAX_MS = 250;

describe("messages on their way to SQL", () => {
  it("leave at once when nothing is under way, then one batch at a time with all that came meanwhile", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    expect(spans(room)).toEqual([[1, 1]]);
    room.say("owner", "2");
    room.say("owner", "3");
    expect(spans(room)).toEqual([]);
    confirm(room, 1, 1);
    expect(spans(room)).toEqual([[2, 3]]);
  });

  it("wait under load three times as long as the last batch took, a quarter of a second at most", ({ expect }) => {
    for (const [tookMs, pauseMs] of [
      [0, 0],
      [20, 60],
      [5_000, PAUSE_MAX_MS],
    ] as const) {
      const room = MemoryRoom.group(["owner"]);
      room.say("owner", "1");
      room.say("owner", "2");
      spans(room);
      room.take("timer");
      confirm(room, 1, 1, tookMs);
      const pauses = room.take("timer").flatMap(({ name, inMs }) => (name === "persist" ? [inMs] : []));
      expect(pauses).toEqual(pauseMs === 0 ? [] : [pauseMs]);
      if (pauseMs > 0) {
        fire(room, "persist", pauseMs);
      }
      expect(spans(room)).toEqual([[2, 2]]);
    }
  });

  it("carry the numbers of their changes, so that SQL can tell older from newer", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    const [batch] = batches(room);
    const logIds = batch?.records.map((record) => record.logId) ?? [];
    expect(logIds.length).toBe(2);
    expect(logIds.toSorted((a, b) => a - b)).toEqual(logIds);
    expect(new Set(logIds).size).toBe(2);
  });

  it("fit into one queue message, whatever they are made of, and nothing is left out", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    // What JSON makes longest, and what UTF-8 does.
    const contents = ["\u0001".repeat(8_000), "👍".repeat(8_000), "你".repeat(8_000), "x".repeat(8_000)];
    const texts = Array.from({ length: 40 }, (_, n) =>
      textOf("a", `k${n}`, { content: contents[n % contents.length] ?? "", mentions: ["owner", "a"] }),
    );
    const sent = room.core.append(texts, room.now).map((outcome) => must(outcome).seqId);
    const seen: number[] = [];
    for (let [batch] = batches(room); batch !== undefined; [batch] = batches(room)) {
      expect(bytesOf(batch)).toBeLessThan(persistBatchLimitBytes);
      seen.push(...batch.records.flatMap((record) => (record.kind === "message" ? [record.message.seqId] : [])));
      confirm(room, batch.fromSeqId, batch.toSeqId);
    }
    expect(seen).toEqual(sent);
  });

  it("are read as many as fit: a room that is far behind SQL does not read hundreds of long ones for each batch", ({
    expect,
  }) => {
    const room = MemoryRoom.group(["owner"]);
    const content = "x".repeat(30_000);
    const count = 200;
    for (let n = 1; n <= count; n++) {
      room.say("owner", `k${n}`, { content });
    }
    // From here on they are behind the memory of a room that has just woken up.
    room.wakeAgain();
    const messagesAfter = room.store.messagesAfter.bind(room.store);
    let read = 0;
    room.store.messagesAfter = (after, limit) => {
      const rows = messagesAfter(after, limit);
      read += rows.length;
      return rows;
    };
    const [first] = batches(room);
    for (let batch = first; batch !== undefined && batch.toSeqId < 30; [batch] = batches(room)) {
      confirm(room, batch.fromSeqId, batch.toSeqId);
    }
    expect(first?.records.length).toBe(3);
    // Each of the ten batches looks at one page; what it confirms is read once more.
    expect(read).toBeLessThan(200);
  });

  it("are found again by a room that wakes", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    room.say("owner", "2");
    room.wakeAgain();
    expect(spans(room)).toEqual([[1, 2]]);
    expect(room.take("alarm")).toHaveLength(1);
  });
});

describe("a confirmation", () => {
  it("tells every sender once, in one push, with the key of each message", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.core.append([textOf("a", "1"), textOf("owner", "2"), textOf("a", "3")], room.now);
    confirm(room, 1, 3);
    confirm(room, 1, 3);
    const told = room
      .take("push")
      .map(({ userId, frames }) => [
        userId,
        frames.map((frame) => (frame.type === "message-confirmed" ? frame.data.clientMsgId : frame.type)),
      ]);
    expect(told).toEqual([
      ["a", ["1", "3"]],
      ["owner", ["2"]],
    ]);
  });

  it("that is older than what is known moves nothing back", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    confirm(room, 1, 2);
    confirm(room, 1, 1);
    expect(room.core.counters.persistedSeqId).toBe(2);
    expect(room.take("push")).toHaveLength(1);
  });

  it("behind a hole says nothing about the hole", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.core.append([textOf("owner", "1"), textOf("owner", "2")], room.now);
    confirm(room, 2, 2);
    expect(room.core.counters.persistedSeqId).toBe(0);
    expect(room.take("push")).toEqual([]);
  });

  it("of more than the log has does not move past it", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    confirm(room, 1, Number.MAX_SAFE_INTEGER);
    expect(room.core.counters.persistedSeqId).toBe(1);
    expect(room.say("owner", "2").seqId).toBe(2);
  });

  it("of an earlier batch does not let the next one leave early", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    confirm(room, 1, 1);
    room.say("owner", "2");
    room.say("owner", "3");
    expect(spans(room)).toEqual([
      [1, 1],
      [2, 2],
    ]);
    confirm(room, 1, 1);
    expect(spans(room)).toEqual([]);
  });

  it("writes what senders have read by sending", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.say("a", "1");
    room.say("owner", "2");
    expect(room.store.member("a")?.readSeqId).toBe(0);
    expect(room.core.member("a")?.readSeqId).toBe(1);
    confirm(room, 1, 2);
    expect([room.store.member("a")?.readSeqId, room.store.member("owner")?.readSeqId]).toEqual([1, 2]);
  });
});

describe("a batch without an answer", () => {
  it("is sent again by the alarm: later each time, a minute at most", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    const sentAt: number[] = [];
    for (let n = 0; n < 8; n++) {
      for (let sent = spans(room); sent.length === 0; sent = spans(room)) {
        alarm(room);
      }
      sentAt.push(room.now);
    }
    const pauses = sentAt.slice(1).map((at, n) => at - (sentAt[n] ?? 0));
    expect(pauses[0]).toBe(OUTBOX_RETRY_MS);
    expect(pauses.toSorted((a, b) => a - b)).toEqual(pauses);
    expect(pauses.at(-1)).toBe(OUTBOX_RETRY_MAX_MS);
  });

  it("and one that the bus refused both go again, with what came meanwhile", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    spans(room);
    room.core.persistRefused(room.now);
    alarm(room);
    expect(spans(room)).toEqual([[1, 1]]);
    room.say("owner", "2");
    room.pass(2 * OUTBOX_RETRY_MS);
    alarm(room);
    expect(spans(room)).toEqual([[1, 2]]);
  });

  it("is waited for no longer than at first, once something was confirmed", ({ expect }) => {
    const room = MemoryRoom.group(["owner"]);
    room.say("owner", "1");
    room.core.cached({ online: [], complete: true }, room.now);
    for (let n = 0; n < 5; n++) {
      alarm(room);
    }
    confirm(room, 1, 1);
    alarm(room);
    expect(room.take("alarm")).toEqual([]);
    room.say("owner", "2");
    expect(room.take("alarm").map(({ at }) => at - room.now)).toEqual([OUTBOX_RETRY_MS]);
  });

  it("that the consumer gave up is said to its senders, once however often it is given up", ({ expect }) => {
    const room = MemoryRoom.group(["owner", "a"]);
    room.core.append([textOf("a", "1"), textOf("owner", "2")], room.now);
    room.core.persistFailed(1, 2, room.now);
    room.core.persistFailed(1, 2, room.now);
    const told = room.take("publish").flatMap(({ rows }) => rows.map((row) => JSON.parse(row.body) as FailedEvent));
    expect(told.map(({ event_type, payload }) => [event_type, payload.sender_id, payload.client_msg_id])).toEqual([
      ["message.persist.failed", "a", "1"],
      ["message.persist.failed", "owner", "2"],
    ]);
    expect(new Set(told.map((event) => event.event_id)).size).toBe(2);
    expect(room.core.counters.persistedSeqId).toBe(0);
    // Nor does it go straight back to where it has just failed: the alarm sends it again.
    expect(spans(room)).toEqual([[1, 2]]);
    alarm(room);
    expect(spans(room)).toEqual([[1, 2]]);
  });
});

type FailedEvent = { event_id: string; event_type: string; payload: { sender_id: string; client_msg_id: string } };
