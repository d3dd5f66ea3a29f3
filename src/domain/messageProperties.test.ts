/**
 * Random talks: sends, answers, edits, recalls, reactions, deaths of the room, and records that reach SQL late, twice and in any
 * order. At the end SQL is what the room has, and what was recalled is nowhere.
 */
import { array, assert, constantFrom, nat, oneof, property, record, type Arbitrary } from "fast-check";
import { describe, it } from "vitest";
import { changedSince } from "./messageViews.ts";
import { continueRecalls, editMessage, react, recallMessage } from "./messageChanges.ts";
import { tombstone, withoutPreview } from "./messageRules.ts";
import { seqIdOf } from "./messageId.ts";
import type { PersistBatch, RoomRecord, StoredMessage } from "./records.ts";
import { GroupHarness, actorOf, text } from "./testing/groupHarness.ts";

const USERS = ["ada", "ben", "cat"];

type Step =
  | { kind: "send" | "restart" | "alarm"; who: number; at: number }
  | { kind: "answer" | "edit" | "recall" | "react" | "unreact"; who: number; at: number }
  | { kind: "apply" | "again"; who: number; at: number };

const steps: Arbitrary<Step[]> = array(
  oneof(
    record({ kind: constantFrom("send", "answer", "edit", "recall", "react", "unreact"), who: nat(2), at: nat(4) }),
    record({ kind: constantFrom("apply", "again", "alarm", "restart"), who: nat(2), at: nat(4) }),
  ) as Arbitrary<Step>,
  { minLength: 10, maxLength: 80 },
);

/** What src/repo/records.ts and changeRecords.ts do, in memory. */
class Sql {
  readonly messages = new Map<number, { logId: number; message: StoredMessage }>();
  readonly edits = new Map<string, { seqId: number; content: unknown }>();
  readonly reactions = new Map<string, { seqId: number; logId: number; there: boolean }>();

  apply(records: readonly RoomRecord[]): void {
    const order = (entry: RoomRecord): number => (entry.kind === "message" ? 0 : entry.kind === "previews" ? 2 : 1);
    for (const entry of records.toSorted((a, b) => order(a) - order(b))) {
      this.#one(entry);
    }
  }

  #isRecalled(seqId: number): boolean {
    return this.messages.get(seqId)?.message.recalledAt !== undefined;
  }

  #one(entry: RoomRecord): void {
    switch (entry.kind) {
      case "message": {
        const { seqId } = entry.message;
        if (entry.logId > (this.messages.get(seqId)?.logId ?? -1)) {
          this.messages.set(seqId, { logId: entry.logId, message: entry.message });
        }
        if (entry.message.recalledAt !== undefined) {
          for (const table of [this.edits, this.reactions]) {
            [...table].filter(([, row]) => row.seqId === seqId).forEach(([key]) => table.delete(key));
          }
        }
        return;
      }
      case "edit": {
        const seqId = seqIdOf(entry.messageId);
        if (!this.#isRecalled(seqId)) {
          this.edits.set(`${seqId} ${entry.logId}`, { seqId, content: entry.content });
        }
        return;
      }
      case "reaction": {
        const seqId = seqIdOf(entry.messageId);
        const key = `${seqId} ${entry.emoji} ${entry.userId}`;
        if (!this.#isRecalled(seqId) && entry.logId > (this.reactions.get(key)?.logId ?? -1)) {
          this.reactions.set(key, { seqId, logId: entry.logId, there: entry.removedAt === undefined });
        }
        return;
      }
      case "previews":
        for (const seqId of entry.seqIds) {
          const row = this.messages.get(seqId);
          if (row !== undefined) {
            this.messages.set(seqId, { ...row, message: withoutPreview(row.message) });
          }
        }
        return;
      default:
      // Of the conversation and its members, which do not change here.
    }
  }
}

/** One room, its SQL, and the records between them. */
class World {
  readonly harness = GroupHarness.group(USERS);
  readonly sql = new Sql();
  readonly recalled = new Set<string>();
  #written = 0;
  /** Contents by sequence, all versions. */
  readonly #said = new Map<number, string[]>();
  #inAir: { records: RoomRecord[]; outboxIds?: number[]; batch?: PersistBatch }[] = [];
  #landed: RoomRecord[][] = [];

  run(step: Step): void {
    const { core } = this.harness;
    const who = USERS[step.who] ?? "ada";
    const target = core.room.store.message(1 + (step.at % Math.max(1, core.headSeqId)))?.message;
    this.harness.now += 1;
    const { now } = this.harness;
    if (step.kind === "send" || (step.kind === "answer" && target !== undefined)) {
      const content = this.#content(core.headSeqId + 1);
      const replyTo = step.kind === "answer" && target !== undefined ? { replyTo: target.messageId } : {};
      core.append([{ ...text(who, `key ${core.headSeqId}`), content, ...replyTo }], now);
    } else if (step.kind === "apply" || step.kind === "again") {
      this.#land(step.at, step.kind === "again");
    } else if (step.kind === "restart") {
      this.harness.restart();
    } else if (step.kind === "alarm") {
      this.harness.now += 60_000;
      core.onAlarm(this.harness.now);
      continueRecalls(core, this.harness.now);
    } else if (target !== undefined) {
      this.#change(step.kind, who, target);
    }
    this.#collect();
  }

  #content(seqId: number): string {
    this.#written += 1;
    const content = `content ${this.#written}.`;
    this.#said.set(seqId, [...(this.#said.get(seqId) ?? []), content]);
    return content;
  }

  #change(kind: Step["kind"], who: string, { messageId, seqId, senderId }: StoredMessage): void {
    const { core, now } = this.harness;
    const actor = actorOf(who);
    if (kind === "edit") {
      const before = this.#said.get(seqId) ?? [];
      const edited = editMessage(core, actorOf(senderId), messageId, this.#content(seqId), now);
      if (edited.ok) {
        this.#inAir.push(edited.value);
      } else {
        this.#said.set(seqId, before);
      }
      return;
    }
    const changed =
      kind === "recall"
        ? recallMessage(core, actor, messageId, now)
        : react(core, actor, messageId, "👍", kind === "react", now);
    if (changed.ok) {
      this.#inAir.push(changed.value);
      const gone = kind === "recall" ? (this.#said.get(seqId) ?? []) : [];
      gone.forEach((content) => this.recalled.add(content));
    }
  }

  #collect(): void {
    const effects = this.harness.core.takeEffects();
    if (effects.some((effect) => effect.kind === "timer" && effect.name === "persist")) {
      this.harness.now += 250;
      this.harness.core.onTimer("persist", this.harness.now);
      effects.push(...this.harness.core.takeEffects());
    }
    for (const effect of effects) {
      if (effect.kind === "persist") {
        this.#inAir.push({ records: effect.batch.records, batch: effect.batch });
      }
    }
  }

  #land(at: number, again: boolean): void {
    if (again) {
      this.sql.apply(this.#landed[at % Math.max(1, this.#landed.length)] ?? []);
      return;
    }
    const [parcel] = this.#inAir.splice(at % Math.max(1, this.#inAir.length), 1);
    if (parcel !== undefined) {
      this.sql.apply(parcel.records);
      this.#landed.push(parcel.records);
      const { batch, outboxIds = [] } = parcel;
      // As after a REST call: nobody sends it again.
      this.harness.core.settled(outboxIds, this.harness.now);
      if (batch !== undefined) {
        this.harness.core.persisted(batch.fromSeqId, batch.toSeqId, batch.outboxIds, this.harness.now);
      }
    }
  }

  /** Nothing new happens, and everything arrives; the outbox is what would be sent again for ever. */
  end(order: number): void {
    for (let turn = 0; turn < 20; turn++) {
      this.harness.now += 60_000;
      this.harness.core.onAlarm(this.harness.now);
      this.#collect();
      while (this.#inAir.length > 0) {
        this.#land(order + turn, false);
        this.#collect();
      }
    }
  }
}

describe("a random talk", () => {
  it("ends with SQL as the room has it, and with nothing of what was recalled", ({ expect }) => {
    const talk = property(steps, nat(100), (all, order) => {
      const world = new World();
      for (const step of all) {
        world.run(step);
        // What is read from memory is what is on disk.
        const disk = world.harness.store.messagesAfter(0, 1_000).map((row) => row.message);
        expect(world.harness.core.readLog(0, 1_000).messages).toEqual(disk);
      }
      world.end(order);
      const { core, store } = world.harness;
      const log = store.messagesAfter(0, 1_000).map((row) => row.message);
      expect(log.map((message) => message.seqId)).toEqual(log.map((_message, index) => index + 1));
      const stored = [...world.sql.messages.values()].map((row) => row.message).toSorted((a, b) => a.seqId - b.seqId);
      expect(stored).toEqual(log);
      for (const message of log) {
        const emptied = message.recalledAt === undefined ? message : tombstone(message, message.recalledAt);
        expect(message).toEqual(emptied);
      }
      const reactions = store.changes.reactions(
        log.map((message) => message.seqId),
        "ada",
      );
      const counted = Map.groupBy(
        [...world.sql.reactions.values()].filter((row) => row.there),
        (row) => row.seqId,
      );
      expect(new Map([...counted].map(([seqId, rows]) => [seqId, rows.length]))).toEqual(
        new Map([...reactions].map(([seqId, [one]]) => [seqId, one?.count])),
      );
      const known = changedSince(core, actorOf("ada"), 0, 1_000, 1_000);
      const everything = JSON.stringify([
        log,
        store.outbox(1_000),
        [...world.sql.messages],
        [...world.sql.edits],
        known,
      ]);
      expect([...world.recalled].filter((content) => everything.includes(content))).toEqual([]);
    });
    assert(talk, { numRuns: 600 });
  });
});
