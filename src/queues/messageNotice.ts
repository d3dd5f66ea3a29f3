/**
 * A changed message on its way to whoever may have it: out of the cache first, then to the shards of the world room, or to the
 * online members. The outbox row stays until that is done, so neither a crash nor an outage leaves a recalled text standing.
 */
import { CACHE_KEYS, type CacheCommand } from "../cache/types.ts";
import { cacheOf } from "../cache/index.ts";
import { needsMessage, staleSeqIds, tellingOf, versionToTell } from "../domain/changeNotices.ts";
import { WORLD, type FanoutTask, type MessageNotice } from "../domain/records.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import type { TellNotice } from "../platform/rpc.ts";
import { describeError, log } from "../telemetry/log.ts";
import { forOnlineMembers } from "./online.ts";
import { shardsOf } from "./shards.ts";

/** Goes on after the batch has been answered. */
type Later = (work: Promise<void>) => void;

/**
 * @param isLastTry the queue gives the task up after this
 * @throws Error when a member was not reached and the queue tries again: a recalled text must not stay before somebody's eyes
 *   because one call failed. The others are told again, which changes nothing for them
 */
export async function tellChange(
  task: FanoutTask,
  notice: MessageNotice,
  env: Env,
  later: Later,
  isLastTry: boolean,
): Promise<void> {
  const { conversationId } = task;
  const isCached = await intoCache(conversationId, notice, env);
  const told = await tellingNow(conversationId, notice, env);
  if (told === undefined) {
    await settle(task, isCached, env);
    return;
  }
  if (task.type === WORLD) {
    // A shard gathers for a while; not waited for, or every other room's tasks would wait as well.
    later(toShards(task, told, isCached, env));
    return;
  }
  let unreached = 0;
  await forOnlineMembers(env, conversationId, async (userId) => {
    unreached += (await toMember(conversationId, env, userId, told.frame)) ? 0 : 1;
  });
  if (unreached > 0) {
    if (isLastTry) {
      // The row stays: the room's alarm brings the task again, until they are reached or their presence has ended.
      return;
    }
    throw new Error(`${unreached} members were not told of a change`);
  }
  await settle(task, isCached, env);
}

/**
 * Before anybody's presence is read: whoever is not online now and connects later finds the version here, as they find the head
 * of new messages. Answers whether the cache took it.
 */
async function intoCache(conversationId: string, notice: MessageNotice, env: Env): Promise<boolean> {
  const version = versionToTell(notice);
  const key = CACHE_KEYS.hotMessages(conversationId);
  try {
    await cacheOf(env).pipeline([
      ...staleSeqIds(notice).map((seqId): CacheCommand => ["ZREMRANGEBYSCORE", key, seqId, seqId]),
      ...(version === undefined
        ? []
        : [["SETMAX", CACHE_KEYS.version(conversationId), String(version)] as CacheCommand]),
    ]);
    return true;
  } catch (error) {
    // Readers are told all the same: a cache error is never theirs (DESIGN section 4).
    log("warn", "a changed message is still in the cache", { conversationId, error: describeError(error) });
    return false;
  }
}

/** What readers are told, made of the message as it is now; undefined when a later change says more. */
async function tellingNow(conversationId: string, notice: MessageNotice, env: Env): Promise<TellNotice | undefined> {
  const { messageId, seqId } = notice;
  const page = needsMessage(notice) ? await roomOf(env, conversationId).readLog(seqId - 1, 1) : { messages: [] };
  const message = page.messages.find((one) => one.messageId === messageId);
  const telling = tellingOf(conversationId, notice, message);
  return telling === undefined ? undefined : { ...telling, frame: JSON.stringify(telling.frame) };
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

async function toMember(conversationId: string, env: Env, userId: string, frame: string): Promise<boolean> {
  try {
    await sessionOf(env, userId).deliverBigRoom(conversationId, [frame]);
    return true;
  } catch (error) {
    log("warn", "a member was not told of a change", { userId, error: describeError(error) });
    return false;
  }
}

/** While the cache may still have the old form, the row stays: the room's alarm brings the task again. */
async function settle(task: FanoutTask, isCached: boolean, env: Env): Promise<void> {
  if (isCached) {
    await roomOf(env, task.conversationId).settled(task.outboxIds ?? []);
  }
}
