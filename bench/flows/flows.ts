/**
 * The flows beside sending, one after the other, on a server with as much in SQL as `Plan.flows` says: lists, history,
 * members, friends, presence, sync. Each sample is one user's wait, from the call to the answer or to the push.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { befriend, createGroup, register, type User } from "../load/accounts.ts";
import { Latencies, type Latency, type Load, LoadMeter } from "../load/measures.ts";
import { inPool } from "../load/pool.ts";
import type { TappedSocket } from "../load/sockets.ts";
import type { FlowPlan } from "../plan.ts";
import { OurServer, quiet } from "../targets.ts";
import { seed } from "./seed.ts";

/** One flow, in the order of the page. */
export interface FlowResult {
  readonly what: string;
  /** P95 that is wanted, milliseconds. */
  readonly wantedMs: number;
  readonly latency: Latency;
  readonly load: Load;
}

/** Samples before the first that counts. */
const WARM = 10;
const REGISTER_AT_ONCE = 4;
const CALLS_AT_ONCE = 8;
const PUSH_WITHIN_MS = 10_000;
/** Conversations in which the asker lacks a message when they sync. */
const BEHIND = 20;

/** Starts a server of its own, fills it, and measures every flow; results come one by one, so that a failure keeps those before it. */
export async function measureFlows(plan: FlowPlan, results: FlowResult[]): Promise<void> {
  const server = await OurServer.start();
  try {
    const setting = await prepare(server, plan);
    // The next one follows a restart as well: what they differ in is to be the size of SQL alone.
    await disconnect(setting);
    await server.restart();
    await connect(setting);
    results.push(
      await sync(
        server,
        setting,
        plan,
        `sync of ${plan.conversations} conversations, ${thousands(plan.own)} messages in SQL`,
      ),
    );
    await disconnect(setting);
    await server.whileStopped((folder) => seed(folder, plan));
    await connect(setting);
    results.push(await sync(server, setting, plan, `the same, ${thousands(plan.messages)} messages in SQL`));
    for await (const result of rest(server, setting, plan)) {
      results.push(result);
    }
    for await (const result of pushes(server, setting, plan)) {
      results.push(result);
    }
    await disconnect(setting);
  } finally {
    await server.dispose();
  }
}

interface Setting {
  readonly asker: User;
  readonly others: readonly User[];
  readonly conversationIds: readonly string[];
  /** The asker's heads, by conversation. */
  readonly heads: ReadonlyMap<string, number>;
}

async function prepare(server: OurServer, plan: FlowPlan): Promise<Setting> {
  const names = Array.from({ length: plan.people + 1 }, (_, index) => `flow_${index}`);
  const [asker, ...others] = await inPool(names, REGISTER_AT_ONCE, (name) => register(server.url, name));
  if (asker === undefined) {
    throw new Error("nobody registered");
  }
  const indexes = Array.from({ length: plan.conversations }, (_, index) => index);
  const conversationIds = await inPool(indexes, CALLS_AT_ONCE, (index) => {
    const members = [others[index % others.length], others[(index + 1) % others.length]];
    return createGroup([asker, ...members.filter((user) => user !== undefined)]);
  });
  await asker.connect();
  const each = plan.own / plan.conversations;
  const heads = new Map<string, number>();
  await inPool(conversationIds, CALLS_AT_ONCE, async (id) => {
    const sent = Array.from({ length: each }, () => asker.chat.conversation(id).send("x".repeat(200)).accepted);
    heads.set(id, Math.max(...(await Promise.all(sent)).map(({ seqId }) => seqId)));
  });
  await quiet(server);
  return { asker, others, conversationIds, heads };
}

async function connect({ asker, others }: Setting): Promise<void> {
  await inPool([asker, ...others], CALLS_AT_ONCE, (user) => user.connect());
}

async function disconnect({ asker, others }: Setting): Promise<void> {
  for (const user of [asker, ...others]) {
    user.chat.disconnect();
  }
  await sleep(0);
}

/** All conversations known, some of them one message behind. */
async function sync(server: OurServer, { asker, heads }: Setting, plan: FlowPlan, what: string): Promise<FlowResult> {
  const known = Object.fromEntries([...heads].map(([id, seqId], index) => [id, index < BEHIND ? seqId - 1 : seqId]));
  const text = JSON.stringify({ type: "sync", data: { heads: known } });
  const socket = await asker.openSession();
  try {
    return await measure(server, what, 30, plan.samples, async () => {
      const answer = frame(socket, "sync-result");
      socket.send(text);
      if (!(await answer).includes('"nextCursor":null')) {
        throw new Error("one answer is not all of it");
      }
    });
  } finally {
    socket.close();
  }
}

async function* rest(server: OurServer, setting: Setting, plan: FlowPlan): AsyncGenerator<FlowResult> {
  const { asker, others, conversationIds } = setting;
  const at = (index: number): string => conversationIds[index % conversationIds.length] ?? "";
  yield await measure(server, "list page of 20", 20, plan.samples, () =>
    asker.call("GET", "/api/conversations?limit=20"),
  );
  yield await measure(server, "history page of 50", 10, plan.samples, (index) =>
    asker.call("GET", `/api/conversations/${at(index)}/messages?limit=50`),
  );
  // Two apart from the members that the group was made with.
  const joiner = (index: number): string => others[(index + 2) % others.length]?.userId ?? "";
  yield await measure(server, "member added", 20, plan.samples, (index) =>
    asker.call("POST", `/api/conversations/${at(index % conversationIds.length)}/members`, {
      userIds: [joiner(index)],
    }),
  );
  yield await measure(server, "member removed", 20, plan.samples, (index) =>
    asker.call("DELETE", `/api/conversations/${at(index)}/members/${joiner(index)}`),
  );
}

async function* pushes(server: OurServer, setting: Setting, plan: FlowPlan): AsyncGenerator<FlowResult> {
  const { asker, others } = setting;
  const friends = others.slice(0, plan.friends);
  const strangers = others.slice(plan.friends);
  const pairs = strangers.flatMap((from, index) => strangers.slice(index + 1).map((to) => ({ from, to })));
  yield await measure(
    server,
    "friend request → push",
    100,
    Math.min(plan.samples, pairs.length - WARM),
    async (index) => {
      const pair = pairs[index];
      if (pair === undefined) {
        throw new Error("not enough pairs of strangers");
      }
      const { from, to } = pair;
      const pushed = event(to, (chat, done) =>
        chat.on("friend", (happened) => {
          if (happened.kind === "request" && happened.user.userId === from.userId) {
            done();
          }
        }),
      );
      await from.chat.friends.request(to.userId);
      await pushed;
    },
  );
  for (const friend of friends) {
    await befriend(asker, friend);
    friend.chat.disconnect();
  }
  // Whoever has just left is offline only after 30 s without a device. Source: DESIGN section 4.
  const isAway = new Set(friends.map((friend) => friend.userId));
  await event(
    asker,
    (chat, done) =>
      chat.on("presence", ({ userId, online }) => {
        if (!online) {
          isAway.delete(userId);
        }
        if (isAway.size === 0) {
          done();
        }
      }),
    90_000,
  );
  yield await measure(server, "online notice to a friend", 200, friends.length - WARM, async (index) => {
    const friend = friends[index];
    if (friend === undefined) {
      throw new Error("not enough friends");
    }
    const noticed = event(asker, (chat, done) =>
      chat.on("presence", (happened) => {
        if (happened.userId === friend.userId && happened.online) {
          done();
        }
      }),
    );
    friend.chat.connect();
    await noticed;
  });
}

/** `samples` calls one after the other, after a few that do not count. */
async function measure(
  server: OurServer,
  what: string,
  wantedMs: number,
  samples: number,
  once: (index: number) => Promise<unknown>,
): Promise<FlowResult> {
  await quiet(server);
  const latencies = new Latencies();
  for (let index = 0; index < WARM; index++) {
    await once(index);
  }
  const meter = new LoadMeter(server.workerdPid);
  for (let index = WARM; index < WARM + samples; index++) {
    const begun = performance.now();
    await once(index);
    latencies.record(performance.now() - begun);
  }
  const result = { what, wantedMs, latency: latencies.summary(), load: meter.read() };
  console.log(`${what}: P50 ${result.latency.p50Ms.toFixed(1)} ms, P95 ${result.latency.p95Ms.toFixed(1)} ms`);
  return result;
}

/** The text of the first frame of this type. */
function frame(socket: TappedSocket, type: string): Promise<string> {
  return new Promise((resolve) => {
    socket.tap = (bytes) => {
      if (bytes.toString("utf8", 0, 64).startsWith(`{"type":"${type}"`)) {
        socket.tap = () => false;
        resolve(bytes.toString("utf8"));
      }
      return true;
    };
  });
}

/** Resolves when the listener says so; rejects when nothing comes. */
async function event(
  user: User,
  listen: (chat: User["chat"], done: () => void) => () => void,
  withinMs = PUSH_WITHIN_MS,
): Promise<void> {
  let off = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      off = listen(user.chat, resolve);
      timer = setTimeout(() => reject(new Error(`nothing was pushed within ${withinMs} ms`)), withinMs);
    });
  } finally {
    off();
    clearTimeout(timer);
  }
}

function thousands(value: number): string {
  return value.toLocaleString("en-US");
}
