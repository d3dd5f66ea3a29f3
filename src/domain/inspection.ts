/** What an admin sees of a conversation, member or not: as its room has it, a dismissed one too. */
import type { ConversationState, MemberState } from "./records.ts";
import type { RoomCore } from "./room.ts";

export type Inspection = {
  conversation: ConversationState;
  headSeqId: number;
  /** Up to here messages are in SQL. */
  persistedSeqId: number;
  /** The first of them, by user id. */
  members: MemberState[];
  /** Changes and events that nobody has confirmed yet; counted up to a limit. */
  outbox: number;
};

/** Members shown, and outbox rows counted: enough to see what is wrong, bounded for a group of 100,000. */
export const INSPECTED_MEMBERS = 100;
export const INSPECTED_OUTBOX = 1_000;

/** CONVERSATION_NOT_FOUND is undefined here: nobody has ever made it. */
export function inspect(core: RoomCore): Inspection | undefined {
  const { state } = core;
  if (state === undefined) {
    return undefined;
  }
  return {
    conversation: state,
    headSeqId: core.headSeqId,
    persistedSeqId: core.counters.persistedSeqId,
    members: core.members("", INSPECTED_MEMBERS),
    outbox: core.outbox(INSPECTED_OUTBOX).length,
  };
}
