/** People with the project's own client: what users do, end to end. */
import { WebSocket } from "ws";
import {
  createChat,
  type Chat,
  type ChatEventName,
  type ChatEvents,
  type ChatOptions,
  type ConversationHandle,
  type Message,
  type Session,
  type SessionStore,
} from "../../../sdk/src/index.ts";
import type { TestServer } from "../../support/server.ts";
import { Watchers } from "../../support/watchers.ts";
import { uniqueName } from "../../support/names.ts";

/** Reconnects after a restart of the server are in here, with what the machine does besides. */
const PATIENCE_MS = 20_000;
export const PASSWORD = "a good password";

/** On the loopback compression only costs. */
class Socket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { perMessageDeflate: false });
  }
}

const EVENTS = [
  "message",
  "updated",
  "recalled",
  "reaction",
  "receipt",
  "typing",
  "presence",
  "friend",
  "conversation",
  "member",
  "notice",
  "accepted",
  "stored",
  "failed",
  "gap",
  "synced",
  "connection",
  "error",
] as const satisfies ChatEventName[];
type EventName = (typeof EVENTS)[number];
type Recorded = { [Name in EventName]: { name: Name; event: ChatEvents[Name] } }[EventName];

/** A session store in memory: the same person on the same device, in another life of the program. */
export function memorySession(): SessionStore & { session: Session | undefined } {
  return {
    session: undefined,
    load() {
      return this.session;
    },
    save(session) {
      this.session = session;
    },
  };
}

export class Person {
  readonly chat: Chat;
  readonly username: string;
  readonly #events: Recorded[] = [];
  readonly #watchers = new Watchers();

  constructor(server: TestServer, username: string, options: Partial<ChatOptions> = {}) {
    this.username = username;
    this.chat = createChat({
      url: server.url,
      WebSocket: Socket,
      backlog: "all",
      // What goes wrong shows in the events; a console full of it hides what a test says.
      logger: { warn: () => undefined, error: (text, detail) => this.#complain(text, detail) },
      ...options,
    });
    for (const name of EVENTS) {
      this.chat.on(name, (event) => {
        this.#events.push({ name, event } as Recorded);
        this.#watchers.changed();
      });
    }
    people.add(this);
  }

  /** A new account, connected and synced. */
  static async register(server: TestServer, options: Partial<ChatOptions> = {}): Promise<Person> {
    const person = new Person(server, uniqueName("user"), options);
    await person.chat.register({ username: person.username, password: PASSWORD });
    await person.chat.ready();
    return person;
  }

  static async guest(server: TestServer, options: Partial<ChatOptions> = {}): Promise<Person> {
    const person = new Person(server, "guest", options);
    await person.chat.guest();
    await person.chat.ready();
    return person;
  }

  /** The same account on another device, connected and synced. */
  async onAnotherDevice(server: TestServer, options: Partial<ChatOptions> = {}): Promise<Person> {
    const person = new Person(server, this.username, options);
    await person.chat.login({ username: this.username, password: PASSWORD });
    await person.chat.ready();
    return person;
  }

  get userId(): string {
    const { me } = this.chat;
    if (me === undefined) {
      throw new Error("nobody is signed in");
    }
    return me.userId;
  }

  in(conversationId: string): ConversationHandle {
    return this.chat.conversation(conversationId);
  }

  /** Sends one text and waits for its place. */
  async say(conversationId: string, text: string): Promise<number> {
    return (await this.in(conversationId).send(text).accepted).seqId;
  }

  all<Name extends EventName>(name: Name): ChatEvents[Name][] {
    return this.#events.filter((recorded) => recorded.name === name).map(({ event }) => event as ChatEvents[Name]);
  }

  /** Messages of a conversation as `message` events, in the order of the events. */
  received(conversationId: string): Message[] {
    return this.all("message")
      .filter((event) => event.conversationId === conversationId)
      .map((event) => event.message);
  }

  /** The first event of this name that fits, be it one that was there already. */
  async event<Name extends EventName>(
    name: Name,
    fits: (event: ChatEvents[Name]) => boolean = () => true,
  ): Promise<ChatEvents[Name]> {
    let found: ChatEvents[Name] | undefined;
    await this.until(`event ${name}`, () => {
      found = this.all(name).find(fits);
      return found !== undefined;
    });
    if (found === undefined) {
      throw new Error("unreachable: it was found");
    }
    return found;
  }

  /** Waits for a condition, looked at whenever something happens to this client. */
  async until(what: string, check: () => boolean): Promise<void> {
    const look = (): void => this.#watchers.changed();
    const offs = [this.chat.conversations.subscribe(look), this.chat.pending.subscribe(look)];
    try {
      await this.#watchers.until(`${this.username}: ${what}`, check, {
        patienceMs: PATIENCE_MS,
        seen: () => {
          const last = this.#events.slice(-5).map((recorded) => JSON.stringify(recorded).slice(0, 300));
          return `last events:\n${last.join("\n")}`;
        },
      });
    } finally {
      offs.forEach((off) => off());
    }
  }

  #complain(text: string, detail: unknown): void {
    throw new Error(`${this.username}: ${text}`, { cause: detail });
  }
}

const people = new Set<Person>();

/** For `afterAll`: nobody stays connected, nothing is waited for. */
export async function everybodyLeaves(): Promise<void> {
  await Promise.all([...people].map((person) => person.chat.close({ flushMs: 0 })));
  people.clear();
}

/** Makes two people friends; answers their conversation. */
export async function makeFriends(a: Person, b: Person): Promise<string> {
  const { requestId } = await a.chat.friends.request(b.userId);
  const { conversation } = await b.chat.friends.accept(requestId);
  if (conversation === undefined) {
    throw new Error("no conversation came of it");
  }
  return conversation.conversationId;
}

/** The error's name of a call that has to fail. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  return await call.then(
    () => "nothing",
    (error: unknown) => (error instanceof Error ? error.name : "no error"),
  );
}
