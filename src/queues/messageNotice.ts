/**
 * A changed message on its way to whoever may have it: out of the cache first, then to the shards of the world room, or to the
 * online members. The outbox row stays until that is done, so neither a crash nor an outage leaves a recalled text standing.
 */
import { CACHE_KEYS, type CacheCommand } from "../cache/types.ts";
import { cacheOf } from "../cache/index.ts";
import { messageFor, WORLD, type FanoutTask, type MessageNotice, type StoredMessage } from "../domain/records.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import type { TellNotice } from "../platform/rpc.ts";
import type { ServerFrame } from "../protocol/frames.ts";
import { describeError, log } from "../telemetry/log.ts";
import { forOnlineMembers } from "./online.ts";
import { shardsOf } from "./shards.ts";

/** Goes on after the batch has been answered. */
type Later = (work: Promise<void>) => void;

export async function tellChange(task: FanoutTask, notice: MessageNotice, env: Env, later: Later): Promise<void> {
  const { conversationId } = task;
  const isCached = await intoCache(conversationId, notice, env);
  const told = await tellingOf(conversationId, notice, env);
  if (told === undefined) {
    await settle(task, isCached, env);
    return;
  }
  if (task.type === WORLD) {
    // A shard gathers for a while; not waited for, or every other room's tasks would wait as well.
    later(toShards(task, told, isCached, env));
    return;
  }
  await forOnlineMembers(env, conversationId, (userId) => toMember(conversationId, env, userId, told.frame));
  await settle(task, isCached, env);
}

/**
 * Before anybody's presence is read: whoever is not online now and connects later finds the version here, as they find the head
 * of new messages. Answers whether the cache took it.
 */
async function intoCache(conversationId: string, notice: MessageNotice, env: Env): Promise<boolean> {
  const { version } = notice;
  const key = CACHE_KEYS.hotMessages(conversationId);
  const stale = [notice.seqId, ...(notice.kind === "recalled" ? (notice.answers ?? []) : [])];
  try {
    await cacheOf(env).pipeline([
      ...stale.map((seqId): CacheCommand => ["ZREMRANGEBYSCORE", key, seqId, seqId]),
      ["SETMAX", CACHE_KEYS.version(conversationId), String(version)],
    ]);
    return true;
  } catch (error) {
    // Readers are told all the same: a cache error is never theirs (DESIGN section 4).
    log("warn", "a changed message is still in the cache", { conversationId, error: describeError(error) });
    return false;
  }
}

/** The frame, made of the message as it is now; undefined when a later change says more. */
async function tellingOf(conversationId: string, notice: MessageNotice, env: Env): Promise<TellNotice | undefined> {
  const { messageId, seqId, version } = notice;
  switch (notice.kind) {
    case "edited": {
      const { messages } = await roomOf(env, conversationId).readLog(seqId - 1, 1);
      const message = messages.find((one) => one.messageId === messageId);
      return message === undefined || message.recalledAt !== undefined
        ? undefined
        : telling(`message ${seqId}`, seqId, updated(message, version), message);
    }
    case "recalled": {
      const { operatorId, recalledAt } = notice;
      const data = { conversationId, messageId, seqId, operatorId, recalledAt, version };
      return telling(`message ${seqId}`, seqId, { type: "message-recalled", data }, null);
    }
    case "reaction": {
      const { emoji, userId, added, count } = notice;
      const data = { conversationId, messageId, seqId, emoji, userId, added, count, version };
      return telling(`reaction ${seqId} ${emoji}`, seqId, { type: "message-reaction", data });
    }
  }
}

/** Without reactions, which differ by reader: who gets it keeps those they know. */
function updated(message: StoredMessage, version: number): ServerFrame {
  return { type: "message-updated", data: { message: messageFor(message, ""), version } };
}

function telling(key: string, seqId: number, frame: ServerFrame, message?: StoredMessage | null): TellNotice {
  return { key, seqId, frame: JSON.stringify(frame), ...(message === undefined ? {} : { message }) };
}

async function toShards(task: FanoutTask, told: TellNotice, isCached: boolean, env: Env): Promise<void> {
  try {
    await Promise.all(shardsOf(task.conversationId, env).map((shard) => shard.tell(told)));
    await settle(task, isCached, env);
  } catch (error) {
    log("warn", "a change was not told to every shard, the room's alarm repeats it", {
      conversationId: task.conversationId,
      error: describeError(error),
    });
  }
}

async function toMember(conversationId: string, env: Env, userId: string, frame: string): Promise<void> {
  try {
    await sessionOf(env, userId).deliverBigRoom(conversationId, [frame]);
  } catch (error) {
    // Their client learns it from the next sync.
    log("warn", "a member was not told of a change", { userId, error: describeError(error) });
  }
}

/** While the cache may still have the old form, the row stays: the room's alarm brings the task again. */
async function settle(task: FanoutTask, isCached: boolean, env: Env): Promise<void> {
  if (isCached) {
    await roomOf(env, task.conversationId).settled(task.outboxIds ?? []);
  }
}
