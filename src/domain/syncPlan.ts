/** What a client that comes back is told: which conversations, and from where on. Pure rules over what was read for it. */
import type { SyncRequest } from "../protocol/frames.ts";
import { WORLD, type ConversationType } from "./records.ts";

/** Messages after each known head. Source: WIRE, `sync`. */
export const SYNC_MESSAGES = 50;

/** What a client says of a conversation: messages up to `seqId`, changes of them up to `version`, all read up to `readSeqId`. */
export type KnownHead = { seqId: number; version: number; readSeqId: number };

const NOT_ASKED = Number.MAX_SAFE_INTEGER;

/** What the client knows of this conversation; without a version it does not ask for changes, without a pointer not for that. */
export function knownHead(request: SyncRequest, conversationId: string): KnownHead | undefined {
  const head = request.heads[conversationId];
  if (head === undefined) {
    return undefined;
  }
  const { seqId, version = NOT_ASKED, readSeqId = NOT_ASKED } = typeof head === "number" ? { seqId: head } : head;
  return { seqId, version, readSeqId };
}

/** Where a conversation stands, as far as SQL, cache and the session know. */
export type Standing = { headSeqId: number; version: number; readSeqId: number };

/** Whether the client has to be told anything of this conversation. */
export function isNews(known: KnownHead | undefined, standing: Standing): boolean {
  return (
    known === undefined ||
    standing.headSeqId > known.seqId ||
    standing.version > known.version ||
    standing.readSeqId > known.readSeqId
  );
}

/** Whether messages that the client knows have changed. */
export function hasChanges(known: KnownHead | undefined, standing: Standing): known is KnownHead {
  return known !== undefined && standing.version > known.version;
}

/** What the client has of a conversation; of the world, whose beginning is of no use to who never was there, all but the newest. */
export function startOf(known: KnownHead | undefined, type: ConversationType, headSeqId: number): number {
  return known?.seqId ?? (type === WORLD ? Math.max(0, headSeqId - SYNC_MESSAGES) : 0);
}

/** Whether the messages after `from` that an answer may hold are some, and end with the head. */
export function reaches(from: number, headSeqId: number): boolean {
  return from < headSeqId && headSeqId <= from + SYNC_MESSAGES;
}

/** The ranks of the first messages after `from` in a sorted set whose last member is the head: counted from its end. */
export function hotRanks(from: number, headSeqId: number): [first: number, last: number] {
  return [from - headSeqId, Math.min(-1, from - headSeqId + SYNC_MESSAGES - 1)];
}

/** The changed messages but for those that are in the answer as new ones. */
export function withoutThese<Row extends { seqId: number }>(changed: readonly Row[], there: readonly Row[]): Row[] {
  const seqIds = new Set(there.map((row) => row.seqId));
  return changed.filter((row) => !seqIds.has(row.seqId));
}

/**
 * Up to which version an answer holds the changes of its messages.
 * @param cachedVersion up to there the cache's newest messages are in their last form; 0 when it says nothing
 * @param fromCache whether the answer's messages are from there
 */
export function changesUpTo(standing: Standing, cachedVersion: number, fromCache: boolean): number {
  return fromCache ? Math.min(standing.version, cachedVersion) : standing.version;
}

/**
 * Whether the head that a room has told may go to the cache, so that not each reader asks the room. Where SQL lacks a change of the
 * conversation it may not, until the version is in one of the two: with a head in the cache nobody asks the room for that.
 * @param roomVersion the conversation's version as its room has it, `sqlVersion` as SQL does
 */
export function mayCacheHead(roomVersion: number, sqlVersion: number): boolean {
  return roomVersion <= sqlVersion;
}

/** Whether these rows are what follows `from`, without a hole: a cache may lack any of them. */
export function followsOn(rows: readonly { seqId: number }[], from: number): boolean {
  return rows.length > 0 && rows.every((row, n) => row.seqId === from + 1 + n);
}
