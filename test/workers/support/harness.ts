/** What the tests inside workerd share: people, rooms, a clock that jumps, consumers called by hand. */
import { env } from "cloudflare:workers";
import { createExecutionContext, createMessageBatch, evictDurableObject, getQueueResult } from "cloudflare:test";
import { vi } from "vitest";
import type { Actor, SendCommand } from "../../../src/domain/commands.ts";
import { DIRECT, GROUP, WORLD_ROOM_ID, type StoredMessage } from "../../../src/domain/records.ts";
import { systemClock } from "../../../src/platform/clock.ts";
import { directConversationId, newGroupId, newId } from "../../../src/platform/ids.ts";
import type { RoomView, SendCommand as Send, SignedIn } from "../../../src/platform/rpc.ts";
import { sessionOf } from "../../../src/platform/stubs.ts";
import type { Result } from "../../../src/protocol/errors.ts";
import { DEAD_LETTER_QUEUE, TOPICS, type TopicName } from "../../../src/protocol/events.ts";
import { consume } from "../../../src/queues/index.ts";

export const DAY_MS = 24 * 3_600_000;

/** The value of an outcome that has to be good. */
export function must<T>(result: Result<T> | undefined): T {
  if (result === undefined) {
    throw new Error("no answer");
  }
  if (!result.ok) {
    throw new Error(`refused: ${result.fault.name} ${JSON.stringify(result.fault)}`);
  }
  return result.value;
}

/** Name of the fault, or "ok". */
export function nameOf(result: Result<unknown> | undefined): string {
  return result === undefined ? "nothing" : result.ok ? "ok" : result.fault.name;
}

/** Settings of a bus that nobody asks in a test; a request to it fails at once. */
export const KAFKA = {
  BUS: "kafka",
  UPSTASH_KAFKA_REST_URL: "http://127.0.0.1:1",
  UPSTASH_KAFKA_REST_USERNAME: "u",
  UPSTASH_KAFKA_REST_PASSWORD: "p",
  BRIDGE_SECRET: "a-secret-of-the-bridge",
} as const;

/** The tests' bindings with some of them replaced: a binding that a test has made answers what the test calls, and no more. */
export function envWith(bindings: Readonly<Record<string, unknown>>): Env {
  return { ...env, ...bindings };
}

/** Bindings whose SQL fails with this message, whatever it is asked. */
export function envWithoutSql(message: string): Env {
  const fails = () => Promise.reject(new Error(message));
  const statement = { bind: () => statement, all: fails, raw: fails, run: fails, first: fails };
  return envWith({ DB: { prepare: () => statement, batch: fails } });
}

// ---- time

const realNow = systemClock.now;
let aheadMs = 0;
let slow = { since: 0, times: 1 };

/** Whole milliseconds. */
function testNow(): number {
  return slow.since + Math.floor((realNow() - slow.since) / slow.times) + aheadMs;
}

/**
 * Lets the adapters' clock jump: retry times, leases and windows pass without anybody waiting. Alarms are still set
 * on the machine's time, so tests run them by hand.
 */
export function advance(ms: number): void {
  aheadMs += ms;
  vi.spyOn(systemClock, "now").mockImplementation(testNow);
}

/**
 * Lets the adapters' clock go so many times slower from now on: on a machine that is busy with other things nothing is late
 * that would not be late on one that is idle. It still goes on, so whoever waits for a time of the clock comes to it.
 */
export function slowDown(times: number): void {
  slow = { since: realNow(), times };
  vi.spyOn(systemClock, "now").mockImplementation(testNow);
}

/** For `afterEach`: the machine's own time again. */
export function resetClock(): void {
  aheadMs = 0;
  slow = { since: 0, times: 1 };
}

// ---- people

/** An id that no other test has. */
export function newUserId(): string {
  return newId(realNow());
}

export function actorOf(userId: string, more: Partial<Actor> = {}): Actor {
  return { userId, isGuest: false, isAdmin: false, ...more };
}

/** A signed-in device, as after a log-in. */
export async function signIn(
  userId: string,
  wish: { id?: string; kind?: "web" | "ios" | "bot"; name?: string } = {},
): Promise<SignedIn> {
  const account = { userId, isGuest: false, role: "user" as const };
  return must(await sessionOf(env, userId).signIn(account, wish));
}

// ---- rooms

export function roomStub(conversationId: string) {
  return env.ROOMS.getByName(conversationId);
}

export async function newGroup(memberIds: string[], maxMembers?: number): Promise<string> {
  const conversationId = newGroupId(realNow());
  const room = roomStub(conversationId);
  const made = await room.create({ type: GROUP, name: "a group", memberIds, maxMembers });
  await room.settled(must(made).outboxIds);
  return conversationId;
}

export async function newDirect(a: string, b: string): Promise<string> {
  const conversationId = directConversationId(a, b);
  const room = roomStub(conversationId);
  const made = await room.create({ type: DIRECT, memberIds: [a, b] });
  await room.settled(must(made).outboxIds);
  return conversationId;
}

const EVICTED_WITHIN_MS = 60_000;

/** Ends this life of a room's object as soon as nothing is under way in it. workerd waits ten seconds for that, and a flight's patience takes as long. */
export async function evictRoom(conversationId: string): Promise<void> {
  for (const deadline = performance.now() + EVICTED_WITHIN_MS; ;) {
    try {
      return await evictDurableObject(roomStub(conversationId));
    } catch (error) {
      if (!String(error).includes("active references") || performance.now() > deadline) {
        throw error;
      }
    }
  }
}

export function text(userId: string, clientMsgId: string, content = `text of ${clientMsgId}`): SendCommand {
  return { actor: actorOf(userId), clientMsgId, messageType: "text", content };
}

export async function append(conversationId: string, sends: Send[]): Promise<Result<StoredMessage>[]> {
  return await roomStub(conversationId).append(sends);
}

/** One send that has to be accepted. */
export async function appendOne(conversationId: string, command: Send): Promise<StoredMessage> {
  const [outcome] = await append(conversationId, [command]);
  return must(outcome ?? { ok: false, fault: { name: "INTERNAL" } });
}

/** The whole log, as consumers read it. */
export async function logOf(conversationId: string): Promise<StoredMessage[]> {
  return (await roomStub(conversationId).readLog(0, 10_000)).messages;
}

export async function viewOf(conversationId: string, userId: string): Promise<RoomView> {
  return must(await roomStub(conversationId).view(actorOf(userId)));
}

export { WORLD_ROOM_ID };

// ---- the bus

/** What a queue answers that has taken something. */
export const QUEUED: QueueSendResponse = { metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } } };

type Sent = { topic: TopicName; body: unknown };

/**
 * Takes the bus into the test's hands: what is published is recorded and goes nowhere, as in a queue that is killed
 * with everything in it, until the test gives it to a consumer. `refuse` makes publishing fail.
 */
export class HeldBus {
  readonly sent: Sent[] = [];
  refuse = false;
  /** How often it was. */
  refusals = 0;

  constructor() {
    for (const [topic, { binding }] of Object.entries(TOPICS) as [TopicName, (typeof TOPICS)[TopicName]][]) {
      const take = (bodies: unknown[]): QueueSendResponse => {
        if (this.refuse) {
          this.refusals += 1;
          throw new Error("the bus is down");
        }
        this.sent.push(...bodies.map((body) => ({ topic, body: structuredClone(body) })));
        return QUEUED;
      };
      vi.spyOn(env[binding], "send").mockImplementation(async (body) => take([body]));
      vi.spyOn(env[binding], "sendBatch").mockImplementation(async (messages) =>
        take([...messages].map((message) => message.body)),
      );
    }
  }

  /** What was published on a topic about a conversation (or user) and not taken yet. */
  of<Body = Record<string, unknown>>(topic: TopicName, about: string): Body[] {
    return this.sent.filter((sent) => matches(sent, topic, about)).map((sent) => sent.body as Body);
  }

  /** Waits until something is there, removes it, and answers it. */
  async next<Body = Record<string, unknown>>(topic: TopicName, about: string): Promise<Body[]> {
    await eventually(`${topic} of ${about}`, () => this.of(topic, about).length > 0);
    return this.take<Body>(topic, about);
  }

  /** Removes and answers what is there, be it nothing. */
  take<Body = Record<string, unknown>>(topic: TopicName, about: string): Body[] {
    const taken = this.of<Body>(topic, about);
    const rest = this.sent.filter((sent) => !matches(sent, topic, about));
    this.sent.splice(0, this.sent.length, ...rest);
    return taken;
  }
}

/** Objects of earlier tests live on and publish: each test looks at what is about its own. */
function matches({ topic, body }: Sent, wanted: TopicName, about: string): boolean {
  const { conversationId, conversation_id, user_id } = body as Record<string, unknown>;
  return topic === wanted && [conversationId, conversation_id, user_id].includes(about);
}

export type Consumed = { acked: string[]; retried: string[]; delays: number[] };

/**
 * Gives bodies to the consumer of a topic, as one queue batch; `attempts` as the queue counts them (from 1).
 * @param bindings with which the consumer works, where a test counts what it does: the real queues' consumers have the others
 */
export async function deliver(
  topic: TopicName | typeof DEAD_LETTER_QUEUE,
  bodies: readonly unknown[],
  attempts = 1,
  bindings: Env = env,
): Promise<Consumed> {
  const queue = topic === DEAD_LETTER_QUEUE ? topic : TOPICS[topic].queue;
  const messages = bodies.map((body, index) => ({
    id: `${topic}-${newId(realNow())}-${index}`,
    timestamp: realNow(),
    attempts,
    body: structuredClone(body),
  }));
  const batch = createMessageBatch(queue, messages);
  // The result does not tell the delays.
  const retries = batch.messages.map((message) => vi.spyOn(message, "retry"));
  const ctx = createExecutionContext();
  await consume(batch, bindings, ctx);
  const result = await getQueueResult(batch, ctx);
  return {
    acked: result.explicitAcks,
    retried: result.retryMessages.map((message) => message.msgId),
    delays: retries.flatMap((retry) => retry.mock.calls.map(([options]) => options?.delaySeconds ?? 0)),
  };
}

/** A condition that has to come true; polled quickly, and given up with its name. */
export async function eventually(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
  await vi.waitFor(
    async () => {
      if (!(await check())) {
        throw new Error(`never came: ${what}`);
      }
    },
    { timeout: 5_000, interval: 10 },
  );
}
