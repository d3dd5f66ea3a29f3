import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import type { PersistBatch } from "../../src/domain/records.ts";
import { UserSession } from "../../src/objects/UserSession.ts";
import { DEAD_LETTER_QUEUE, type TopicName } from "../../src/protocol/events.ts";
import type { DeadLetter } from "../../src/protocol/rest.ts";
import { keyOfBody, topicOfBody } from "../../src/queues/letters.ts";
import { maxAttempts } from "../../src/queues/retry.ts";
import { repositories } from "../../src/repo/index.ts";
import { asKey, auditAbout } from "./support/admins.ts";
import { append, deliver, HeldBus, must, newDirect, newUserId, resetClock, text } from "./support/harness.ts";
import { expectStatus } from "./support/http.ts";
import { connect } from "./support/socket.ts";

const EVENTS = "gochat.conversation-events";

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

type Page = { items: DeadLetter[]; nextCursor: string | null };

async function letterAbout(part: string): Promise<DeadLetter | undefined> {
  const { items } = await expectStatus<Page>(200, asKey("GET", "/dead-letters?limit=100"));
  return items.find((letter) => letter.body.includes(part));
}

/** Delivered until the queue gives up, then as the dead letter that it becomes. */
async function giveUp(topic: TopicName, body: unknown): Promise<void> {
  await deliver(topic, [body], maxAttempts(topic));
  await deliver(DEAD_LETTER_QUEUE, [body]);
}

describe("dead letters", () => {
  it("of an event: listed with topic and reason, replayed, and pushed then", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [event] = await bus.next(EVENTS, id);
    const failing = vi.spyOn(UserSession.prototype, "deliver").mockRejectedValue(new Error("no such luck"));
    await giveUp(EVENTS, event);
    await deliver(DEAD_LETTER_QUEUE, [event]);
    failing.mockRestore();

    const letter = await letterAbout(id);
    expect(letter).toMatchObject({ topic: EVENTS, attempts: 6, error: "Error: no such luck" });
    expect(letter).not.toHaveProperty("replayedAt");
    const path = `/dead-letters/${letter?.id}/replay`;
    const answer = await expectStatus<DeadLetter>(200, asKey("POST", path, { reason: "mended" }));
    expect(answer).toEqual({ ...letter, replayedAt: answer.replayedAt });

    const socket = await connect(b);
    const replayed = bus.take(EVENTS, id);
    expect(replayed).toEqual([event]);
    await deliver(EVENTS, replayed);
    expect((await socket.next("conversation-created")).data.conversation.conversationId).toBe(id);
    expect((await letterAbout(id))?.replayedAt).toBe(answer.replayedAt);
    expect(await auditAbout(letter?.id ?? "")).toMatchObject([
      { action: "dead-letter.replay", actor: "key", reason: "mended" },
    ]);
  });

  it("that fail again are the same letter, open once more", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [event] = await bus.next(EVENTS, id);
    vi.spyOn(UserSession.prototype, "deliver").mockRejectedValue(new Error("still not"));
    await giveUp(EVENTS, event);
    const letter = await letterAbout(id);
    await expectStatus(200, asKey("POST", `/dead-letters/${letter?.id}/replay`, {}));
    await giveUp(EVENTS, event);
    expect(await letterAbout(id)).toEqual(letter);
  });

  it("of records for SQL: one for each room, and the replay persists them", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const messages = (await append(id, [text(a, "1"), text(b, "2")])).map(must);
    const batches = messages.map((message): PersistBatch => ({
      conversationId: id,
      fromSeqId: message.seqId,
      toSeqId: message.seqId,
      records: [{ kind: "message", conversationId: id, logId: 10 + message.seqId, message }],
      outboxIds: [],
    }));
    for (const batch of batches) {
      await deliver(DEAD_LETTER_QUEUE, [batch]);
    }
    const { items } = await expectStatus<Page>(200, asKey("GET", "/dead-letters?limit=100"));
    const letters = items.filter((letter) => letter.body.includes(id));
    expect(letters).toMatchObject([
      { topic: "gochat.messages.persist", attempts: 6, body: JSON.stringify(batches[1]) },
    ]);
    await expectStatus(200, asKey("POST", `/dead-letters/${letters[0]?.id}/replay`, {}));
    await deliver("gochat.messages.persist", bus.take("gochat.messages.persist", id));
    const stored = await repositories(env).conversations.messages(id, { after: 0, limit: 10 });
    expect(stored.map((message) => message.seqId)).toContain(2);
  });

  it("stay as they were when the bus is down, and nothing stands in the audit", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [event] = await bus.next(EVENTS, id);
    await deliver(DEAD_LETTER_QUEUE, [event]);
    const letter = await letterAbout(id);
    bus.refuse = true;
    expect((await asKey("POST", `/dead-letters/${letter?.id}/replay`, {})).error?.name).toBe("UNAVAILABLE");
    expect(await letterAbout(id)).toEqual(letter);
    expect(await auditAbout(letter?.id ?? "")).toEqual([]);
  });

  it("that nobody knows are listed, not replayed; and there is no letter by any other id", async ({ expect }) => {
    const strange = { of: `tomorrow ${newUserId()}` };
    await deliver(DEAD_LETTER_QUEUE, [strange]);
    const letter = await letterAbout(strange.of);
    expect(letter).toMatchObject({ topic: DEAD_LETTER_QUEUE, attempts: 1 });
    expect((await asKey("POST", `/dead-letters/${letter?.id}/replay`, {})).error?.name).toBe("CONFLICT");
    for (const id of [newUserId(), "no%20id", "%00"]) {
      expect((await asKey("POST", `/dead-letters/${id}/replay`, {})).error?.name).toBe("NOT_FOUND");
    }
    expect((await asKey("GET", "/dead-letters?cursor=bm9wZQ")).error?.name).toBe("INVALID_INPUT");
  });

  it("come in pages, newest first", async ({ expect }) => {
    for (const n of [1, 2, 3]) {
      await deliver(DEAD_LETTER_QUEUE, [{ n, by: newUserId() }]);
    }
    const first = await expectStatus<Page>(200, asKey("GET", "/dead-letters?limit=2"));
    const second = await expectStatus<Page>(200, asKey("GET", `/dead-letters?limit=2&cursor=${first.nextCursor}`));
    const numbers = [...first.items, ...second.items].map((letter) => (JSON.parse(letter.body) as { n: number }).n);
    expect(numbers.slice(0, 3)).toEqual([3, 2, 1]);
  });
});

describe("what a letter is about", () => {
  const send = { actor: { userId: "u" }, clientMsgId: "c" };

  it.for([
    [{ event_id: "e", event_type: "user.online" }, "gochat.user-events", "e"],
    [{ event_id: "e", event_type: "of.tomorrow" }, undefined, "e"],
    [{ conversationId: "g", records: [] }, "gochat.messages.persist", "gochat.messages.persist:g"],
    [{ conversationId: "g", fromSeqId: 1, messages: [] }, "gochat.tasks.fanout", "gochat.tasks.fanout:g"],
    [{ conversationId: "g", command: send }, "gochat.messages.upstream", "gochat.messages.upstream:g:u:c"],
    [{}, undefined, "id of the queue"],
    [null, undefined, "id of the queue"],
    ["text", undefined, "id of the queue"],
  ] as const)("%j", ([body, topic, key], { expect }) => {
    expect([topicOfBody(body), keyOfBody(body, "id of the queue")]).toEqual([topic, key]);
  });
});
