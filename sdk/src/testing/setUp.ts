/** A client, its server and its clock, all in a test's hands. For tests only. */
import { createChat, type ChatOptions, type ClientClock } from "../index.ts";
import { authAnswer, FakeServer, type Answer, type Call } from "./fakeServer.ts";
import { messageId, ROOM } from "./harness.ts";

/** Time that passes when told. */
export class FakeClock implements ClientClock {
  #now = 1_000_000;
  #timers: { at: number; run: () => void; keepsAlive: boolean }[] = [];

  now = (): number => this.#now;

  setTimeout = (run: () => void, ms: number, keepsAlive: boolean): unknown => {
    const timer = { at: this.#now + ms, run, keepsAlive };
    this.#timers.push(timer);
    return timer;
  };

  clearTimeout = (handle: unknown): void => {
    this.#timers = this.#timers.filter((timer) => timer !== handle);
  };

  get keepsAlive(): boolean {
    return this.#timers.some((timer) => timer.keepsAlive);
  }

  get waiting(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    const until = this.#now + ms;
    for (;;) {
      const [next] = this.#timers.toSorted((a, b) => a.at - b.at);
      if (next === undefined || next.at > until) {
        break;
      }
      this.clearTimeout(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
    }
    this.#now = until;
  }
}

/** A server that signs everybody in and knows nothing else, unless told. */
export function setUp(
  answers: (call: Call) => Answer | undefined = () => undefined,
  options: Partial<ChatOptions> = {},
) {
  let tokens = 0;
  const server = new FakeServer((call) => {
    const answer = answers(call);
    if (answer !== undefined) {
      return answer;
    }
    return call.path.startsWith("/auth/")
      ? { status: 200, body: authAnswer(++tokens) }
      : { status: 200, body: { items: [], nextCursor: null } };
  });
  const clock = new FakeClock();
  const logged: string[] = [];
  const chat = createChat({
    url: "http://chat.test/",
    WebSocket: server.WebSocket,
    fetch: server.fetch,
    clock,
    random: () => 0.5,
    logger: { warn: (text) => logged.push(text), error: (text) => logged.push(text) },
    ...options,
  });
  return { server, clock, chat, logged };
}

export async function online(answers?: (call: Call) => Answer | undefined, options?: Partial<ChatOptions>) {
  const all = setUp(answers, options);
  await all.chat.login({ username: "ana", password: "correct horse" });
  const ready = all.chat.ready();
  all.server.socket.greets();
  await ready;
  return all;
}

export function ackOf(clientMsgId: string, seqId: number) {
  const data = { clientMsgId, conversationId: ROOM, status: "sent", messageId: messageId(seqId), seqId, createdAt: 5 };
  return { type: "message-ack", data } as const;
}
