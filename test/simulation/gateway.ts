/** REST calls that change a room, as src/http/ makes them: change, write through to SQL, tell the room. */
import type { Actor, AddedMembers, CreateRoom, RoomChange } from "../../src/domain/commands.ts";
import type { RoomCore } from "../../src/domain/room.ts";
import { addMembers, createConversation, removeMember } from "../../src/domain/roomChanges.ts";
import type { Result } from "../../src/protocol/errors.ts";
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
    (reply) => room.step(work, reply),
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
