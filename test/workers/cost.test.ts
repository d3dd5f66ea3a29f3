/**
 * What each operation costs, down to the last request and row: all that it leads to is counted, consumers and the room's alarm
 * included, with nothing else going on. A bill is made of these numbers, so one more of anything shows here. `npm run cost`
 * writes them to docs/cost.md. Rows that are read are not compared: an object that has slept reads some more.
 */
import { afterAll, beforeAll, describe, expect, it, vi, type TestContext } from "vitest";
import { directConversationId } from "../../src/platform/ids.ts";
import type { ClientFrame, ServerFrameType } from "../../src/protocol/frames.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
import type { ListItem } from "../../src/protocol/things.ts";
import { inShort, type Counted, type Ledger, type Owner } from "../support/ledger.ts";
import { OPERATIONS, type OperationName } from "../support/operations.ts";
import { Meter } from "./support/counting.ts";
import {
  advance,
  appendOne,
  deliver,
  eventually,
  HeldBus,
  newGroup,
  newUserId,
  resetClock,
  slowDown,
  text,
  WORLD_ROOM_ID,
} from "./support/harness.ts";
import { expectStatus, register, request } from "./support/http.ts";
import { connect, TestSocket } from "./support/socket.ts";

declare module "vitest" {
  interface TaskMeta {
    /** For scripts/cost. */
    counted?: Counted[];
  }
}

/** So late it is by the adapters' clock: alarms go off when the test lets them, never by themselves on a machine that is slow. */
const AHEAD_MS = 1_800_000;
/** What is late is done again: see `slowDown`. */
const TIMES_SLOWER = 10;
/** Of a crowd so many come at a time: more at once, and the cache is late on a busy machine, until its breaker opens. */
const COMING_AT_ONCE = 25;
/** With the world, as many conversations as a page of the list has. */
const FRIENDS = 4;
const GROUPS = 15;

const meter = new Meter();
let bus: HeldBus;
beforeAll(async () => {
  advance(AHEAD_MS);
  slowDown(TIMES_SLOWER);
  bus = new HeldBus();
  await meter.begin();
});
afterAll(() => {
  meter.end();
  resetClock();
  vi.restoreAllMocks();
});

/** What consumers would do, and what that leads to, until nothing is left to do. */
async function rest(): Promise<void> {
  await meter.rest();
  while (bus.sent.length > 0) {
    for (const [topic, records] of Map.groupBy(bus.sent.splice(0), (record) => record.topic)) {
      const bodies = records.map((record) => record.body);
      const { retried } = await deliver(topic, bodies);
      if (retried.length > 0) {
        throw new Error(`${topic}: ${retried.length} messages were not handled`);
      }
    }
    await meter.rest();
  }
}

/** Counts an operation and compares it with what it is known to cost; `alarms`: of objects that have set theirs because of it. */
async function counted(
  { task }: TestContext,
  name: OperationName,
  work: () => Promise<unknown>,
  ...alarms: [Owner, string][]
): Promise<Ledger> {
  await rest();
  meter.restart();
  await work();
  await rest();
  for (const [owner, object] of alarms) {
    await meter.alarm(owner, object);
    await rest();
  }
  const ledger = await meter.read();
  task.meta.counted = [...(task.meta.counted ?? []), { name, ledger }];
  expect.soft(inShort(ledger), name).toMatch(OPERATIONS[name]);
  return ledger;
}

// ---- people

let ana: AuthAnswer;
let ben: AuthAnswer;
let cleo: AuthAnswer;
let direct: string;
let group: string;
beforeAll(async () => {
  ana = await register();
  const friends: AuthAnswer[] = [];
  for (let n = 0; n < FRIENDS; n++) {
    const friend = await register();
    const { requestId } = await askFriendship(friend);
    await call(200, friend, "PUT", `/friends/requests/${requestId}`, { action: "accept" });
    friends.push(friend);
  }
  [ben, cleo] = friends as [AuthAnswer, AuthAnswer];
  direct = directConversationId(ana.user.userId, ben.user.userId);
  for (let n = 0; n < GROUPS; n++) {
    const body = { type: 2, name: `group ${n}`, memberIds: [friends[n % FRIENDS]?.user.userId] };
    const made = await call<{ conversationId: string }>(201, ana, "POST", "/conversations", body);
    group = made.conversationId;
  }
  await rest();
  const { items } = await call<{ items: ListItem[] }>(200, ana, "GET", "/conversations");
  for (const { conversation } of items) {
    await appendOne(conversation.conversationId, text(ana.user.userId, newUserId()));
  }
  await rest();
  // Alarms that were set by all this are not to go off in the middle of something else.
  await Promise.all([
    ...items.map(({ conversation }) => meter.alarm("room", conversation.conversationId)),
    ...[ana, ...friends].map(({ user }) => meter.alarm("session", user.userId)),
  ]);
  await rest();
}, 60_000);

function askFriendship(of: AuthAnswer): Promise<{ requestId: string }> {
  return call(201, ana, "POST", "/friends/requests", { targetUserId: of.user.userId });
}

function call<T>(status: number, user: AuthAnswer, method: string, path: string, body?: unknown): Promise<T> {
  return expectStatus<T>(status, request(method, `/api${path}`, { token: user.accessToken, body }));
}

async function open(user: AuthAnswer): Promise<TestSocket> {
  const headers = { Upgrade: "websocket", "Sec-WebSocket-Protocol": "gochat.v1" };
  const { response } = await request("GET", "/ws", { token: user.accessToken, headers });
  if (response.webSocket === null) {
    throw new Error(`no upgrade: ${response.status}`);
  }
  const socket = new TestSocket(response.webSocket);
  await socket.next("connected");
  return socket;
}

/** A frame, and the frame that answers it. */
async function ask(socket: TestSocket, frame: ClientFrame, answer: ServerFrameType): Promise<void> {
  socket.send(frame);
  await socket.next(answer);
}

/** Something that is not answered: waits until it has come. */
async function tell(act: () => void, times = 1): Promise<void> {
  const before = meter.socketEvents;
  act();
  await eventually("what the client does", () => meter.socketEvents >= before + times);
}

async function hangUp(...sockets: TestSocket[]): Promise<void> {
  await tell(() => sockets.forEach((socket) => socket.close()), sockets.length);
  await rest();
}

const nothing = () => Promise.resolve();

const textFrame = (conversationId: string): ClientFrame => ({
  type: "send-message",
  data: { clientMsgId: newUserId(), conversationId, messageType: "text", content: "hello" },
});

// ---- operations

describe("what it costs", () => {
  it("to come and go, with one friend online", async (context) => {
    const friend = await open(ana);
    let socket = friend;
    const alarm: [Owner, string] = ["session", cleo.user.userId];
    const come = async (): Promise<void> => {
      socket = await open(cleo);
    };
    await counted(context, "connect", come);
    // The first alarm writes one row more, once: that friends were told.
    await meter.alarm(...alarm);
    await counted(context, "stay connected, each 2 minutes", nothing, alarm);
    await counted(context, "disconnect", () => tell(() => socket.close()));
    advance(60_000);
    await counted(context, "be known as away, 30 s later", nothing, alarm);
    await hangUp(friend);
  });

  it("to read, with warm caches", async (context) => {
    const read = (path: string) => call<{ conversations: ListItem[] }>(200, ana, "GET", path);
    const warm = async (name: OperationName, path: string): Promise<void> => {
      await read(path);
      await counted(context, name, () => read(path));
    };
    const everything = "/sync?heads=%7B%7D";
    await warm("list page", "/conversations");
    await warm("history page", `/conversations/${group}/messages`);
    await warm("sync, everything is new", everything);
    const heads: Record<string, { seqId: number; version: number }> = {};
    for (const { conversation } of (await read(everything)).conversations) {
      heads[conversation.conversationId] = { seqId: conversation.headSeqId, version: conversation.version };
    }
    const socket = await open(ana);
    await counted(context, "sync by socket, nothing is new", () =>
      ask(socket, { type: "sync", data: { heads } }, "sync-result"),
    );
    // Each ends with an own message, which is read: on another device, for all that this one says.
    const unread = Object.fromEntries(Object.entries(heads).map(([id, head]) => [id, { ...head, readSeqId: 0 }]));
    await counted(context, "sync by socket, all has been read elsewhere", () =>
      ask(socket, { type: "sync", data: { heads: unread } }, "sync-result"),
    );
    await hangUp(socket);
  });

  it("to change friendships, members and read pointers, with everybody online", async (context) => {
    const dora = await register();
    const sockets = [await open(ana), await open(ben), await open(dora)] as const;
    await counted(context, "friend request", () => askFriendship(dora), ["session", ana.user.userId]);
    await appendOne(direct, text(ana.user.userId, newUserId()));
    await appendOne(direct, text(ana.user.userId, newUserId()));
    await rest();
    await meter.alarm("room", direct);
    const frame: ClientFrame = { type: "mark-read", data: { conversationId: direct, seqId: 2 } };
    await counted(context, "read pointer, by socket", () => tell(() => sockets[1].send(frame)), ["room", direct]);
    const read = () => call(200, ben, "PUT", `/conversations/${direct}/read`, { seqId: 3 });
    await counted(context, "read pointer, by REST", read, ["room", direct]);
    const members = `/conversations/${group}/members`;
    const add = () => call(200, ana, "POST", members, { userIds: [dora.user.userId] });
    // Who is known by name, as most people are who are added.
    const body = { type: 2, name: "another group", memberIds: [dora.user.userId] };
    const { conversationId } = await call<{ conversationId: string }>(201, ana, "POST", "/conversations", body);
    await call(200, ana, "GET", `/conversations/${conversationId}/members`);
    await counted(context, "member added", add, ["room", group]);
    const remove = () => call(200, ana, "DELETE", `${members}/${dora.user.userId}`);
    await counted(context, "member removed", remove, ["room", group]);
    await hangUp(...sockets);
  });
});

describe("what a send costs", () => {
  /** One send, to a room in which something was said before. */
  async function sendTo(context: TestContext, name: OperationName, id: string, sender: TestSocket): Promise<Ledger> {
    const send = () => ask(sender, textFrame(id), "message-ack");
    await send();
    await rest();
    await meter.alarm("room", id);
    return counted(context, name, send, ["room", id]);
  }

  it("directly", async (context) => {
    const [a, b] = [await open(ana), await open(ben)];
    await sendTo(context, "direct, receiver online", direct, a);
    await hangUp(b);
    await sendTo(context, "direct, receiver away", direct, a);
    await hangUp(a);
  });

  it("to the world", async (context) => {
    const [a, b] = [await open(ana), await open(ben)];
    await sendTo(context, "world, 2 users follow it", WORLD_ROOM_ID, a);
    await hangUp(a, b);
  });

  /** 500 sign-ins and sockets, on a machine that is busy. */
  const CROWD_TEST = { timeout: 120_000 };
  const CROWDS = [
    [50, 50, "group of 50, all online"],
    [500, 1, "group of 500, only the sender online"],
    [500, 500, "group of 500, all online"],
  ] as const;
  it.for(CROWDS)(
    "to a crowd: %i members, %i online; nothing is written for each",
    CROWD_TEST,
    async (crowd, context) => {
      const [members, online, name] = crowd;
      const people = Array.from({ length: members }, newUserId);
      const id = await newGroup(people);
      // What was confirmed of its creation leaves with the alarm. Until the crowd is here the room may have slept, and forgotten that.
      await meter.alarm("room", id);
      const sockets: TestSocket[] = [];
      while (sockets.length < online) {
        const next = people.slice(sockets.length, Math.min(online, sockets.length + COMING_AT_ONCE));
        sockets.push(...(await Promise.all(next.map((person) => connect(person)))));
      }
      await meter.rest();
      // That they have come is nobody's news: they have no friends.
      bus.sent.splice(0);
      const [sender] = sockets as [TestSocket];
      const { rowsWritten, commands, requests } = await sendTo(context, name, id, sender);
      // The message, its index entry, the alarm, and two watermarks, which are saved together where the machine is quick; in SQL the
      // message, its index entry, the sender's pointer.
      expect(rowsWritten).toEqual({ room: expect.toBeOneOf([5, 6, 7]), session: 0, shard: 0, cache: 0, sql: 3 });
      expect(commands).toBeLessThanOrEqual(5);
      expect(requests.session).toBe(online);
    },
  );
});
