/** What the bridge brings from Kafka: who may bring it, and what becomes of each record. */
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { UserSession } from "../../src/objects/UserSession.ts";
import { newId } from "../../src/platform/ids.ts";
import type { TopicName } from "../../src/protocol/events.ts";
import { maxAttempts } from "../../src/queues/retry.ts";
import { advance, HeldBus, newDirect, newUserId, resetClock } from "./support/harness.ts";
import { request, type Answer } from "./support/http.ts";
import { connect } from "./support/socket.ts";

const SECRET = "a-secret-of-the-bridge";
const KAFKA_ENV: Env = {
  ...env,
  BUS: "kafka",
  UPSTASH_KAFKA_REST_URL: "http://127.0.0.1:1",
  UPSTASH_KAFKA_REST_USERNAME: "u",
  UPSTASH_KAFKA_REST_PASSWORD: "p",
  BRIDGE_SECRET: SECRET,
} as Env;
const EVENTS = "gochat.conversation-events";

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

type Signing = {
  time?: string;
  offByMs?: number;
  secret?: string;
  path?: string;
  body?: string;
  signature?: string;
  env?: Env;
};

async function sign(secret: string, text: string): Promise<string> {
  const encoder = new TextEncoder();
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", encoder.encode(secret), algorithm, false, ["sign"]);
  const signature = await crypto.subtle.sign("HMAC", key, encoder.encode(text));
  return [...new Uint8Array(signature)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Sends `body` signed as it should be; what stands in `signing` is signed, or sent, instead. */
async function post(topic: string, body: unknown, signing: Signing = {}): Promise<Answer> {
  const path = `/internal/bus/${topic}`;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const time = signing.time ?? String(Date.now() + (signing.offByMs ?? 0));
  const signed = `${time}\n${signing.path ?? path}\n${signing.body ?? text}`;
  const headers = {
    "x-gochat-time": time,
    "x-gochat-signature": signing.signature ?? (await sign(signing.secret ?? SECRET, signed)),
  };
  return request("POST", path, { rawBody: text, headers, env: signing.env ?? KAFKA_ENV });
}

function pushOf(topic: string, values: unknown[], attempt?: number) {
  const records = values.map((value, n) => ({
    offset: String(100 + n),
    key: "k",
    value: typeof value === "string" ? value : JSON.stringify(value),
  }));
  return { group: "task.events.group", topic, partition: 3, records, ...(attempt === undefined ? {} : { attempt }) };
}

const push = (topic: TopicName | "gochat.dead-letters", values: unknown[], attempt?: number): Promise<Answer> =>
  post(topic, pushOf(topic, values, attempt));

/** The event of a new direct conversation, and somebody who is told of it. */
async function newEvent() {
  const [a, b] = [newUserId(), newUserId()];
  const id = await newDirect(a, b);
  const [event] = await bus.next(EVENTS, id);
  return { id, event, socket: await connect(b) };
}

const lettersAbout = (part: string) =>
  env.DB.prepare("SELECT queue, error, attempts, body FROM dead_letters WHERE instr(body, ?)").bind(part).all();

describe("who may bring records", () => {
  it("nobody while the bus is not Kafka", async ({ expect }) => {
    const { response, error } = await post(EVENTS, pushOf(EVENTS, [{}]), { env });
    expect([response.status, error?.name]).toEqual([404, "NOT_FOUND"]);
  });

  it.for<[string, Signing]>([
    ["another secret", { secret: "another-secret-of-somebody" }],
    ["no signature", { signature: "" }],
    ["a signature that is none", { signature: "zz".repeat(32) }],
    ["a signature of another length", { signature: "ab" }],
    ["another body", { body: "{}" }],
    ["another path", { path: "/internal/bus/gochat.user-events" }],
    ["a time long ago", { offByMs: -301_000 }],
    ["a time to come", { offByMs: 301_000 }],
    ["a time that is none", { time: "now" }],
    ["no time", { time: "" }],
  ])("refuses %s", async ([, signing], { expect }) => {
    const { event, socket, id } = await newEvent();
    const { response, error } = await post(EVENTS, pushOf(EVENTS, [event]), signing);
    expect([response.status, error?.name]).toEqual([401, "UNAUTHENTICATED"]);
    // Signed as it should be it is served, so it was not before.
    expect((await push(EVENTS, [event])).response.status).toBe(204);
    expect((await socket.next("conversation-created")).data.conversation.conversationId).toBe(id);
    expect(socket.all("conversation-created")).toHaveLength(1);
  });

  it("looks at nothing before the signature, and refuses what is signed and wrong", async ({ expect }) => {
    const wrong = pushOf(EVENTS, [{}]);
    for (const body of ["no json", { ...wrong, records: [] }, { ...wrong, records: [{ offset: -1, value: "{}" }] }]) {
      expect((await post(EVENTS, body, { secret: "another-secret-of-somebody" })).response.status).toBe(401);
      expect((await post(EVENTS, body)).error?.name).toBe("INVALID_INPUT");
    }
    expect((await post(EVENTS, { ...wrong, topic: "gochat.user-events" })).error?.name).toBe("INVALID_INPUT");
    expect((await post("gochat.nothing", wrong)).error?.name).toBe("NOT_FOUND");
  });

  it("is a clock of five minutes", async ({ expect }) => {
    const { event } = await newEvent();
    const time = String(Date.now());
    advance(290_000);
    expect((await post(EVENTS, pushOf(EVENTS, [event]), { time })).response.status).toBe(204);
    advance(20_000);
    expect((await post(EVENTS, pushOf(EVENTS, [event]), { time })).response.status).toBe(401);
  });
});

describe("what becomes of a record", () => {
  it("is handled, and once more when it comes again", async ({ expect }) => {
    const { event, socket } = await newEvent();
    expect((await push(EVENTS, [event])).response.status).toBe(204);
    expect((await push(EVENTS, [event, event])).response.status).toBe(204);
    expect(socket.all("conversation-created").length).toBeGreaterThan(0);
  });

  it("is wanted again alone, by its offset and after its time", async ({ expect }) => {
    const [good, bad] = [await newEvent(), await newEvent()];
    const deliver = vi.spyOn(UserSession.prototype, "deliver").mockImplementation(async (frames) => {
      if (frames.some((frame) => frame.includes(bad.id))) {
        throw new Error("Network connection lost.");
      }
      return 1;
    });
    const first = await push(EVENTS, [bad.event, good.event]);
    expect([first.response.status, first.body]).toEqual([503, { failed: ["100"], retryAfterMs: 1_000 }]);
    const third = await push(EVENTS, [bad.event], 3);
    expect(third.body).toEqual({ failed: ["100"], retryAfterMs: 4_000 });
    deliver.mockRestore();
    expect((await push(EVENTS, [bad.event], 4)).response.status).toBe(204);
    await bad.socket.next("conversation-created");
  });

  it("is a letter after as many tries as a queue would make, and holds up nobody then", async ({ expect }) => {
    const { event, id } = await newEvent();
    vi.spyOn(UserSession.prototype, "deliver").mockRejectedValue(new Error("no such luck"));
    const last = await push(EVENTS, [event], maxAttempts(EVENTS));
    expect(last.response.status).toBe(204);
    const { results } = await lettersAbout(id);
    expect(results).toMatchObject([{ queue: "gochat-conversation-events", error: "Error: no such luck", attempts: 6 }]);
  });

  it("comes again when not even its letter could be kept", async ({ expect }) => {
    const { event } = await newEvent();
    vi.spyOn(UserSession.prototype, "deliver").mockRejectedValue(new Error("no such luck"));
    vi.spyOn(env.DB, "prepare").mockImplementation(() => {
      throw new Error("D1_ERROR: Network connection lost");
    });
    const last = await push(EVENTS, [event], maxAttempts(EVENTS));
    expect([last.response.status, (last.body as { failed: string[] }).failed]).toEqual([503, ["100"]]);
  });

  it("is a letter at once when it is not of this topic at all; the others of the batch are handled", async ({
    expect,
  }) => {
    const { event, socket } = await newEvent();
    const marks = Array.from({ length: 3 }, () => newId(Date.now()));
    const strange = [`no json ${marks[0]}`, { other: marks[1] }, { conversationId: marks[2], records: [] }];
    expect((await push(EVENTS, [...strange, event])).response.status).toBe(204);
    await socket.next("conversation-created");
    for (const mark of marks) {
      expect((await lettersAbout(mark)).results).toHaveLength(1);
    }
  });

  it.for(["gochat.messages.persist", "gochat.tasks.fanout", "gochat.messages.upstream"] as const)(
    "on %s, one that its consumer cannot even read takes nobody along",
    async (topic, { expect }) => {
      const mark = newId(Date.now());
      const poison = {
        "gochat.messages.persist": { conversationId: mark, records: [null], fromSeqId: 0, toSeqId: 0, outboxIds: [] },
        "gochat.tasks.fanout": { conversationId: mark, messages: [null], fromSeqId: 1, toSeqId: "x", type: 2 },
        "gochat.messages.upstream": { conversationId: mark, command: null },
      }[topic];
      const tried = await push(topic, [poison, "not json", poison]);
      expect([tried.response.status, (tried.body as { failed: string[] }).failed]).toEqual([503, ["100", "102"]]);
      expect((await push(topic, [poison], maxAttempts(topic))).response.status).toBe(204);
      expect((await lettersAbout(mark)).results).toHaveLength(1);
    },
  );
});

describe("what the bridge gave up on by itself", () => {
  it("is a letter with the bridge's reason and its own topic", async ({ expect }) => {
    const { event, id } = await newEvent();
    const letter = { topic: EVENTS, key: id, value: JSON.stringify(event), error: "the worker answered 500" };
    expect((await push("gochat.dead-letters", [letter])).response.status).toBe(204);
    expect((await lettersAbout(id)).results).toMatchObject([
      { queue: "gochat-conversation-events", error: "the worker answered 500", body: JSON.stringify(event) },
    ]);
  });

  it("is a letter whatever it is, and is brought until it is kept", async ({ expect }) => {
    const mark = newId(Date.now());
    const failing = vi.spyOn(env.DB, "prepare").mockImplementation(() => {
      throw new Error("D1_ERROR: Network connection lost");
    });
    expect((await push("gochat.dead-letters", [`text ${mark}`], 50)).response.status).toBe(503);
    failing.mockRestore();
    expect((await push("gochat.dead-letters", [`text ${mark}`], 51)).response.status).toBe(204);
    expect((await lettersAbout(mark)).results).toHaveLength(1);
  });
});
