/** What a room puts on the bus fits the bus, whatever users write: a batch too large would be refused for ever. */
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import { queuesBus } from "../../src/bus/queues.ts";
import type { PersistBatch } from "../../src/domain/records.ts";
import {
  actorOf,
  append,
  HeldBus,
  must,
  newGroup,
  newUserId,
  QUEUED,
  resetClock,
  roomStub,
  text,
} from "./support/harness.ts";

/** Source: platform limits of Queues. */
const MESSAGE_LIMIT_BYTES = 128_000;
const SEND_BATCH_LIMIT_BYTES = 256_000;

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const bytesOf = (body: unknown): number => new TextEncoder().encode(JSON.stringify(body)).length;

/** Lets SQL "confirm" batches until the room's log is behind the watermark; answers all batches. */
async function persistAll(id: string, upTo: number): Promise<PersistBatch[]> {
  const batches: PersistBatch[] = [];
  while ((batches.at(-1)?.toSeqId ?? 0) < upTo) {
    for (const batch of await bus.next<PersistBatch>("gochat.messages.persist", id)) {
      batches.push(batch);
      await roomStub(id).persisted(batch.fromSeqId, batch.toSeqId, batch.outboxIds);
    }
  }
  return batches;
}

describe("batches on the bus", () => {
  const hostile: [what: string, content: string][] = [
    ["control characters", "\u0001".repeat(7_999) + "x"],
    ["quotes", '"'.repeat(8_000)],
    ["Chinese", "你".repeat(8_000)],
    ["emoji", "👍".repeat(8_000)],
    ["one character", "x"],
  ];
  for (const [what, content] of hostile) {
    it(`hold messages of ${what} within the limit of a queue message`, async ({ expect }) => {
      const owner = newUserId();
      const id = await newGroup([owner]);
      const count = content === "x" ? 600 : 12;
      for (let n = 0; n < count; n += 200) {
        const sends = Array.from({ length: Math.min(200, count - n) }, (_, i) =>
          text(owner, `${n + i}`.padEnd(64, "k"), content),
        );
        (await append(id, sends)).map(must);
      }
      const batches = await persistAll(id, count);
      expect(Math.max(...batches.map(bytesOf))).toBeLessThan(MESSAGE_LIMIT_BYTES);
      expect(batches.flatMap((batch) => batch.records).filter((record) => record.kind === "message")).toHaveLength(
        count,
      );
    });
  }

  it("leave room for the changes that travel with the messages", async ({ expect }) => {
    const owner = newUserId();
    const id = await newGroup([owner]);
    // A receipt a member, none of which was written through: their records wait in the outbox.
    const members = Array.from({ length: 450 }, () => newUserId());
    const added = must(await roomStub(id).addMembers(actorOf(owner), members));
    await roomStub(id).settled(added.outboxIds);
    (
      await append(
        id,
        Array.from({ length: 300 }, (_, n) => text(owner, `m-${n}`, "y".repeat(300))),
      )
    ).map(must);
    for (const member of members) {
      must(await roomStub(id).markRead(actorOf(member), 1, false));
    }
    const batches = await persistAll(id, 300);
    expect(batches.some((batch) => batch.outboxIds.length > 50)).toBe(true);
    expect(Math.max(...batches.map(bytesOf))).toBeLessThan(MESSAGE_LIMIT_BYTES);
  });

  it("are cut where a sendBatch would be too large, in order", async ({ expect }) => {
    const sent: unknown[][] = [];
    vi.spyOn(env.Q_FRIEND_EVENTS, "sendBatch").mockImplementation(async (messages) => {
      sent.push([...messages].map((message) => message.body));
      return QUEUED;
    });
    const records = Array.from({ length: 60 }, (_, n) => ({ key: "k", body: { n, filler: "z".repeat(20_000) } }));
    await queuesBus(env).publish("gochat.friend-events", records);
    expect(Math.max(...sent.map(bytesOf))).toBeLessThan(SEND_BATCH_LIMIT_BYTES);
    expect(sent.flat()).toEqual(records.map((record) => record.body));
  });
});
