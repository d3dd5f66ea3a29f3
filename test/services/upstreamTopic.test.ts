/** `UPSTREAM=topic` as a whole: sends over a real Kafka, through the bridge, into their rooms, and back as acknowledgements. */
import { afterAll, beforeAll, describe, it, vi } from "vitest";
import { ensureTopics } from "../../bridge/src/kafka/topics.ts";
import type { Service } from "../../scripts/services/service.ts";
import { everybodyLeaves, makeFriends, Person } from "../e2e/support/people.ts";
import { befriend, call, openSocket, type RawSocket, register } from "../e2e/support/raw.ts";
import { freePort, startServer, type TestServer } from "../support/server.ts";
import { serviceUrl } from "./support/addresses.ts";
import { launchBridge } from "./support/bridgeProcess.ts";
import { withAdmin } from "./support/topics.ts";

const [USER, PASSWORD, SECRET] = ["worker", "a-password-for-tests", "a-secret-for-the-tests"];
const ADMIN_KEY = "an-admin-key-for-tests";
/** A killed bridge keeps its partitions until its session with Kafka is over. */
const PATIENCE = { timeout: 100_000, interval: 50 };

let bridge: Service;
let server: TestServer;
let bridgeSettings: Record<string, string>;

beforeAll(async () => {
  await withAdmin((admin) => ensureTopics(admin, { partitions: 4, replicas: 1, retentionMs: 3_600_000 }));
  const port = await freePort();
  bridgeSettings = {
    KAFKA_BROKERS: serviceUrl("KAFKA_BROKERS"),
    BRIDGE_KAFKA_USERS: `${USER}:${PASSWORD}:produce`,
    BRIDGE_WORKER_URL: `http://127.0.0.1:${port}`,
    BRIDGE_SECRET: SECRET,
  };
  bridge = await launchBridge(bridgeSettings);
  server = await startServer({
    port,
    env: {
      BUS: "kafka",
      UPSTREAM: "topic",
      UPSTASH_KAFKA_REST_URL: `http://${bridge.address}`,
      UPSTASH_KAFKA_REST_USERNAME: USER,
      UPSTASH_KAFKA_REST_PASSWORD: PASSWORD,
      BRIDGE_SECRET: SECRET,
      GOCHAT_ADMIN_KEY: ADMIN_KEY,
      LIMIT_SENDS_PER_SECOND: "1000",
      LIMIT_SENDS_BURST: "1000",
    },
  });
});

afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
  await bridge?.dispose();
});

const numbers = (count: number, prefix: string): string[] => Array.from({ length: count }, (_, n) => `${prefix}${n}`);

/** Sends all at once; the text is the key as well. */
function sendAll(socket: RawSocket, conversationId: string, texts: readonly string[]): void {
  for (const text of texts) {
    const data = { clientMsgId: text, conversationId, messageType: "text", content: text };
    socket.sendFrame({ type: "send-message", data });
  }
}

/** What a socket was told of its sends, in the order of its coming. */
function acksAt({ frames }: RawSocket, status: "sending" | "sent") {
  return frames.flatMap(({ type, data }, at) =>
    type === "message-ack" && data?.["status"] === status
      ? [{ at, key: String(data["clientMsgId"]), seqId: Number(data["seqId"]) }]
      : [],
  );
}

describe("sends through the topic", () => {
  it("are acknowledged as sending, then as sent, in the order of each sender", async ({ expect }) => {
    const [ana, ben] = [await register(server), await register(server)];
    const id = await befriend(server, ana, ben);
    const sockets = [await openSocket(server, ana.token), await openSocket(server, ben.token)] as const;
    const texts = [numbers(150, "ana-"), numbers(150, "ben-")] as const;
    sockets.forEach((socket, who) => sendAll(socket, id, texts[who] ?? []));
    await vi.waitUntil(() => sockets.every((socket) => acksAt(socket, "sent").length >= 150), PATIENCE);
    const seqIds: number[] = [];
    for (const [who, socket] of sockets.entries()) {
      expect(socket.frames.filter(({ type }) => type === "message-error")).toEqual([]);
      const [sending, sent] = [acksAt(socket, "sending"), acksAt(socket, "sent")];
      expect(sending.map(({ key }) => key)).toEqual(texts[who]);
      expect(sent.map(({ key }) => key)).toEqual(texts[who]);
      expect(sent.every(({ at }, n) => at > (sending[n]?.at ?? Infinity))).toBe(true);
      const own = sent.map(({ seqId }) => seqId);
      expect(own).toEqual(own.toSorted((a, b) => a - b));
      seqIds.push(...own);
      socket.close();
    }
    expect(seqIds.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, n) => n + 1));
  });

  it("may come twice, and are there once", async ({ expect }) => {
    const [ana, ben] = [await register(server), await register(server)];
    const id = await befriend(server, ana, ben);
    const socket = await openSocket(server, ana.token);
    sendAll(socket, id, ["a", "a", "b"]);
    await vi.waitUntil(() => new Set(acksAt(socket, "sent").map(({ key }) => key)).size === 2, PATIENCE);
    sendAll(socket, id, ["a"]);
    await vi.waitUntil(() => acksAt(socket, "sent").length >= 3, PATIENCE);
    const places = new Map(acksAt(socket, "sent").map(({ key, seqId }) => [key, seqId]));
    expect([...places]).toEqual([
      ["a", 1],
      ["b", 2],
    ]);
    expect(acksAt(socket, "sent").every(({ key, seqId }) => places.get(key) === seqId)).toBe(true);
    socket.close();
  });

  it("are neither lost nor doubled nor reordered when the bridge is killed and another one comes and goes", async ({
    expect,
  }) => {
    const [ana, ben] = [await Person.register(server), await Person.register(server)];
    const id = await makeFriends(ana, ben);
    const texts = { [ana.userId]: numbers(40, "ana-"), [ben.userId]: numbers(40, "ben-") };
    const accepted = async (person: Person, from: number, to: number): Promise<unknown> =>
      Promise.all((texts[person.userId] ?? []).slice(from, to).map((text) => person.in(id).send(text).accepted));
    const both = (from: number, to: number) => Promise.all([accepted(ana, from, to), accepted(ben, from, to)]);
    await both(0, 10);
    const second = both(10, 20);
    await bridge.kill();
    await bridge.start();
    await second;
    const other = await launchBridge(bridgeSettings);
    const third = both(20, 30);
    await third;
    const fourth = both(30, 40);
    await other.stop();
    await fourth;
    await other.dispose();
    const history = await ben.in(id).history({ limit: 100 });
    expect(history.map(({ seqId }) => seqId)).toEqual(Array.from({ length: 80 }, (_, n) => n + 1));
    for (const person of [ana, ben]) {
      const own = history.filter(({ senderId }) => senderId === person.userId).map(({ content }) => content);
      expect(own).toEqual(texts[person.userId]);
    }
  });
});

describe("a record that is none", () => {
  it("becomes a dead letter, and what stands behind it goes on", async ({ expect }) => {
    const [ana, ben] = [await register(server), await register(server)];
    const id = await befriend(server, ana, ben);
    const poison = `poison ${id}`;
    const answer = await fetch(`http://${bridge.address}/produce`, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`${USER}:${PASSWORD}`)}` },
      // The key of the conversation, so that its sends stand behind it.
      body: JSON.stringify({ topic: "gochat.messages.upstream", key: id, value: poison }),
    });
    expect(answer.status).toBe(200);
    const socket = await openSocket(server, ana.token);
    sendAll(socket, id, ["behind-it"]);
    await vi.waitUntil(() => acksAt(socket, "sent").length === 1, PATIENCE);
    const letters = await call(server, "GET", "/api/admin/dead-letters", { headers: { "x-admin-key": ADMIN_KEY } });
    expect(letters.status).toBe(200);
    expect(letters.text).toContain(poison);
    socket.close();
  });
});
