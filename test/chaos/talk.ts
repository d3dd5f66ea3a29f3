/** Twenty people who talk without pause, with the project's own client, and remember all they see. */
import { setTimeout as sleep } from "node:timers/promises";
import { WebSocket } from "ws";
import { createChat, type Accepted, type Chat, type Message } from "../../sdk/src/index.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";

/** Source: the issue that asks for this run. */
export const PEOPLE = 20;
/** Sends of one person that wait at a time, and the pause after each. */
export type Pace = { waiting: number; pauseMs: number };
const GROUPS = 4;
const GROUP_SIZE = 7;
/** Sends of one person that wait at a time: enough to be caught in the middle by every kill. */
const BUSY: Pace = { waiting: 4, pauseMs: 0 };
const PASSWORD = "a good password";

/** A send that was acknowledged: a promise that the checks hold the server to. */
export type Promised = Accepted & { clientMsgId: string; conversationId: string; senderId: string; text: string };

/** Numbers from a seed, so that a run can be repeated: mulberry32. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export class Talker {
  readonly chat: Chat;
  readonly name: string;
  /** Conversations this person is in. */
  readonly conversations: string[] = [WORLD_ROOM_ID];
  readonly promised: Promised[] = [];
  /** What came as `message` events, by conversation, in the order of the events. */
  readonly received = new Map<string, Message[]>();
  /** Own sends that the client gave up, with the reason. */
  readonly refused: string[] = [];
  /** Sequences that the client could not get by push, sync or history. */
  gaps = 0;
  sends = 0;
  /** Frames that carried them: what is above `sends` was sent again, by the client itself. */
  sendFrames = 0;
  /** When the last acknowledgement came, by `performance.now()`. */
  lastAckAt = 0;
  #talking = false;
  #loops: Promise<void>[] = [];

  constructor(url: string, name: string) {
    this.name = name;
    this.chat = createChat({
      url,
      WebSocket: countingSocket(() => (this.sendFrames += 1)),
      backlog: "all",
      // A kill is what this run is about: the client's warnings about it are not news.
      logger: { warn: () => undefined, error: (text) => this.refused.push(text) },
    });
    this.chat.on("message", ({ message, conversationId }) => {
      const seen = this.received.get(conversationId) ?? [];
      seen.push(message);
      this.received.set(conversationId, seen);
    });
    this.chat.on("gap", () => (this.gaps += 1));
  }

  async join(): Promise<void> {
    await this.chat.register({ username: this.name, password: PASSWORD });
    await this.chat.ready();
  }

  get userId(): string {
    const { me } = this.chat;
    if (me === undefined) {
      throw new Error(`${this.name} is not signed in`);
    }
    return me.userId;
  }

  /** Sends that wait for their acknowledgement. */
  get waiting(): number {
    return this.chat.pending.get().count;
  }

  /** Connected, and synced since. */
  get isBack(): boolean {
    return this.chat.connection.get().state === "online";
  }

  /** Sends without pause until `hush`: some sends wait at any time, each followed by the next. */
  talk(random: () => number, { waiting, pauseMs }: Pace = BUSY): void {
    this.#talking = true;
    this.#loops = Array.from({ length: waiting }, () => this.#loop(random, pauseMs));
  }

  /** No new sends; resolves when all that waited have been answered. */
  async hush(): Promise<void> {
    this.#talking = false;
    await Promise.all(this.#loops);
  }

  async #loop(random: () => number, pauseMs: number): Promise<void> {
    while (this.#talking) {
      const conversationId = this.conversations[Math.floor(random() * this.conversations.length)] ?? WORLD_ROOM_ID;
      this.sends += 1;
      const text = `${this.name} ${this.sends}`;
      const sent = this.chat.conversation(conversationId).send(text);
      try {
        const accepted = await sent.accepted;
        this.lastAckAt = performance.now();
        this.promised.push({
          ...accepted,
          clientMsgId: sent.clientMsgId,
          conversationId,
          senderId: this.userId,
          text,
        });
      } catch (error) {
        this.refused.push(`${text}: ${String(error)}`);
      }
      if (pauseMs > 0) {
        await sleep(pauseMs);
      }
    }
  }
}

/** A socket that counts sends. On the loopback compression only costs. */
function countingSocket(count: () => void): typeof WebSocket {
  return class extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols, { perMessageDeflate: false });
    }

    override send(data: string): void {
      if (data.startsWith('{"type":"send-message"')) {
        count();
      }
      super.send(data);
    }
  } as typeof WebSocket;
}

/** People, friendships in a ring, and groups that overlap. */
export async function gather(url: string, prefix: string): Promise<Talker[]> {
  const people = Array.from({ length: PEOPLE }, (_, n) => new Talker(url, `${prefix}_${n}`));
  for (const person of people) {
    await person.join();
  }
  for (const [n, person] of people.entries()) {
    const friend = people[(n + 1) % people.length];
    if (friend === undefined) {
      continue;
    }
    const { requestId } = await person.chat.friends.request(friend.userId);
    const { conversation } = await friend.chat.friends.accept(requestId);
    if (conversation === undefined) {
      throw new Error("a friendship came without its conversation");
    }
    person.conversations.push(conversation.conversationId);
    friend.conversations.push(conversation.conversationId);
  }
  for (let group = 0; group < GROUPS; group++) {
    const members = Array.from({ length: GROUP_SIZE }, (_, n) => people[(group * 5 + n) % people.length]).filter(
      (member) => member !== undefined,
    );
    const [owner, ...others] = members;
    if (owner === undefined) {
      continue;
    }
    const made = await owner.chat.createGroup({
      name: `group ${group}`,
      memberIds: others.map((member) => member.userId),
    });
    members.forEach((member) => member.conversations.push(made.conversationId));
  }
  return people;
}
