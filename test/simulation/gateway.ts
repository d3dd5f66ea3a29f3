/** REST calls that change a room, as src/http/ makes them: change, write through to SQL, tell the room. */
import type { Actor, CreateRoom, RoomChange } from "../../src/domain/commands.ts";
import type { RoomCore } from "../../src/domain/room.ts";
import { addMembers, createConversation, removeMember } from "../../src/domain/roomChanges.ts";
import type { Result } from "../../src/protocol/errors.ts";
import { call } from "./net.ts";
import type { Sim } from "./sim.ts";

type Change = (core: RoomCore, nowMs: number) => Result<RoomChange<unknown>>;

/** A write-through that fails is left to the room's outbox. */
function change(sim: Sim, id: string, kind: string, work: Change): void {
  const room = sim.room(id);
  call<Result<RoomChange<unknown>>>(
    sim,
    sim.gateway,
    room,
    kind,
    (reply) => room.step(work, reply),
    (changed) => {
      if (changed === "failed" || !changed.ok) {
        return;
      }
      const { records, outboxIds } = changed.value;
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
              (reply) => {
                room.step((core, now) => core.settled(outboxIds, now), reply);
              },
              () => undefined,
            );
          }
        },
      );
    },
  );
}

export function create(sim: Sim, id: string, command: CreateRoom): void {
  change(sim, id, "create", (core, now) => createConversation(core, command, now));
}

export function add(sim: Sim, id: string, actor: Actor, userIds: readonly string[]): void {
  change(sim, id, "add members", (core, now) => addMembers(core, actor, userIds, now));
}

export function remove(sim: Sim, id: string, actor: Actor, userId: string): void {
  change(sim, id, "remove member", (core, now) => removeMember(core, actor, userId, now));
}
