/** A room's core over a store in memory, for tests beside the core: time moves when the test says so. */
import type { Actor, SendCommand } from "../../src/domain/commands.ts";
import type { OutboxRow } from "../../src/domain/ports.ts";
import { GROUP, type StoredMessage } from "../../src/domain/records.ts";
import { RoomCore, type RoomEffect, type RoomLimits } from "../../src/domain/room.ts";
import { createConversation } from "../../src/domain/roomChanges.ts";
import { ROOM_LIMITS } from "../../src/domain/roomContext.ts";
import type { Result } from "../../src/protocol/errors.ts";
import { MemoryRoomStore } from "../simulation/memoryStore.ts";

/** When tests begin, epoch milliseconds. */
export const NOW = 1_700_000_000_000;

export function actorOf(userId: string, more: Partial<Actor> = {}): Actor {
  return { userId, isGuest: false, isAdmin: false, ...more };
}

export function textOf(userId: string, clientMsgId: string, more: Partial<SendCommand> = {}): SendCommand {
  return { actor: actorOf(userId), clientMsgId, messageType: "text", content: `text of ${clientMsgId}`, ...more };
}

/** The value of an outcome that has to be good. */
export function must<T>(result: Result<T> | undefined): T {
  if (result?.ok !== true) {
    throw new Error(`refused: ${result?.fault.name ?? "no answer"}`);
  }
  return result.value;
}

/** Name of the fault, or "ok". */
export function nameOf(result: Result<unknown> | undefined): string {
  return result === undefined ? "nothing" : result.ok ? "ok" : result.fault.name;
}

type Kind = RoomEffect["kind"];
type EffectOf<K extends Kind> = Extract<RoomEffect, { kind: K }>;

export class MemoryRoom {
  readonly store = new MemoryRoomStore();
  readonly limits: RoomLimits;
  readonly id: string;
  core: RoomCore;
  now = NOW;
  #effects: RoomEffect[] = [];

  constructor(id = "group_1", limits: Partial<RoomLimits> = {}) {
    this.id = id;
    this.limits = { ...ROOM_LIMITS, ...limits };
    this.core = this.#newCore();
  }

  /** A group whose creation is in SQL already, so that nothing waits; the first one owns it. */
  static group(memberIds: string[], maxMembers?: number): MemoryRoom {
    const room = new MemoryRoom();
    const made = createConversation(room.core, { type: GROUP, name: "a group", memberIds, maxMembers }, room.now);
    room.core.settled(must(made).outboxIds, room.now);
    room.store.deleteOutbox(room.store.outbox(Number.MAX_SAFE_INTEGER).map((row) => row.id));
    room.wakeAgain();
    return room;
  }

  /** The object dies and lives again: what is not stored is gone. */
  wakeAgain(): this {
    this.core = this.#newCore();
    this.#effects = [];
    this.#collect();
    return this;
  }

  pass(ms: number): this {
    this.now += ms;
    return this;
  }

  /** One message, which has to be accepted. */
  say(userId: string, clientMsgId: string, more: Partial<SendCommand> = {}): StoredMessage {
    return must(this.core.append([textOf(userId, clientMsgId, more)], this.now)[0]);
  }

  /** Takes the effects of one kind since the last call for it. */
  take<K extends Kind>(kind: K): EffectOf<K>[] {
    this.#collect();
    const taken = this.#effects.filter((effect): effect is EffectOf<K> => effect.kind === kind);
    this.#effects = this.#effects.filter((effect) => effect.kind !== kind);
    return taken;
  }

  /** Rows that nobody has confirmed. */
  outbox(): OutboxRow[] {
    return this.core.outbox(Number.MAX_SAFE_INTEGER);
  }

  #newCore(): RoomCore {
    return new RoomCore(this.id, this.store, () => 0.5, this.now, this.limits);
  }

  #collect(): void {
    this.#effects.push(...this.core.takeEffects());
  }
}
