/** The script in the simulator: its real rooms, user objects, shards, bus and cache, without any fault. */
import { addMembers, markRead, removeMember } from "../../../src/domain/roomChanges.ts";
import { DIRECT, GROUP, WORLD_ROOM_ID, type StoredMessage } from "../../../src/domain/records.ts";
import type { RoomCore } from "../../../src/domain/room.ts";
import type { Result } from "../../../src/protocol/errors.ts";
import type { ServerFrame } from "../../../src/protocol/frames.ts";
import { DeviceNode } from "../../simulation/deviceNode.ts";
import { create } from "../../simulation/gateway.ts";
import { call } from "../../simulation/net.ts";
import { type Operation, SCRIPT_CONVERSATIONS, SCRIPT_PEOPLE, type ScriptBackend } from "./orderedScript.ts";
import { Sim } from "../../simulation/sim.ts";
import { Wire } from "../../simulation/wire.ts";

/** More events than any operation needs: what has not come by then does not come. */
const EVENTS_LIMIT = 200_000;

/** A device that sends what it is told, and keeps what it gets. */
class ScriptDevice extends DeviceNode {
  readonly got: ServerFrame[] = [];
  wire: Wire | undefined;

  override frames(_wire: Wire, frames: readonly ServerFrame[]): void {
    this.got.push(...frames);
  }

  override opened(): void {
    // The test looks for `connected`.
  }

  override closed(): void {
    throw new Error(`${this.name} lost its connection, though nothing goes wrong here`);
  }
}

export class SimulatorBackend implements ScriptBackend {
  readonly #sim = new Sim(1);
  readonly #devices: ScriptDevice[] = [];
  readonly #ids: string[] = [];
  readonly #accepted = new Set<string>();

  begin(): Promise<void> {
    const sim = this.#sim;
    for (let person = 0; person < SCRIPT_PEOPLE; person++) {
      const device = new ScriptDevice(sim, `device-${person}`, sim.user(userOf(person)));
      this.#devices.push(device);
      device.wire = new Wire(sim, device, device.user);
      device.wire.open();
      this.#until(`${device.name} connected`, () => device.got.some((frame) => frame.type === "connected"));
    }
    SCRIPT_CONVERSATIONS.forEach((conversation, n) => {
      const id = conversation.kind === "world" ? WORLD_ROOM_ID : `conversation-${n}`;
      this.#ids.push(id);
      if (conversation.kind !== "world") {
        create(sim, id, {
          type: conversation.kind === "direct" ? DIRECT : GROUP,
          memberIds: conversation.people.map(userOf),
        });
        this.#until(`${id} made`, () => this.#ask(id, (core) => core.state !== undefined));
      }
    });
    return Promise.resolve();
  }

  run(operation: Operation): Promise<string> {
    const id = this.#ids[operation.conversation] ?? "";
    const actor = { userId: userOf(operation.person), isGuest: false, isAdmin: false };
    switch (operation.op) {
      case "send":
        return Promise.resolve(this.#send(operation, id));
      case "read":
        return Promise.resolve(
          said(
            this.#ask(id, (core, now) => markRead(core, actor, operation.seqId, false, now)),
            ({ value }) => `read ${value.readSeqId} unread ${value.unreadCount}`,
          ),
        );
      case "add":
        return Promise.resolve(
          said(
            this.#ask(id, (core, now) => addMembers(core, actor, [userOf(operation.target)], now)),
            () => "added",
          ),
        );
      case "remove":
        return Promise.resolve(
          said(
            this.#ask(id, (core, now) => removeMember(core, actor, userOf(operation.target), now)),
            () => "removed",
          ),
        );
    }
  }

  received(person: number, conversation: number, seqId: number): Promise<void> {
    const id = this.#ids[conversation];
    this.#until(`${seqId} in ${id} for ${person}`, () =>
      this.#messages(person).some((message) => message.conversationId === id && message.seqId === seqId),
    );
    return Promise.resolve();
  }

  frames(person: number, conversation: number): string[] {
    const people = Array.from({ length: SCRIPT_PEOPLE }, (_, n) => userOf(n));
    return this.#messages(person)
      .filter((message) => message.conversationId === this.#ids[conversation])
      .map(({ seqId, senderId, content }) => `${seqId} from ${people.indexOf(senderId)}: ${JSON.stringify(content)}`);
  }

  #send({ person, key, text }: Extract<Operation, { op: "send" }>, conversationId: string): string {
    const device = this.#devices[person];
    if (device === undefined) {
      throw new Error("nobody there");
    }
    const before = device.got.length;
    const data = { clientMsgId: key, conversationId, messageType: "text", content: text } as const;
    if (!this.#accepted.has(key)) {
      // The oracles look on here as well, and ask who sent what; what was refused may be tried anew.
      this.#sim.ledger.submissions.delete(key);
      this.#sim.ledger.submitted(device, { data, createdAt: this.#sim.kernel.ms });
    }
    device.wire?.up({ type: "send-message", data });
    let answer: string | undefined;
    this.#until(`an answer to ${key}`, () => {
      for (const frame of device.got.slice(before)) {
        if (frame.type === "message-ack" && frame.data.clientMsgId === key) {
          answer = `sent ${frame.data.seqId}`;
          this.#accepted.add(key);
        } else if (frame.type === "message-error" && frame.data.clientMsgId === key) {
          answer = frame.data.error.name;
        }
      }
      return answer !== undefined;
    });
    return answer ?? "";
  }

  #messages(person: number): StoredMessageLike[] {
    return (this.#devices[person]?.got ?? []).flatMap((frame) =>
      frame.type === "new-message" ? [frame.data.message] : frame.type === "new-messages" ? frame.data.messages : [],
    );
  }

  /** A call to a room, as the gateway makes it. */
  #ask<T>(id: string, work: (core: RoomCore, nowMs: number) => T): T {
    let answer: { value: T } | undefined;
    const room = this.#sim.room(id);
    call<T>(
      this.#sim,
      this.#sim.gateway,
      room,
      "script",
      (reply) => room.step(work, reply),
      (value) => {
        if (value === "failed") {
          throw new Error("a call failed, though nothing goes wrong here");
        }
        answer = { value };
      },
    );
    this.#until(`an answer of ${id}`, () => answer !== undefined);
    if (answer === undefined) {
      throw new Error("unreachable: it was answered");
    }
    return answer.value;
  }

  #until(what: string, done: () => boolean): void {
    for (let events = 0; !done(); events++) {
      if (events > EVENTS_LIMIT || !this.#sim.kernel.step()) {
        throw new Error(`never came in the simulator: ${what}`);
      }
    }
  }
}

type StoredMessageLike = Pick<StoredMessage, "conversationId" | "seqId" | "senderId" | "content">;

/** Ids of the simulator's people sort as their numbers do. */
function userOf(person: number): string {
  return `u${String(person).padStart(2, "0")}`;
}

function said<T>(result: Result<T>, text: (value: T) => string): string {
  return result.ok ? text(result.value) : result.fault.name;
}
