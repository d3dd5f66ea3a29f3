/** A server for rude requests over HTTP, with two friends on it: one is rude, the other sees after each test that nothing has happened. */
import { afterAll, afterEach, beforeAll } from "vitest";
import { startServer, type TestServer } from "../../support/server.ts";
import { befriend, call, register, type Answer, type Call, type RawUser } from "./raw.ts";

/** The server signs tokens with it: tests forge some. */
export const KEY = Buffer.alloc(32, 7);
const SETTINGS = {
  JWT_KEYS: `test:${KEY.toString("base64url")}`,
  LIMIT_REQUESTS_PER_SECOND: "100000",
  LIMIT_REQUESTS_BURST: "100000",
  LIMIT_BODY_MS: "4000",
};

type There = { server: TestServer; user: RawUser; friend: RawUser; conversationId: string };

/** What is on the stage, while tests run. */
export class HostileStage {
  #there: There | undefined;
  #head = 0;

  /** For the top of a test file: a server for its tests, and a look after each of them. */
  static setUp(): HostileStage {
    const stage = new HostileStage();
    beforeAll(() => stage.#start());
    afterAll(() => stage.#there?.server.dispose());
    afterEach(async ({ expect }) => {
      const { sent, conversations } = await stage.#witness();
      expect(sent.status).toBe(201);
      expect(sent.json).toMatchObject({ seqId: stage.#head });
      expect(conversations.json?.["items"]).toHaveLength(2);
    });
    return stage;
  }

  get server(): TestServer {
    return this.#now.server;
  }

  /** Who is rude. */
  get user(): RawUser {
    return this.#now.user;
  }

  get friend(): RawUser {
    return this.#now.friend;
  }

  /** The conversation of the two. */
  get conversationId(): string {
    return this.#now.conversationId;
  }

  /** Of their messages: sends go there, and history comes from there. */
  get messagesPath(): string {
    return `/api/conversations/${this.conversationId}/messages`;
  }

  /** A call of `user`, where `options` give no other token. */
  ask(method: string, path: string, options: Call = {}): Promise<Answer> {
    return call(this.server, method, path, { token: this.user.token, ...options });
  }

  get #now(): There {
    if (this.#there === undefined) {
      throw new Error("the server has not started");
    }
    return this.#there;
  }

  async #start(): Promise<void> {
    const server = await startServer({ env: SETTINGS });
    const [user, friend] = [await register(server), await register(server)];
    this.#there = { server, user, friend, conversationId: await befriend(server, user, friend) };
  }

  /** After whatever was done: the next message has the next place when nothing was stored, and everybody else is served as before. */
  async #witness(): Promise<{ sent: Answer; conversations: Answer }> {
    this.#head += 1;
    const { token } = this.friend;
    const body = { clientMsgId: `witness-${this.#head}`, messageType: "text", content: `message ${this.#head}` };
    const sent = await call(this.server, "POST", this.messagesPath, { token, body });
    const conversations = await call(this.server, "GET", "/api/conversations", { token });
    return { sent, conversations };
  }
}
