/** How a bug is planted: copies of ports in which something is wrong. */
import type { ChangeStore, RoomStore } from "../../src/domain/ports.ts";
import type { RoomEffect } from "../../src/domain/room.ts";
import type { Plant } from "./plants.ts";

export type PlantedBug = { what: string; plant: Plant };

/** A copy of a store in which some methods are replaced. */
export function changed(store: RoomStore, changes: Partial<RoomStore>): RoomStore {
  return {
    groups: store.groups,
    changes: store.changes,
    transaction: (work) => store.transaction(work),
    load: () => store.load(),
    saveState: (state) => store.saveState(state),
    saveCounters: (counters) => store.saveCounters(counters),
    member: (userId) => store.member(userId),
    putMember: (member) => store.putMember(member),
    deleteMember: (userId) => store.deleteMember(userId),
    members: (cursor, limit) => store.members(cursor, limit),
    message: (seqId) => store.message(seqId),
    messagesAfter: (after, limit) => store.messagesAfter(after, limit),
    messagesBefore: (before, limit) => store.messagesBefore(before, limit),
    findSend: (senderId, clientMsgId) => store.findSend(senderId, clientMsgId),
    insertMessage: (row) => store.insertMessage(row),
    replaceMessage: (row) => store.replaceMessage(row),
    senders: (from, to, limit) => store.senders(from, to, limit),
    countReaders: (seqId, joinedBy) => store.countReaders(seqId, joinedBy),
    pruneMessages: (seqId) => store.pruneMessages(seqId),
    addOutbox: (row) => store.addOutbox(row),
    outbox: (limit) => store.outbox(limit),
    findOutbox: (text) => store.findOutbox(text),
    deleteOutbox: (ids) => store.deleteOutbox(ids),
    ...changes,
  };
}

/** Replaces a method of a class until the run is over. */
export function patched<Instance extends object, Name extends keyof Instance>(
  prototype: Instance,
  name: Name,
  make: (original: Instance[Name]) => Instance[Name],
): () => void {
  const original = prototype[name];
  prototype[name] = make(original);
  return () => {
    prototype[name] = original;
  };
}

export function without(kind: RoomEffect["kind"]): (effects: RoomEffect[]) => RoomEffect[] {
  return (effects) => effects.filter((effect) => effect.kind !== kind);
}

/** A store whose memory of changed messages does something else. */
export function forgetful(store: RoomStore, changes: Partial<ChangeStore>): RoomStore {
  const { changes: real } = store;
  return changed(store, {
    changes: {
      mark: (seqId) => real.mark(seqId),
      setMark: (seqId, mark) => real.setMark(seqId, mark),
      changedSince: (version, upTo, limit) => real.changedSince(version, upTo, limit),
      unblanked: () => real.unblanked(),
      repliesTo: (seqId, after, limit) => real.repliesTo(seqId, after, limit),
      edits: (seqId) => real.edits(seqId),
      addEdit: (seqId, logId, edit) => real.addEdit(seqId, logId, edit),
      reactions: (seqIds, userId) => real.reactions(seqIds, userId),
      setReaction: (seqId, emoji, userId, at) => real.setReaction(seqId, emoji, userId, at),
      forget: (seqId) => real.forget(seqId),
      ...changes,
    },
  });
}
