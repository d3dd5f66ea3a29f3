/** A group in memory, and what tests ask of it. For tests only. */
import { MemoryRoomStore } from "../../../test/simulation/memoryStore.ts";
import type { Result } from "../../protocol/errors.ts";
import type { Actor, RoomChange, SendCommand } from "../commands.ts";
import { DIRECT, GROUP, OWNER, WORLD_ROOM_ID, type RoomRecord } from "../records.ts";
import { RoomCore, type RoomEffect } from "../room.ts";
import { createConversation } from "../roomChanges.ts";

export const NOW = 1_800_000_000_000;
export const GROUP_ID = "group_01HR0000000000000000000000";

export function actorOf(userId: string, more: Partial<Actor> = {}): Actor {
  return { userId, isGuest: false, isAdmin: false, ...more };
}

export function text(userId: string, clientMsgId: string): SendCommand {
  return { actor: actorOf(userId), clientMsgId, messageType: "text", content: clientMsgId };
}

/** The value of an outcome that has to be good. */
export function must<T>(result: Result<T>): T {
  if (!result.ok) {
    throw new Error(`refused: ${JSON.stringify(result.fault)}`);
  }
  return result.value;
}

/** Name of the fault, or "ok". */
export function nameOf(result: Result<unknown> | undefined): string {
  return result === undefined ? "nothing" : result.ok ? "ok" : result.fault.name;
}

export type BusEvent = { event_type: string; operator_id: string; payload: Record<string, unknown> };

export class GroupHarness {
  readonly store = new MemoryRoomStore();
  core: RoomCore;
  now = NOW;

  constructor(conversationId: string = GROUP_ID) {
    this.core = this.#newCore(conversationId);
  }

  /** A group; the first of the members owns it. */
  static group(memberIds: string[], more: { maxMembers?: number; joinApproval?: boolean } = {}): GroupHarness {
    const harness = new GroupHarness();
    must(createConversation(harness.core, { type: GROUP, name: "Group", memberIds, ...more }, harness.now));
    harness.core.takeEffects();
    return harness;
  }

  static direct(a: string, b: string): GroupHarness {
    const harness = new GroupHarness(`single_${a}_${b}`);
    must(createConversation(harness.core, { type: DIRECT, memberIds: [a, b] }, harness.now));
    harness.core.takeEffects();
    return harness;
  }

  static world(): GroupHarness {
    return new GroupHarness(WORLD_ROOM_ID);
  }

  /** The object sleeps and wakes: what is only in memory is gone. */
  restart(): void {
    this.core = this.#newCore(this.core.conversationId);
  }

  /** Events that the last change published, without ids and times. */
  events(): BusEvent[] {
    return this.#effects("publish").flatMap((effect) =>
      effect.rows.map((row) => {
        const { event_type, operator_id, payload } = JSON.parse(row.body) as BusEvent;
        return { event_type, operator_id, payload };
      }),
    );
  }

  eventTypes(): string[] {
    return this.events().map((event) => event.event_type);
  }

  owners(): string[] {
    return this.core
      .members("", 1_000)
      .filter((member) => member.role === OWNER)
      .map((member) => member.userId);
  }

  /** Nobody writes through here, so each change would bring along what all before it left behind: its own is enough. */
  #newCore(conversationId: string): RoomCore {
    const core = new RoomCore(conversationId, this.store, () => 0.5, this.now);
    const commit = core.commit.bind(core);
    core.commit = (change, now) => {
      const { logId } = core.counters;
      const { records, outboxIds } = commit(change, now);
      return {
        records: records.filter((record) => record.logId > logId),
        outboxIds: outboxIds.filter((id) => id > logId),
      };
    };
    return core;
  }

  #effects<Kind extends RoomEffect["kind"]>(kind: Kind): Extract<RoomEffect, { kind: Kind }>[] {
    return this.core
      .takeEffects()
      .filter((effect): effect is Extract<RoomEffect, { kind: Kind }> => effect.kind === kind);
  }
}

export function kinds(change: RoomChange<unknown>): RoomRecord["kind"][] {
  return change.records.map((record) => record.kind);
}
