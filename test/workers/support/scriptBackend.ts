/** A script in workerd: real objects, sockets, queues and D1, and what they answer. */
import { env } from "cloudflare:workers";
import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import type { RoomChange } from "../../../src/domain/commands.ts";
import { DIRECT, GROUP, messageFor, WORLD_ROOM_ID, type StoredMessage } from "../../../src/domain/records.ts";
import { directConversationId, newGroupId } from "../../../src/platform/ids.ts";
import { SendDesk } from "../../../src/domain/sendDesk.ts";
import type { Result } from "../../../src/protocol/errors.ts";
import type { ServerFrame } from "../../../src/protocol/frames.ts";
import type { Message, Reaction } from "../../../src/protocol/things.ts";
import { repositories } from "../../../src/repo/index.ts";
import type { Refused, ScriptBackend, Tap } from "../../simulation/script.ts";
import { actorOf, DAY_MS, eventually, must, newUserId, roomStub } from "./harness.ts";
import { connect, type TestSocket } from "./socket.ts";

/** In this time a token of every limit of sends comes back. Source: WIRE "Limits", one a second in the world room. */
const TOKEN_MS = 1_000;

/** Two-way names. */
class Names {
  readonly #ids = new Map<string, string>();
  readonly #names = new Map<string, string>();

  /** The id of a name, made when it is new. */
  id(name: string, make: () => string): string {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = make();
      this.#ids.set(name, id);
      this.#names.set(id, name);
    }
    return id;
  }

  name(id: string): string {
    return this.#names.get(id) ?? id;
  }

  get ids(): string[] {
    return [...this.#ids.values()];
  }
}

/** For desks of sends alone, each send comes so much later than the one before that no limit plays a part. */
export function sendAtLeisure(): void {
  const { submit } = SendDesk.prototype;
  let aheadMs = 0;
  vi.spyOn(SendDesk.prototype, "submit").mockImplementation(function (
    this: SendDesk<unknown>,
    ticket,
    conversationId,
    command,
    now,
  ) {
    aheadMs += TOKEN_MS;
    submit.call(this, ticket, conversationId, command, now + aheadMs);
  });
}

export class WorkerdBackend implements ScriptBackend {
  readonly #users = new Names();
  readonly #conversations = new Names();
  readonly #sockets = new Map<string, { socket: TestSocket; user: string }>();

  async create(conversation: string, kind: "direct" | "group", users: string[]): Promise<void> {
    const memberIds = users.map((user) => this.#user(user));
    const [a = "", b = ""] = memberIds;
    const id = this.#conversations.id(conversation, () =>
      kind === "direct" ? directConversationId(a, b) : newGroupId(Date.now()),
    );
    const room = roomStub(id);
    await room.settled(must(await room.create({ type: kind === "direct" ? DIRECT : GROUP, memberIds })).outboxIds);
  }

  async connect(device: string, user: string): Promise<void> {
    this.#sockets.set(device, { socket: await connect(this.#user(user)), user });
  }

  async send(
    device: string,
    conversation: string,
    { key, text, replyTo }: { key: string; text: string; replyTo?: string },
  ): Promise<{ messageId: string; seqId: number } | Refused> {
    const { socket } = this.#socket(device);
    const before = socket.frames.length;
    const conversationId = this.#conversation(conversation);
    socket.send({
      type: "send-message",
      data: { clientMsgId: key, conversationId, messageType: "text", content: text, replyTo },
    });
    let answer: { messageId: string; seqId: number } | Refused | undefined;
    await socket.until(`an answer to ${key}`, () => {
      for (const frame of socket.frames.slice(before)) {
        if (frame.type === "message-ack" && frame.data.clientMsgId === key) {
          answer = { messageId: frame.data.messageId ?? "", seqId: frame.data.seqId ?? 0 };
        } else if (frame.type === "message-error" && frame.data.clientMsgId === key) {
          answer = { error: frame.data.error.name };
        }
      }
      return answer !== undefined;
    });
    return answer ?? { error: "no answer" };
  }

  async read(device: string, conversation: string, seqId: number): Promise<void> {
    const { socket, user } = this.#socket(device);
    const id = this.#conversation(conversation);
    const ref = `read-${socket.frames.length}-${seqId}`;
    const before = await roomStub(id).view(actorOf(this.#user(user)));
    socket.send({ type: "mark-read", id: ref, data: { conversationId: id, seqId } });
    if (!before.ok) {
      await socket.until(`the refusal ${ref}`, () => socket.all("error").some((frame) => frame.data.ref === ref));
      return;
    }
    const wanted = Math.max(before.value.readSeqId, Math.min(seqId, before.value.headSeqId));
    await eventually(`${user} has read ${wanted} of ${conversation}`, async () => {
      const view = await roomStub(id).view(actorOf(this.#user(user)));
      return view.ok && view.value.readSeqId >= wanted;
    });
  }

  async add(
    actor: string,
    conversation: string,
    users: string[],
  ): Promise<{ added: string[]; failed: string[] } | Refused> {
    const room = roomStub(this.#conversation(conversation));
    const userIds = users.map((user) => this.#user(user));
    const changed = await room.addMembers(actorOf(this.#user(actor)), userIds);
    if (!changed.ok) {
      return refused(changed);
    }
    await room.settled(changed.value.outboxIds);
    const { added, failed } = changed.value.value;
    return {
      added: added.map(({ userId }) => this.userName(userId)),
      failed: failed.map(({ userId }) => this.userName(userId)),
    };
  }

  async remove(actor: string, conversation: string, user: string): Promise<{ dismissed: boolean } | Refused> {
    const room = roomStub(this.#conversation(conversation));
    const changed = await room.removeMember(actorOf(this.#user(actor)), this.#user(user));
    if (!changed.ok) {
      return refused(changed);
    }
    await room.settled(changed.value.outboxIds);
    return { dismissed: changed.value.value.dismissed };
  }

  async history(
    user: string,
    conversation: string,
    page: { after?: number; before?: number; limit: number },
  ): Promise<readonly Message[] | Refused> {
    const userId = this.#user(user);
    const found = await roomStub(this.#conversation(conversation)).history(actorOf(userId), page);
    const rows: StoredMessage[] | Refused = found.ok ? found.value.messages : refused(found);
    return "error" in rows ? rows : rows.map((message) => messageFor(message, userId));
  }

  async view(
    user: string,
    conversation: string,
  ): Promise<{ headSeqId: number; readSeqId: number; members: number } | Refused> {
    const view = await roomStub(this.#conversation(conversation)).view(actorOf(this.#user(user)));
    if (!view.ok) {
      return refused(view);
    }
    const { headSeqId, readSeqId, conversation: state } = view.value;
    return { headSeqId, readSeqId, members: state.memberCount };
  }

  edit(user: string, conversation: string, messageId: string, text: string): Promise<Message | Refused> {
    const actor = actorOf(this.#user(user));
    return this.#changed(conversation, (room) => room.editMessage(actor, messageId, text));
  }

  recall(user: string, conversation: string, messageId: string): Promise<Message | Refused> {
    const actor = actorOf(this.#user(user));
    return this.#changed(conversation, (room) => room.recallMessage(actor, messageId));
  }

  react(user: string, conversation: string, { messageId, emoji, wanted }: Tap): Promise<Reaction | Refused> {
    const actor = actorOf(this.#user(user));
    return this.#changed(conversation, (room) => room.react(actor, messageId, emoji, wanted));
  }

  async mute(actor: string, conversation: string, user: string, muted: boolean): Promise<{ muted: boolean } | Refused> {
    const wish = { mutedUntil: muted ? Date.now() + DAY_MS : null };
    const member = await this.#changed(conversation, (room) =>
      room.changeMember(actorOf(this.#user(actor)), this.#user(user), wish),
    );
    return "error" in member ? member : { muted: member.mutedUntil !== undefined };
  }

  /** As a REST call makes it: written through to SQL, then settled. */
  async #changed<T extends object>(
    conversation: string,
    change: (room: ReturnType<typeof roomStub>) => Promise<Result<RoomChange<T>>>,
  ): Promise<T | Refused> {
    const room = roomStub(this.#conversation(conversation));
    const changed = await change(room);
    if (!changed.ok) {
      return refused(changed);
    }
    await repositories(env).persistence.applyRoomRecords(changed.value.records);
    await room.settled(changed.value.outboxIds);
    return changed.value.value;
  }

  async told(conversation: string): Promise<void> {
    const id = this.#conversation(conversation);
    await eventually(`the news of ${conversation} are told`, async () => {
      // Rows that are confirmed leave when somebody looks.
      await roomStub(id).inspect();
      return await runInDurableObject(
        roomStub(id),
        (_room, { storage }) =>
          storage.sql.exec("SELECT 1 FROM outbox WHERE topic <> 'gochat.messages.persist'").toArray().length === 0,
      );
    });
    for (const { socket } of this.#sockets.values()) {
      await socket.settle();
    }
  }

  async received(device: string, conversation: string, seqId: number): Promise<void> {
    const { socket } = this.#socket(device);
    const id = this.#conversation(conversation);
    await socket.until(`${conversation}#${seqId} at ${device}`, () => socket.pushed(id).includes(seqId));
  }

  async delivered(): Promise<void> {
    for (const id of this.#conversations.ids) {
      await eventually(`everybody has everything of ${this.conversationName(id)}`, async () => {
        const { deliveredSeqId, headSeqId } = await roomStub(id).readLog(0, 0);
        if (deliveredSeqId === headSeqId) {
          return true;
        }
        // On a slow machine the cache was told late, and a room then asks once more, but not before its alarm.
        await runDurableObjectAlarm(roomStub(id));
        return false;
      });
    }
  }

  async settle(): Promise<void> {
    await this.delivered();
    for (const id of this.#conversations.ids) {
      await eventually(`SQL and the consumers have everything of ${this.conversationName(id)}`, async () => {
        const room = await roomStub(id).inspect();
        return room === undefined || (room.outbox === 0 && room.persistedSeqId === room.headSeqId);
      });
    }
    // Confirmations leave the room with the watermark; they are on the sockets when the answer to a ping is.
    for (const { socket } of this.#sockets.values()) {
      await socket.settle();
    }
  }

  frames(device: string): readonly ServerFrame[] {
    return this.#socket(device).socket.frames;
  }

  userName(userId: string): string {
    return this.#users.name(userId);
  }

  conversationName(conversationId: string): string {
    return this.#conversations.name(conversationId);
  }

  #user(name: string): string {
    return this.#users.id(name, newUserId);
  }

  #conversation(name: string): string {
    return this.#conversations.id(name, () => (name === "world" ? WORLD_ROOM_ID : newGroupId(Date.now())));
  }

  #socket(device: string): { socket: TestSocket; user: string } {
    const found = this.#sockets.get(device);
    if (found === undefined) {
      throw new Error(`${device} is not connected`);
    }
    return found;
  }
}

function refused(result: Result<unknown>): Refused {
  return { error: result.ok ? "ok" : result.fault.name };
}
