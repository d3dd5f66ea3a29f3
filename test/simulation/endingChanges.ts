/** At the end every copy of a changed message is its last form: in SQL, in the cache, in answers, on devices. */
import { WORLD_ROOM_ID, type StoredMessage } from "../../src/domain/records.ts";
import type { Message } from "../../src/protocol/things.ts";
import { check } from "./check.ts";
import type { DeviceNode } from "./deviceNode.ts";
import type { Sim } from "./sim.ts";
import type { Truth } from "./truth.ts";

/** Whether two copies of a message have the same form. Asked for each message at each reader: no text is made for it. */
export function isSameForm(a: Message | StoredMessage | undefined, b: Message | StoredMessage | undefined): boolean {
  return (
    a?.messageId === b?.messageId &&
    a?.content === b?.content &&
    a?.editedAt === b?.editedAt &&
    a?.recalledAt === b?.recalledAt &&
    a?.replyTo?.messageId === b?.replyTo?.messageId &&
    a?.replyTo?.preview === b?.replyTo?.preview &&
    a?.mentions?.join() === b?.mentions?.join()
  );
}

export function changesAreEverywhere(sim: Sim, truth: Truth): void {
  tombstonesSayNothing(truth);
  beside(sim, truth);
  for (const message of sim.cache.hotNow(truth.id)) {
    const row = truth.rows[message.seqId - 1];
    check(
      isSameForm(row, message),
      "the cache has no old form",
      () => `${JSON.stringify(message)}, is ${JSON.stringify(row)}`,
    );
    const reactions = truth.reactions.get(message.seqId)?.size ?? 0;
    check(reactions === 0, "the cache has no old form", () => `${JSON.stringify(message)} has ${reactions} reactions`);
  }
}

/** Nothing of a recalled message is left in the log, nor of its text in the answers to it. */
function tombstonesSayNothing(truth: Truth): void {
  for (const row of truth.rows) {
    const target = row.replyTo === undefined ? undefined : truth.rows[row.replyTo.seqId - 1];
    check(
      target?.recalledAt === undefined || row.replyTo?.preview === "",
      "answers to a recalled message lose their preview",
      () => JSON.stringify(row),
    );
    if (row.recalledAt !== undefined) {
      const left = [truth.edits.get(row.seqId)?.length ?? 0, truth.reactions.get(row.seqId)?.size ?? 0];
      check(
        row.content === undefined && left.every((count) => count === 0),
        "a tombstone says nothing",
        () => `${JSON.stringify(row)} ${left.join(" ")}`,
      );
    }
  }
}

/** Edit history, reactions and version in SQL, and in the room. */
function beside(sim: Sim, truth: Truth): void {
  const room = sim.room(truth.id);
  const { changes } = room.store;
  for (const { seqId, messageId, recalledAt } of truth.rows) {
    if (!truth.forms.has(seqId) && !truth.reactions.has(seqId)) {
      continue;
    }
    const where = (): string => `${truth.id} ${seqId} ${messageId}${recalledAt === undefined ? "" : ", recalled"}`;
    const wanted = JSON.stringify(truth.edits.get(seqId) ?? []);
    const edits = JSON.stringify(sim.sql.edits(truth.id, messageId));
    check(edits === wanted, "SQL has the edits", () => `${where()}: ${edits}, should be ${wanted}`);
    const users = JSON.stringify([...(truth.reactions.get(seqId) ?? [])].toSorted());
    const found = JSON.stringify(sim.sql.reactions(truth.id, messageId));
    check(found === users, "SQL has the reactions", () => `${where()}: ${found}, should be ${users}`);
    const counted =
      changes
        .reactions([seqId], "")
        .get(seqId)
        ?.reduce((sum, { count }) => sum + count, 0) ?? 0;
    const size = truth.reactions.get(seqId)?.size ?? 0;
    check(counted === size, "reactions are counted right", () => `${where()}: ${counted}, should be ${size}`);
  }
}

/** @param asked after a reconnect, whose sync asks for everything. */
export function readersHoldWhatIs(sim: Sim, truth: Truth, asked: boolean): void {
  for (const device of sim.devices) {
    const member = truth.members.get(device.user.name);
    const here = truth.id === WORLD_ROOM_ID || (member !== undefined && member.leftAt === undefined);
    const changed = !asked && ((member?.changes ?? 0) > 0 || truth.id === WORLD_ROOM_ID);
    if (here && !changed) {
      holds(device, truth, asked);
    }
  }
}

function holds(device: DeviceNode, truth: Truth, asked: boolean): void {
  const how = asked ? "after a reconnect" : "without being asked";
  for (const message of device.core.messages(truth.id)) {
    const row = truth.rows[message.seqId - 1];
    const where = (): string =>
      `${device.name} ${truth.id} holds ${JSON.stringify(message)}, is ${JSON.stringify(row)}`;
    if (row?.recalledAt !== undefined) {
      check(message.content === undefined, `a recalled message is gone from every reader, ${how}`, where);
    }
    check(isSameForm(row, message), `every reader has the last edit, ${how}`, where);
    if (message.reactions === undefined && !truth.reactions.has(message.seqId)) {
      continue;
    }
    const wanted = reactionsFor(truth, message.seqId, device.user.name);
    const held = (message.reactions ?? []).map(({ emoji, count, mine }) => `${emoji} ${count} ${mine}`).toSorted();
    check(
      held.join() === wanted.join() || device.bare.has(`${truth.id} ${message.seqId}`),
      `every reader has the reactions, ${how}`,
      () => `${where()}, reactions ${wanted.join()}`,
    );
  }
}

function reactionsFor(truth: Truth, seqId: number, userId: string): string[] {
  const counts = new Map<string, { count: number; mine: boolean }>();
  for (const key of truth.reactions.get(seqId) ?? []) {
    const [emoji = "", by = ""] = key.split(" ");
    const before = counts.get(emoji) ?? { count: 0, mine: false };
    counts.set(emoji, { count: before.count + 1, mine: before.mine || by === userId });
  }
  return [...counts].map(([emoji, { count, mine }]) => `${emoji} ${count} ${mine}`).toSorted();
}
