/** The simulator as a script's backend: no faults, and every operation waits until nothing is under way. */
import type { Actor } from "../../src/domain/commands.ts";
import { DIRECT, GROUP, WORLD_ROOM_ID } from "../../src/domain/records.ts";
import type { ErrorName } from "../../src/protocol/errors.ts";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import type { Message, Reaction } from "../../src/protocol/things.ts";
import type { DeviceNode } from "./deviceNode.ts";
import { add, alter, alterMessage, create, remove, type MessageDeed } from "./gateway.ts";
import type { Refused, ScriptBackend, Tap } from "./script.ts";
import { Sim } from "./sim.ts";
import { restHistory } from "./history.ts";

/** Mutes of a script outlast it. */
const DAY_MS = 24 * 3_600_000;

export class SimulatedBackend implements ScriptBackend {
  readonly #sim: Sim;
  readonly #devices = new Map<string, DeviceNode>();
  readonly #frames = new Map<string, ServerFrame[]>();
  readonly #ids = new Map<string, string>([["world", WORLD_ROOM_ID]]);
  readonly #names = new Map<string, string>([[WORLD_ROOM_ID, "world"]]);
  readonly #accepted = new Set<string>();

  constructor(seed: number) {
    this.#sim = new Sim(seed);
    const plenty = { perSecond: 10_000, burst: 10_000 };
    this.#sim.sendLimits = { ...this.#sim.sendLimits, sends: plenty, world: plenty };
    // Virtual time goes on faster than the script: what is in time in workerd must be so here.
    this.#sim.limits = { ...this.#sim.limits, recallWindowMs: DAY_MS, editWindowMs: DAY_MS };
    this.#sim.onFrame = (device, frame) => this.#frames.get(device.name)?.push(frame);
  }

  create(conversation: string, kind: "direct" | "group", users: string[]): Promise<void> {
    const id = kind === "direct" ? `single_${[...users].sort().join("_")}` : `group_${conversation}`;
    this.#ids.set(conversation, id);
    this.#names.set(id, conversation);
    create(this.#sim, id, { type: kind === "direct" ? DIRECT : GROUP, memberIds: users });
    return this.settle();
  }

  connect(name: string, user: string): Promise<void> {
    const device = this.#sim.addDevice(user, name);
    this.#devices.set(name, device);
    this.#frames.set(name, []);
    device.connect();
    return this.settle();
  }

  async send(
    name: string,
    conversation: string,
    { key, text, replyTo }: { key: string; text: string; replyTo?: string },
  ): Promise<{ messageId: string; seqId: number } | Refused> {
    const device = this.#device(name);
    const data = {
      clientMsgId: key,
      conversationId: this.#id(conversation),
      messageType: "text" as const,
      content: text,
      ...(replyTo === undefined ? {} : { replyTo }),
    };
    if (!this.#accepted.has(key)) {
      // The oracles look on here as well, and ask who sent what; what was refused is tried anew.
      this.#sim.ledger.submissions.delete(key);
      this.#sim.ledger.submitted(device, { data, createdAt: this.#sim.kernel.ms });
    }
    const frames = this.#frames.get(name) ?? [];
    const before = frames.length;
    this.#say(device, { type: "send-message", data });
    await this.settle();
    for (const frame of frames.slice(before)) {
      if (frame.type === "message-error" && frame.data.clientMsgId === key) {
        return { error: frame.data.error.name };
      }
      if (frame.type === "message-ack" && frame.data.clientMsgId === key) {
        const { messageId = "", seqId = 0 } = frame.data;
        this.#accepted.add(key);
        return { messageId, seqId };
      }
    }
    return { error: "no answer" };
  }

  read(name: string, conversation: string, seqId: number): Promise<void> {
    this.#say(this.#device(name), { type: "mark-read", data: { conversationId: this.#id(conversation), seqId } });
    return this.settle();
  }

  async add(
    actor: string,
    conversation: string,
    users: string[],
  ): Promise<{ added: string[]; failed: string[] } | Refused> {
    let answer: { added: string[]; failed: string[] } | Refused = { error: "no answer" };
    add(this.#sim, this.#id(conversation), actorOf(actor), users, (result) => {
      answer = result.ok
        ? {
            added: result.value.value.added.map((member) => member.userId),
            failed: result.value.value.failed.map((member) => member.userId),
          }
        : { error: result.fault.name };
    });
    await this.settle();
    return answer;
  }

  async remove(actor: string, conversation: string, user: string): Promise<{ dismissed: boolean } | Refused> {
    let answer: { dismissed: boolean } | Refused = { error: "no answer" };
    remove(this.#sim, this.#id(conversation), actorOf(actor), user, (result) => {
      answer = result.ok ? result.value.value : { error: result.fault.name };
    });
    await this.settle();
    return answer;
  }

  async history(
    user: string,
    conversation: string,
    page: { after?: number; before?: number; limit: number },
  ): Promise<readonly Message[] | Refused> {
    let answer: readonly Message[] | { error: ErrorName | "no answer" } = { error: "no answer" };
    restHistory(this.#sim, this.#sim.user(user), this.#id(conversation), page, (messages) => {
      if (messages !== undefined) {
        answer = "name" in messages ? { error: messages.name } : messages;
      }
    });
    await this.settle();
    return answer;
  }

  async view(
    user: string,
    conversation: string,
  ): Promise<{ headSeqId: number; readSeqId: number; members: number } | Refused> {
    let answer: { headSeqId: number; readSeqId: number; members: number } | Refused = { error: "no answer" };
    this.#sim.room(this.#id(conversation)).step(
      (core) => core.view(actorOf(user)),
      (view) => {
        if (view !== "failed") {
          answer = view.ok
            ? {
                headSeqId: view.value.headSeqId,
                readSeqId: view.value.readSeqId,
                members: view.value.conversation.memberCount,
              }
            : { error: view.fault.name };
        }
      },
    );
    await this.settle();
    return answer;
  }

  async edit(user: string, conversation: string, messageId: string, content: string): Promise<Message | Refused> {
    return this.#alter<Message>(user, conversation, { kind: "edit", messageId, content });
  }

  recall(user: string, conversation: string, messageId: string): Promise<Message | Refused> {
    return this.#alter<Message>(user, conversation, { kind: "recall", messageId });
  }

  react(user: string, conversation: string, tap: Tap): Promise<Reaction | Refused> {
    return this.#alter<Reaction>(user, conversation, { kind: "react", ...tap });
  }

  async #alter<T>(user: string, conversation: string, deed: MessageDeed): Promise<T | Refused> {
    let answer: T | Refused = { error: "no answer" };
    this.#sim.ledger.changes.wished(deed);
    alterMessage(this.#sim, this.#id(conversation), actorOf(user), deed, (result) => {
      // Which of the two it is depends on the deed.
      answer = result.ok ? (result.value.value as T) : { error: result.fault.name };
    });
    await this.settle();
    return answer;
  }

  async mute(actor: string, conversation: string, user: string, muted: boolean): Promise<{ muted: boolean } | Refused> {
    let answer: { muted: boolean } | Refused = { error: "no answer" };
    const mutedUntil = muted ? this.#sim.kernel.ms + DAY_MS : null;
    alter(this.#sim, this.#id(conversation), actorOf(actor), user, { mutedUntil }, (result) => {
      answer = result.ok ? { muted: result.value.value.mutedUntil !== undefined } : { error: result.fault.name };
    });
    await this.settle();
    return answer;
  }

  told(): Promise<void> {
    return this.settle();
  }

  received(name: string, conversation: string, seqId: number): Promise<void> {
    const has = (message: Message): boolean =>
      message.conversationId === this.#id(conversation) && message.seqId === seqId;
    const there = this.frames(name).some((frame) =>
      frame.type === "new-message"
        ? has(frame.data.message)
        : frame.type === "new-messages" && frame.data.messages.some(has),
    );
    // Whatever was sent has arrived: every operation ends with nothing under way.
    return there ? Promise.resolve() : Promise.reject(new Error(`${name} lacks ${conversation}#${seqId}`));
  }

  delivered(): Promise<void> {
    return this.settle();
  }

  settle(): Promise<void> {
    while (this.#sim.kernel.foreground > 0) {
      this.#sim.kernel.step();
    }
    return Promise.resolve();
  }

  frames(device: string): readonly ServerFrame[] {
    return this.#frames.get(device) ?? [];
  }

  userName(userId: string): string {
    return userId;
  }

  conversationName(conversationId: string): string {
    return this.#names.get(conversationId) ?? conversationId;
  }

  #say(device: DeviceNode, frame: ClientFrame): void {
    device.say(frame);
  }

  #device(name: string): DeviceNode {
    const device = this.#devices.get(name);
    if (device === undefined) {
      throw new Error(`${name} is not connected`);
    }
    return device;
  }

  #id(conversation: string): string {
    return this.#ids.get(conversation) ?? `group_${conversation}`;
  }
}

function actorOf(userId: string): Actor {
  return { userId, isGuest: false, isAdmin: false };
}
