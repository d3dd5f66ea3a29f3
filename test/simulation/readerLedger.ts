/** What readers may get: messages that exist, in a form that they have had, once and in order, and none that is not theirs. */
import { WORLD_ROOM_ID, type StoredMessage } from "../../src/domain/records.ts";
import type { Message } from "../../src/protocol/things.ts";
import { fail } from "./check.ts";
import type { DeviceNode } from "./deviceNode.ts";
import type { Sim } from "./sim.ts";

export class ReaderLedger {
  readonly #sim: Sim;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** A delivery leaves a room for a member. */
  leaves(userId: string, messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      this.#onItsWay(userId, message, "leaves for");
      if (this.#sim.ledger.truth(message.conversationId).rows[message.seqId - 1]?.content !== message.content) {
        fail("what leaves a room is as it is now", `${userId}: ${message.conversationId} seq ${message.seqId}`);
      }
    }
  }

  /** Messages reach a user's object, whichever way. */
  arrives(userId: string, messages: readonly StoredMessage[]): void {
    for (const message of messages) {
      this.#onItsWay(userId, message, "reaches");
    }
  }

  /** A page of history reached a device. */
  page(device: DeviceNode, messages: readonly Message[]): void {
    for (const message of messages) {
      if (!this.#exists(message)) {
        fail("what is delivered exists", `history of ${device.name}: ${message.conversationId} seq ${message.seqId}`);
      }
    }
  }

  // Called for every message at every reader: no text is made unless it is needed.

  /** A device shows a message. */
  emitted(device: DeviceNode, id: string, message: Message): void {
    const last = device.emitted.get(id);
    const { seqId } = message;
    if (!this.#exists(message)) {
      fail("what is delivered exists", `${device.name} shows ${id} seq ${seqId} ${message.messageId}`);
    }
    if (!this.#mayRead(device.user.name, message)) {
      fail("nobody gets what was written after they left", `${device.name} shows ${id} seq ${seqId}`);
    }
    const first = last === undefined && (id === WORLD_ROOM_ID || seqId === 1);
    if (!first && seqId !== (last ?? 0) + 1) {
      fail(
        "each device sees every message once, in order",
        `${device.name} ${id} seq ${seqId} after ${last ?? "nothing"}`,
      );
    }
    device.emitted.set(id, seqId);
    this.#sim.kernel.mix(seqId);
  }

  /** In one of the forms that it has had. */
  #exists(message: Message): boolean {
    const truth = this.#sim.ledger.truth(message.conversationId);
    const row = truth.rows[message.seqId - 1];
    return (
      row !== undefined &&
      row.messageId === message.messageId &&
      row.senderId === message.senderId &&
      (row.content === message.content || this.#sim.ledger.changes.hadForm(truth, message))
    );
  }

  #mayRead(userId: string, message: Pick<Message, "conversationId" | "seqId">): boolean {
    if (message.conversationId === WORLD_ROOM_ID) {
      return true;
    }
    const member = this.#sim.ledger.truth(message.conversationId).members.get(userId);
    return member !== undefined && (member.leftAt === undefined || message.seqId <= member.leftAt);
  }

  #onItsWay(userId: string, message: StoredMessage, how: string): void {
    if (!this.#exists(message)) {
      fail(
        "what is delivered exists",
        `${how} ${userId}: ${message.conversationId} seq ${message.seqId} ${message.messageId}`,
      );
    }
    if (!this.#mayRead(userId, message)) {
      fail(
        "nobody gets what was written after they left",
        `${how} ${userId}: ${message.conversationId} seq ${message.seqId}`,
      );
    }
  }
}
