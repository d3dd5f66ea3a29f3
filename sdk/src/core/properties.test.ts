import fc from "fast-check";
import { describe, test } from "vitest";
import { Harness, message, ME, messageId, OTHER, ROOM, syncedItem } from "../testing/harness.ts";
import type { Message } from "./types.ts";

/** Where the time of a property run may go: every grace, request and back-off is over by then. */
const LONG_MS = 120_000;

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, i) => i + 1);
}

/** Answers every request from the truth, as long as there are any. */
function answerLoads(client: Harness, log: readonly Message[]): void {
  for (let load = client.loads.shift(); load !== undefined; load = client.loads.shift()) {
    const { after, limit, conversationId } = load;
    const page = log.filter((row) => row.seqId > after).slice(0, limit);
    client.do(client.core.historyLoaded(conversationId, after, page, client.now));
  }
}

describe("any delivery gives each message once, in order", () => {
  test("pushes duplicated, reordered and partly lost", ({ expect }) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.record({ seqId: fc.integer({ min: 1, max: 30 }), wait: fc.constantFrom(0, 0, 40, 400) }), {
          maxLength: 80,
        }),
        (head, pushes) => {
          const log = upTo(head).map((seqId) => message(seqId));
          const client = new Harness().online(syncedItem([]));
          for (const { seqId, wait } of pushes) {
            if (seqId <= head) {
              client.push(seqId);
            }
            client.pass(wait);
            answerLoads(client, log);
          }
          // The last one always arrives: it is what tells of everything before it.
          client.push(head);
          for (let i = 0; i < 5; i++) {
            client.pass(1_000);
            answerLoads(client, log);
          }
          expect(client.seen()).toEqual(upTo(head));
          expect(client.of("gap")).toEqual([]);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("with lost connections, failed requests and cursors carried over to a next life", ({ expect }) => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant("push" as const), seqId: fc.integer({ min: 1, max: 20 }) }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 0, max: 500 }) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("answer" as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("fail" as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconnect" as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), fc.array(step, { maxLength: 60 }), (head, steps) => {
        const log = upTo(head).map((seqId) => message(seqId));
        let client = new Harness();
        const seen: number[] = [];
        /** Connects and syncs; what the server says is after the cursor, three at most. */
        const connect = (): void => {
          client.do(client.core.connect(client.now));
          client.pass(LONG_MS / 4);
          client.greeted();
          const known = client.core.cursor(ROOM) ?? 0;
          const seqIds = upTo(head)
            .filter((seqId) => seqId > known)
            .slice(0, 3);
          client.synced(syncedItem(seqIds, head));
        };
        connect();
        for (const action of steps) {
          switch (action.kind) {
            case "push":
              client.push(Math.min(action.seqId, head));
              break;
            case "wait":
              client.pass(action.ms);
              break;
            case "answer":
              answerLoads(client, log);
              break;
            case "fail":
              for (const load of client.loads.splice(0)) {
                client.do(client.core.historyFailed(load.conversationId, undefined, client.now));
              }
              break;
            case "reconnect":
              client.closed(1006);
              connect();
              break;
            case "restart": {
              seen.push(...client.seen());
              client = new Harness({ cursors: client.core.cursors() });
              connect();
              break;
            }
          }
        }
        client.closed(1006);
        connect();
        for (let i = 0; i < 4; i++) {
          answerLoads(client, log);
          client.pass(5_000);
        }
        seen.push(...client.seen());
        expect(seen).toEqual(upTo(head));
      }),
      { numRuns: 300 },
    );
  });
});

describe("any fate of frames gives each send once, in order", () => {
  /** A server in eight lines: dedupe by key, next sequence, and refusals as told. */
  function server() {
    const log: Message[] = [];
    const append = (clientMsgId: string): Message => {
      const known = log.find((row) => row.clientMsgId === clientMsgId);
      if (known !== undefined) {
        return known;
      }
      const added = message(log.length + 1, { senderId: ME, clientMsgId, messageId: messageId(log.length + 1) });
      log.push(added);
      return added;
    };
    return { log, append };
  }

  test("frames lost before and after the room, refusals, reconnects", ({ expect }) => {
    const fate = fc.constantFrom("ok", "ok", "ok", "ackLost", "frameLost", "later", "same", "cut", "foreign");
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 15 }), fc.array(fate, { maxLength: 60 }), (count, fates) => {
        const { log, append } = server();
        const client = new Harness().online(syncedItem([]));
        const keys = upTo(count).map((n) => `key-${n}`);
        const answer = (clientMsgId: string, how: string): void => {
          switch (how) {
            case "frameLost":
              return;
            case "ackLost":
              append(clientMsgId);
              return;
            case "later":
              return client.refuse(clientMsgId, { name: "RATE_LIMITED", retry: "later", retryAfterMs: 100 });
            case "same":
              return client.refuse(clientMsgId, { name: "UNAVAILABLE", retry: "later" });
            case "foreign":
              log.push(message(log.length + 1, { senderId: OTHER }));
              return client.push(log.length);
            case "cut":
              append(clientMsgId);
              client.closed(1006);
              client.pass(LONG_MS / 4);
              client.greeted();
              return client.receive({
                type: "sync-result",
                data: { conversations: [], removed: [], nextCursor: null, serverTime: 1 },
              });
            default: {
              const { seqId } = append(clientMsgId);
              return client.ack(clientMsgId, seqId);
            }
          }
        };
        for (const key of keys) {
          client.send(key);
        }
        let turn = 0;
        for (let round = 0; round < 400 && client.core.pendingCount > 0; round++) {
          const frames = client.frames.splice(0);
          for (const frame of frames) {
            if (frame.type === "send-message") {
              answer(frame.data.clientMsgId, fates[turn++] ?? "ok");
            } else if (frame.type === "ping") {
              client.receive({ type: "pong" });
            }
          }
          if (frames.length === 0) {
            client.pass(10_000);
          }
        }
        for (let i = 0; i < 4; i++) {
          client.pass(5_000);
          answerLoads(client, log);
        }
        const own = log.filter((row) => row.senderId === ME).map((row) => row.clientMsgId);
        expect(own).toEqual(keys);
        expect(client.of("failed")).toEqual([]);
        expect(client.of("accepted").map((event) => event.clientMsgId)).toEqual(keys);
        const lastKnown = client.seen().length;
        expect(client.seen()).toEqual(upTo(lastKnown));
        expect(lastKnown).toBeGreaterThanOrEqual(log.findLastIndex((row) => row.senderId === ME) + 1);
      }),
      { numRuns: 300 },
    );
  });
});
