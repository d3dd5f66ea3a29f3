/**
 * `gochat.tasks.fanout`: the messages of one window of a big room, to its shards (the world) or to
 * its online members in batches (large groups). The room hears how far everybody has been served.
 */
import { inLastForm, isHeldUp } from "../domain/changeNotices.ts";
import { WORLD, type FanoutTask, type StoredMessage } from "../domain/records.ts";
import { systemClock } from "../platform/clock.ts";
import { messagesFrame } from "../platform/frameText.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteGivingUp } from "./letters.ts";
import { tellChange } from "./messageNotice.ts";
import { forOnlineMembers } from "./online.ts";
import { deadNext, retryDelayS } from "./retry.ts";
import { shardsOf } from "./shards.ts";

const TOPIC = "gochat.tasks.fanout";

/** Goes on after the batch has been answered. */
export type Later = (work: Promise<void>) => void;

export async function fanout(batch: MessageBatch<FanoutTask>, env: Env, later: Later): Promise<void> {
  const byRoom = new Map<string, Message<FanoutTask>[]>();
  for (const message of batch.messages) {
    const list = byRoom.get(message.body.conversationId) ?? [];
    list.push(message);
    byRoom.set(message.body.conversationId, list);
  }
  await Promise.all(
    [...byRoom.values()].map(async (messages) => {
      // In order within a room, as far as this batch knows them; shards heal the rest. News of messages after the messages.
      for (const message of messages.toSorted((a, b) => orderOf(a.body) - orderOf(b.body))) {
        await run(message, env, later);
      }
    }),
  );
}

function orderOf(task: FanoutTask): number {
  return task.notice === undefined ? task.fromSeqId : Number.MAX_SAFE_INTEGER;
}

async function run(message: Message<FanoutTask>, env: Env, later: Later): Promise<void> {
  const task = message.body;
  try {
    if (task.notice !== undefined) {
      await tellChange(task, task.notice, env, later, deadNext(TOPIC, message));
      message.ack();
      return;
    }
    const messages = await asNow(task, message.attempts, env);
    if (task.type === WORLD) {
      const { fromSeqId, toSeqId } = task;
      await Promise.all(
        shardsOf(task.conversationId, env).map((shard) => shard.push({ fromSeqId, toSeqId, messages })),
      );
      // Not waited for: one slow reader would hold up every other room's tasks.
      later(confirmServed(task, env));
    } else {
      const unreached = await toMembers(task, messages, env);
      if (unreached > 0 && !deadNext(TOPIC, message)) {
        // The others get it again with them, and drop it: what has to be repeated is not known outside of this call.
        throw new Error(`${unreached} members were not reached`);
      }
      // Whoever could not be reached by all retries sees the gap, or syncs; the others do not get it for ever because of them.
      await roomOf(env, task.conversationId).fannedOut(task.toSeqId);
    }
    message.ack();
  } catch (error) {
    log("warn", "fan-out failed, will be repeated", {
      conversationId: task.conversationId,
      attempts: message.attempts,
      error: describeError(error),
    });
    if (deadNext(TOPIC, message)) {
      await noteGivingUp(env, TOPIC, message, error);
    }
    message.retry({ delaySeconds: retryDelayS(message.attempts) });
  }
}

/** A task that was held up may carry what was edited or recalled since: then the messages are read from the log. */
async function asNow(task: FanoutTask, attempts: number, env: Env): Promise<StoredMessage[]> {
  const { conversationId, messages } = task;
  if (!isHeldUp(task, attempts, systemClock.now())) {
    return messages;
  }
  const page = await roomOf(env, conversationId).readLog(task.fromSeqId - 1, messages.length);
  return inLastForm(messages, page.messages);
}

/** A shard holds what it was pushed in memory until its readers have it: only then is the room told. */
async function confirmServed(task: FanoutTask, env: Env): Promise<void> {
  try {
    const served = await Promise.all(shardsOf(task.conversationId, env).map((shard) => shard.served(task.toSeqId)));
    if (served.every(Boolean)) {
      await roomOf(env, task.conversationId).fannedOut(task.toSeqId);
    }
  } catch (error) {
    log("warn", "fan-out not confirmed, the room's alarm repeats it", {
      conversationId: task.conversationId,
      error: describeError(error),
    });
  }
}

/** To the members who are online, page by page; answers how many of them could not be reached. */
async function toMembers(task: FanoutTask, messages: readonly StoredMessage[], env: Env): Promise<number> {
  // The same to all, senders too: their other devices may have been told an older head.
  const frames = [messagesFrame(messages, true)];
  let unreached = 0;
  await forOnlineMembers(env, task.conversationId, async (userId) => {
    unreached += (await toMember(task, env, userId, frames)) ? 0 : 1;
  });
  return unreached;
}

/** Sockets that have unsubscribed from this room are left out by the session. */
async function toMember(task: FanoutTask, env: Env, userId: string, frames: string[]): Promise<boolean> {
  try {
    await sessionOf(env, userId).deliverBigRoom(task.conversationId, frames, task.toSeqId);
    return true;
  } catch (error) {
    log("warn", "a member was not reached", { userId, error: describeError(error) });
    return false;
  }
}
