/** After the faults: the system must come to rest by itself, and then everybody must have everything. */
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { SECOND } from "./kernel.ts";
import { check } from "./check.ts";
import { changesAreEverywhere, isSameForm, readersHoldWhatIs } from "./endingChanges.ts";
import type { RoomNode } from "./roomNode.ts";
import type { Sim } from "./sim.ts";
import type { Truth } from "./truth.ts";

/** Nothing but pings and leases for so long is rest: longer than a heartbeat with its grace. */
const REST_US = 45 * SECOND;
/** The longest retry time is a minute, the slowest client finds out after 40 s: rest must come well before this. */
const PATIENCE_US = 15 * 60 * SECOND;

/** Heals everything, waits for rest, and compares. */
export function conclude(sim: Sim): void {
  sim.heal();
  for (const device of sim.devices) {
    device.connect();
  }
  comeToRest(sim);
  sendsAreAnswered(sim);
  for (const truth of sim.ledger.truths.values()) {
    roomIsDone(sim.room(truth.id), truth);
    sqlIsEqual(sim, truth);
    changesAreEverywhere(sim, truth);
    readersHaveAll(sim, truth, false);
    readersHoldWhatIs(sim, truth, false);
  }
  sim.ledger.receipts.check();
  // Whoever came or went meanwhile may have been told in the wrong order: a new connection puts it right.
  for (const device of sim.devices) {
    device.disconnect();
    device.connect();
  }
  comeToRest(sim);
  for (const truth of sim.ledger.truths.values()) {
    readersHaveAll(sim, truth, true);
    readersHoldWhatIs(sim, truth, true);
    unreadIsRight(sim, truth);
  }
}

function comeToRest(sim: Sim): void {
  const { kernel } = sim;
  const end = kernel.now + PATIENCE_US;
  let lastWork = kernel.now;
  while (kernel.now - lastWork < REST_US) {
    if (!kernel.step()) {
      break;
    }
    if (kernel.foreground > 0) {
      lastWork = kernel.now;
    }
    check(kernel.now < end, "the system comes to rest", () => `still ${kernel.foreground} events waiting`);
  }
  for (const device of sim.devices) {
    check(device.online, "clients come back", () => `${device.name} is ${device.core.state}`);
  }
}

function sendsAreAnswered(sim: Sim): void {
  for (const [key, { outcome, userId, row, device }] of sim.ledger.submissions) {
    const truth = sim.ledger.truth(row.data.conversationId);
    const stored = truth.byKey.get(`${userId} ${key}`);
    const where = (): string => `${device} ${key} is ${outcome}, stored at ${stored?.seqId ?? "no place"}`;
    check(outcome !== "open", "every send is answered", where);
    check(outcome !== "accepted" || stored !== undefined, "what is accepted is in the log once", where);
    // A copy of a refused frame, late on its way, may come when its sender is a member again, or no longer muted, or when whom it
    // mentions has become a member.
    const concerned = [userId, ...(row.data.mentions ?? [])];
    const moved = truth.muted.has(userId) || concerned.some((one) => (truth.members.get(one)?.changes ?? 0) > 0);
    check(outcome !== "failed" || stored === undefined || moved, "what is refused is not in the log", where);
  }
}

function roomIsDone(room: RoomNode, truth: Truth): void {
  const { store } = room;
  const { counters, headSeqId } = store.load();
  const where = (): string =>
    `${room.id} head ${headSeqId} of ${truth.head} ${JSON.stringify(counters)}, outbox ${store.outboxSize}`;
  check(headSeqId === truth.head, "the log keeps what was committed", where);
  check(store.outboxSize === 0, "the outbox runs empty", where);
  check(
    counters.persistedSeqId === headSeqId && counters.deliveredSeqId === headSeqId,
    "nobody is left pending",
    where,
  );
  check(store.alarmAt === 0, "nothing is armed without a reason", where);
  const rows = store.messagesAfter(counters.firstSeqId - 1, Number.MAX_SAFE_INTEGER);
  check(rows.length === headSeqId - counters.firstSeqId + 1, "the log has no hole", where);
  for (const row of rows) {
    check(row.message === truth.rows[row.message.seqId - 1], "the log keeps what was committed", where);
  }
}

function sqlIsEqual(sim: Sim, truth: Truth): void {
  const { sql } = sim;
  const count = sql.count(truth.id);
  check(count === truth.head, "SQL equals the log", () => `${truth.id} ${count} of ${truth.head}`);
  for (const message of truth.rows) {
    const row = sql.message(truth.id, message.seqId);
    check(isSameForm(row, message), "SQL equals the log", () => `${JSON.stringify(message)} ≠ ${JSON.stringify(row)}`);
  }
  if (truth.id === WORLD_ROOM_ID) {
    return;
  }
  const state = sim.room(truth.id).store.load().state;
  const copy = sql.conversations.get(truth.id)?.state;
  const facts = (): string => `${truth.id} ${JSON.stringify(state)} ≠ ${JSON.stringify(copy)}`;
  check(JSON.stringify(state) === JSON.stringify(copy), "SQL equals the room", facts);
  for (const [userId, member] of truth.members) {
    const there = sql.members.get(truth.id)?.get(userId);
    const where = (): string => `${truth.id} ${userId} ${JSON.stringify(member)} ≠ ${JSON.stringify(there)}`;
    check(
      there !== undefined && (there.removedAt === undefined) === (member.leftAt === undefined),
      "SQL knows the members",
      where,
    );
    if (member.leftAt === undefined) {
      const mutedUntil = truth.memberRows.get(userId)?.mutedUntil;
      check(there?.mutedUntil === mutedUntil, "SQL knows the members", () => `${where()}, muted until ${mutedUntil}`);
      const pointer = sql.pointers.get(truth.id)?.get(userId) ?? 0;
      const read = truth.read.get(userId) ?? 0;
      check(pointer === read, "SQL knows what was read", () => `${truth.id} ${userId} ${pointer}, should be ${read}`);
    }
  }
}

/** @param asked after a reconnect, whose sync asks for everything. */
function readersHaveAll(sim: Sim, truth: Truth, asked: boolean): void {
  for (const device of sim.devices) {
    const member = truth.members.get(device.user.name);
    const here = truth.id === WORLD_ROOM_ID || (member !== undefined && member.leftAt === undefined);
    const excused = !asked && truth.id === WORLD_ROOM_ID && sim.ledger.excused.has(device.user.name);
    const changed = !asked && (member?.changes ?? 0) > 0;
    if (here && !changed && !excused && truth.head > 0) {
      const cursor = device.emitted.get(truth.id) ?? 0;
      check(
        cursor === truth.head,
        `every reader has everything, ${asked ? "after a reconnect" : "without being asked"}`,
        () => `${device.name} ${truth.id} has ${cursor} of ${truth.head}`,
      );
    }
  }
}

function unreadIsRight(sim: Sim, truth: Truth): void {
  for (const device of sim.devices) {
    const member = truth.members.get(device.user.name);
    const item = device.list.item(truth.id);
    if (truth.id === WORLD_ROOM_ID || member === undefined || member.leftAt !== undefined) {
      continue;
    }
    const room = sim.room(truth.id);
    let stored = -1;
    room.step(
      (core) => (stored = core.member(device.user.name)?.readSeqId ?? -1),
      () => undefined,
    );
    const read = truth.read.get(device.user.name) ?? 0;
    const where = (): string =>
      `${device.name} ${truth.id} reads ${stored}, list ${JSON.stringify(item)}, should be ${read} of ${truth.head}`;
    check(stored === read, "the read pointer is right", where);
    if (item !== undefined && truth.head > 0) {
      const right = item.readSeqId === read && item.unreadCount === truth.head - read;
      check(right, "what is unread is counted right", where);
      const last = truth.rows.at(-1);
      const told = last === undefined ? item.lastMessage === undefined : item.lastMessage?.content === last.content;
      check(told, "the list shows the last message as it is", where);
    }
  }
}
