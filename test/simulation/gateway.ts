/** REST calls that change a room, as src/http/ makes them: change, write through to SQL, tell the room. */
import type { Actor, AddedMembers, CreateRoom, MemberChange, RoomChange } from "../../src/domain/commands.ts";
import { changeMember } from "../../src/domain/groupChanges.ts";
import { editMessage, react, recallMessage } from "../../src/domain/messageChanges.ts";
import { seqIdOf } from "../../src/domain/messageId.ts";
import type { MemberState, SeenMessage, StoredMessage } from "../../src/domain/records.ts";
import type { RoomCore } from "../../src/domain/room.ts";
import { addMembers, createConversation, removeMember } from "../../src/domain/roomChanges.ts";
import type { Result } from "../../src/protocol/errors.ts";
import type { Reaction } from "../../src/protocol/things.ts";
import { call } from "./net.ts";
import type { Sim } from "./sim.ts";

/** A write-through that fails is left to the room's outbox. */
function change<T>(
  sim: Sim,
  id: string,
  kind: string,
  work: (core: RoomCore, nowMs: number) => Result<RoomChange<T>>,
  done: (result: Result<RoomChange<T>>) => void,
): void {
  const room = sim.room(id);
  call<Result<RoomChange<T>>>(
    sim,
    sim.gateway,
    room,
    kind,
    (reply) => room.change(work, reply),
    (changed) => {
      if (changed === "failed") {
        return;
      }
      done(changed);
      if (changed.ok) {
        writeThrough(sim, id, changed.value);
      }
    },
  );
}

function writeThrough(sim: Sim, id: string, { records, outboxIds }: RoomChange<unknown>): void {
  const room = sim.room(id);
  call<true>(
    sim,
    sim.gateway,
    sim.sql,
    "write-through",
    (reply) => sim.sql.apply(records, reply),
    (written) => {
      if (written !== "failed") {
        call<void>(
          sim,
          sim.gateway,
          room,
          "settled",
          (reply) => room.step((core, now) => core.settled(outboxIds, now), reply),
          nothing,
        );
      }
    },
  );
}

function nothing(): void {}

export function create(sim: Sim, id: string, command: CreateRoom): void {
  change(sim, id, "create", (core, now) => createConversation(core, command, now), nothing);
}

export function add(
  sim: Sim,
  id: string,
  actor: Actor,
  userIds: readonly string[],
  done: (result: Result<RoomChange<AddedMembers>>) => void = nothing,
): void {
  change(sim, id, "add members", (core, now) => addMembers(core, actor, userIds, now), done);
}

export function remove(
  sim: Sim,
  id: string,
  actor: Actor,
  userId: string,
  done: (result: Result<RoomChange<{ dismissed: boolean }>>) => void = nothing,
): void {
  change(sim, id, "remove member", (core, now) => removeMember(core, actor, userId, now), done);
}

/** Role or mute of a member. */
export function alter(
  sim: Sim,
  id: string,
  actor: Actor,
  userId: string,
  wish: MemberChange,
  done: (result: Result<RoomChange<MemberState>>) => void = nothing,
): void {
  change(sim, id, "change member", (core, now) => changeMember(core, actor, userId, wish, now), done);
}

// ---- messages that were sent before

/** What a person does to a message. */
export type MessageDeed =
  | { kind: "edit"; messageId: string; content: string }
  | { kind: "recall"; messageId: string }
  | { kind: "react"; messageId: string; emoji: string; wanted: boolean };

type Ask<T> = (core: RoomCore, now: number, older?: StoredMessage) => Result<RoomChange<T>>;
type Done<T> = (result: Result<RoomChange<T>>) => void;

/** Does it; of a message that is not in the log once more, with what SQL has of it. */
export function alterMessage(
  sim: Sim,
  id: string,
  actor: Actor,
  deed: MessageDeed,
  done: Done<unknown> = nothing,
): void {
  const { messageId } = deed;
  switch (deed.kind) {
    case "edit":
      return withOlder<SeenMessage>(
        sim,
        id,
        deed,
        (core, now, older) => editMessage(core, actor, messageId, deed.content, now, older),
        done,
      );
    case "recall":
      return withOlder<SeenMessage>(
        sim,
        id,
        deed,
        (core, now, older) => recallMessage(core, actor, messageId, now, older),
        done,
      );
    case "react":
      return withOlder<Reaction>(
        sim,
        id,
        deed,
        (core, now, older) => react(core, actor, messageId, deed.emoji, deed.wanted, now, older),
        done,
      );
  }
}

function withOlder<T>(sim: Sim, id: string, deed: MessageDeed, ask: Ask<T>, done: Done<T>): void {
  const heard = (result: Result<RoomChange<T>>): void => {
    sim.ledger.changes.answered(id, deed, result);
    done(result);
  };
  change(
    sim,
    id,
    deed.kind,
    (core, now) => ask(core, now),
    (first) => {
      if (first.ok || first.fault.name !== "MESSAGE_NOT_FOUND") {
        heard(first);
        return;
      }
      const seqId = seqIdOf(deed.messageId);
      call<StoredMessage[]>(
        sim,
        sim.gateway,
        sim.sql,
        "at",
        (reply) => sim.sql.at(id, [seqId], reply),
        (rows) => {
          const older = rows === "failed" ? undefined : rows[0];
          if (older?.messageId === deed.messageId) {
            change(sim, id, deed.kind, (core, now) => ask(core, now, older), heard);
          } else {
            heard(first);
          }
        },
      );
    },
  );
}
