/**
 * Carries out what a room's core wants done. Alarms are set in the commit of the step; everything else waits for one timer, so
 * that acknowledgements leave first.
 */
import type { Bus } from "../bus/types.ts";
import { CACHE_KEYS, type Cache, type CacheCommand } from "../cache/types.ts";
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import type { RoomCore, RoomEffect } from "../domain/room.ts";
import { systemClock } from "../platform/clock.ts";
import { messagesFrame } from "../platform/frameText.ts";
import { settingsOf } from "../platform/settings.ts";
import { sessionOf } from "../platform/stubs.ts";
import type { TopicName } from "../protocol/events.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteDelivery } from "../telemetry/metrics.ts";
import { reportSoon } from "../telemetry/report.ts";
import type { HotPurge } from "./HotPurge.ts";

/** What waits until after the commit. */
type Later = Exclude<RoomEffect, { kind: "alarm" }>;

type Parts = {
  core: RoomCore;
  env: Env;
  storage: DurableObjectStorage;
  bus: Bus;
  cache: Cache;
  hot: HotPurge;
};

export class RoomEffects {
  readonly #parts: Parts;
  /** Effects that wait for the timer, in order. */
  #waiting: Later[] = [];
  #timerArmed = false;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** One step of the core; its answer waits for the commit by the platform's output gate. */
  run<T>(step: (now: number) => T): T {
    const now = systemClock.now();
    reportSoon(this.#parts.env, now);
    const answer = step(now);
    this.apply();
    return answer;
  }

  /** Alarms at once, in the commit of the step; the rest by one timer, after the answer has left. */
  apply(): void {
    for (const effect of this.#parts.core.takeEffects()) {
      if (effect.kind === "alarm") {
        void this.#parts.storage.setAlarm(effect.at);
      } else {
        this.#waiting.push(effect);
      }
    }
    if (this.#waiting.length > 0 && !this.#timerArmed) {
      this.#timerArmed = true;
      setTimeout(() => this.#drain(), 0);
    }
  }

  #drain(): void {
    this.#timerArmed = false;
    while (this.#waiting.length > 0) {
      for (const effect of this.#waiting.splice(0)) {
        this.#carryOut(effect);
      }
    }
  }

  /** The answer to an effect: what it leads to needs no timer, no acknowledgement waits behind it. */
  answer(step: (now: number) => void): void {
    step(systemClock.now());
    for (const effect of this.#parts.core.takeEffects()) {
      if (effect.kind === "alarm") {
        void this.#parts.storage.setAlarm(effect.at);
      } else if (this.#timerArmed) {
        this.#waiting.push(effect);
      } else {
        this.#carryOut(effect);
      }
    }
  }

  #carryOut(effect: Later): void {
    switch (effect.kind) {
      case "deliver":
        return this.#deliver(effect);
      case "push":
        return void sessionOf(this.#parts.env, effect.userId)
          .deliver(effect.frames.map((frame) => JSON.stringify(frame)))
          .catch((error: unknown) => this.lost("push", error));
      case "cache":
        return this.#parts.hot.left(this.#updateCache(effect));
      case "persist": {
        const { batch } = effect;
        return void this.#parts.bus
          .publish("gochat.messages.persist", [{ key: batch.conversationId, body: batch }])
          .catch((error: unknown) => {
            this.lost("persist batch", error);
            this.answer((now) => this.#parts.core.persistRefused(now));
          });
      }
      case "publish":
        return void this.#publish(effect.rows);
      case "fanout":
        return void this.#parts.bus
          .publish("gochat.tasks.fanout", [{ key: effect.task.conversationId, body: effect.task }])
          .catch((error: unknown) => {
            this.lost("fan-out task", error);
            this.answer((now) => this.#parts.core.fanoutRefused(now));
          });
      case "timer":
        setTimeout(() => this.answer((now) => this.#parts.core.onTimer(effect.name, now)), effect.inMs);
    }
  }

  #deliver(effect: Extract<RoomEffect, { kind: "deliver" }>): void {
    const { from, to } = effect;
    // Serialised once for all receivers of the batch.
    const frames = [messagesFrame(this.#parts.core.room.asNow(effect.messages))];
    const range = { conversationId: this.#parts.core.conversationId, from, to };
    const count = effect.messages.length;
    const committedAt = effect.messages[0]?.createdAt ?? 0;
    for (const userId of effect.userIds) {
      sessionOf(this.#parts.env, userId)
        .deliver(frames, range)
        .then(
          (sockets) =>
            this.answer((now) => {
              this.#parts.core.delivered(userId, { from, to }, sockets, now);
              noteDelivery(sockets, count, now - committedAt);
            }),
          (error: unknown) => {
            this.lost("delivery", error);
            this.answer((now) => this.#parts.core.delivered(userId, { from, to }, "failed", now));
          },
        );
    }
  }

  /** Head, hot messages and the presence of whom the rounds do not know, in one pipeline. */
  async #updateCache(effect: Extract<RoomEffect, { kind: "cache" }>): Promise<void> {
    const id = this.#parts.core.conversationId;
    // A slow pipeline of an earlier life of this room may land after one of this life.
    const commands: CacheCommand[] = [["SETMAX", CACHE_KEYS.headSeqId(id), String(effect.headSeqId)]];
    if (effect.version !== undefined) {
      const key = CACHE_KEYS.hotMessages(id);
      const gone = (effect.stale ?? []).map((seqId): CacheCommand => ["ZREMRANGEBYSCORE", key, seqId, seqId]);
      commands.push(["SETMAX", CACHE_KEYS.version(id), String(effect.version)], ...gone);
    }
    const messages = this.#parts.core.room.cacheable(effect.messages);
    if (messages.length > 0) {
      commands.push([
        "ZADD",
        CACHE_KEYS.hotMessages(id),
        settingsOf(this.#parts.env).limits.hotMessages,
        ...messages.flatMap((message) => [message.seqId, JSON.stringify(message)]),
      ]);
    }
    const asked = effect.presenceOf;
    if (asked.length > 0) {
      commands.push(["SETNX", CACHE_KEYS.presenceSince, String(systemClock.now())]);
      commands.push(["GET", CACHE_KEYS.presenceSince]);
      commands.push(["MGET", ...asked.map(CACHE_KEYS.online)]);
    }
    try {
      const replies = await this.#parts.cache.pipeline(commands);
      const presence = replies.at(-1);
      const online =
        asked.length > 0 && Array.isArray(presence) ? asked.filter((_userId, index) => presence[index] !== null) : [];
      const sinceMs = asked.length > 0 ? Number(replies.at(-2)) : 0;
      this.answer((now) => this.#parts.core.cached({ online, complete: now - sinceMs >= PRESENCE_TTL_MS }, now));
    } catch (error) {
      this.lost("cache pipeline", error);
      this.answer((now) => this.#parts.core.cached("failed", now));
    }
  }

  async #publish(rows: { topic: TopicName; body: string }[]): Promise<void> {
    const byTopic = new Map<TopicName, { key: string; body: unknown }[]>();
    for (const row of rows) {
      const records = byTopic.get(row.topic) ?? [];
      records.push({ key: this.#parts.core.conversationId, body: JSON.parse(row.body) });
      byTopic.set(row.topic, records);
    }
    for (const [topic, records] of byTopic) {
      try {
        await this.#parts.bus.publish(topic, records);
      } catch (error) {
        // The rows stay in the outbox; the alarm publishes them again.
        this.lost("events", error);
      }
    }
  }

  lost(what: string, error: unknown): void {
    log("warn", `${what} failed, will be repeated or repaired`, {
      conversationId: this.#parts.core.conversationId,
      error: describeError(error),
    });
  }
}
