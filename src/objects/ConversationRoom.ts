/**
 * One conversation: the object that gives out its sequence numbers. An adapter around `RoomCore`:
 * calls come in, the core decides and commits, its effects are carried out. Alarms are set in the
 * same commit; everything else waits for one timer, so that acknowledgements leave first.
 */
import { DurableObject } from "cloudflare:workers";
import type { Bus } from "../bus/types.ts";
import { busOf } from "../bus/index.ts";
import { CACHE_KEYS, type Cache, type CacheCommand } from "../cache/types.ts";
import { cacheOf } from "../cache/index.ts";
import type {
  Actor,
  AddedMembers,
  ConversationChange,
  CreateRoom,
  HistoryPage,
  JoinDecision,
  JoinWish,
  MemberChange,
  NewInvite,
  RoomChange,
  RoomView,
  SendCommand,
} from "../domain/commands.ts";
import { changeMember, dismiss, transfer, updateConversation } from "../domain/groupChanges.ts";
import * as views from "../domain/groupViews.ts";
import * as doors from "../domain/joinChanges.ts";
import { inspect, type Inspection } from "../domain/inspection.ts";
import { PRESENCE_TTL_MS } from "../domain/presence.ts";
import { openOrClose } from "../domain/directDoor.ts";
import type { MemberState, StoredMessage } from "../domain/records.ts";
import { RoomCore, type RoomEffect } from "../domain/room.ts";
import { addMembers, createConversation, markRead, removeMember } from "../domain/roomChanges.ts";
import { requireMember } from "../domain/membership.ts";
import { systemClock } from "../platform/clock.ts";
import { contentFilterOf } from "../platform/contentFilter.ts";
import { messagesFrame } from "../platform/frameText.ts";
import type { RoomRpc } from "../platform/rpc.ts";
import { settingsOf } from "../platform/settings.ts";
import { sessionOf } from "../platform/stubs.ts";
import type { Result } from "../protocol/errors.ts";
import { ok } from "../protocol/errors.ts";
import type { TopicName } from "../protocol/events.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { noteDelivery, noteOutbox, outboxNoted } from "../telemetry/metrics.ts";
import { reportSoon } from "../telemetry/report.ts";
import { DirectDoor } from "./DirectDoor.ts";
import { RoomSqlStore } from "./RoomSqlStore.ts";

/** What waits until after the commit. */
type Later = Exclude<RoomEffect, { kind: "alarm" }>;

export class ConversationRoom extends DurableObject<Env> implements RoomRpc {
  readonly #core: RoomCore;
  readonly #store: RoomSqlStore;
  readonly #bus: Bus;
  readonly #cache: Cache;
  readonly #door: DirectDoor;
  /** Effects that wait for the timer, in order. */
  #waiting: Later[] = [];
  #timerArmed = false;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#bus = busOf(env);
    const { limits } = settingsOf(env);
    this.#cache = cacheOf(env);
    this.#store = new RoomSqlStore(ctx.storage);
    this.#core = new RoomCore(
      ctx.id.name ?? "",
      this.#store,
      Math.random,
      systemClock.now(),
      {
        directDelivery: limits.directFanout,
        dedupeWindowMs: limits.dedupeMs,
        hotMessages: limits.hotMessages,
      },
      contentFilterOf(env),
    );
    this.#door = new DirectDoor({
      conversationId: this.#core.conversationId,
      areFriends: (a, b) => repositories(env).friends.areFriends(a, b),
      apply: (friends) => this.#answer((now) => openOrClose(this.#core, friends, now)),
    });
    this.#apply();
  }

  // ---- RPC: messages

  append(sends: SendCommand[]): Promise<Result<StoredMessage>[]> {
    return this.#call((now) => this.#core.append(sends, now));
  }

  history(actor: Actor, page: { before?: number; after?: number; limit: number }): Promise<Result<HistoryPage>> {
    return this.#call(() => this.#core.history(actor, page));
  }

  readLog(after: number, limit: number): Promise<HistoryPage> {
    return this.#call(() => this.#core.readLog(after, limit));
  }

  // ---- RPC: the conversation and its members

  create(command: CreateRoom): Promise<Result<RoomChange<RoomView>>> {
    return this.#call((now) => createConversation(this.#core, command, now));
  }

  view(actor: Actor): Promise<Result<RoomView>> {
    return this.#call(() => this.#core.view(actor));
  }

  members(
    actor: Actor,
    page: { cursor?: string; limit: number },
  ): Promise<Result<{ items: MemberState[]; nextCursor: string | null }>> {
    return this.#call(() => {
      const found = requireMember(this.#core.state, this.#core.member(actor.userId), actor);
      if (!found.ok) {
        return found;
      }
      // One too many tells whether there is another page.
      const rows = this.#core.members(page.cursor ?? "", page.limit + 1);
      const items = rows.slice(0, page.limit);
      return ok({ items, nextCursor: rows.length > page.limit ? (items.at(-1)?.userId ?? null) : null });
    });
  }

  inspect(): Promise<Inspection | undefined> {
    return this.#call(() => inspect(this.#core, this.#store));
  }

  memberIds(after: string, limit: number): Promise<string[]> {
    return this.#call(() => this.#core.members(after, limit).map((member) => member.userId));
  }

  addMembers(actor: Actor, userIds: string[]): Promise<Result<RoomChange<AddedMembers>>> {
    return this.#call((now) => addMembers(this.#core, actor, userIds, now));
  }

  removeMember(actor: Actor, userId: string): Promise<Result<RoomChange<{ dismissed: boolean }>>> {
    return this.#call((now) => removeMember(this.#core, actor, userId, now));
  }

  // ---- RPC: the group

  update(actor: Actor, change: ConversationChange) {
    return this.#call((now) => updateConversation(this.#core, actor, change, now));
  }

  dismiss(actor: Actor) {
    return this.#call((now) => dismiss(this.#core, actor, now));
  }

  changeMember(actor: Actor, userId: string, change: MemberChange) {
    return this.#call((now) => changeMember(this.#core, actor, userId, change, now));
  }

  transfer(actor: Actor, userId: string) {
    return this.#call((now) => transfer(this.#core, actor, userId, now));
  }

  createInvite(actor: Actor, wish: NewInvite) {
    return this.#call((now) => doors.createInvite(this.#core, actor, wish, now));
  }

  revokeInvite(actor: Actor, code: string) {
    return this.#call((now) => doors.revokeInvite(this.#core, actor, code, now));
  }

  invites(actor: Actor, page: { after?: { createdAt: number; code: string }; limit: number }) {
    return this.#call((now) => doors.listInvites(this.#core, actor, page, now));
  }

  join(actor: Actor, wish: JoinWish) {
    return this.#call((now) => doors.join(this.#core, actor, wish, now));
  }

  joinRequest(actor: Actor, requestId: string) {
    return this.#call(() => doors.joinRequest(this.#core, actor, requestId));
  }

  joinRequests(actor: Actor, page: { after: string; limit: number }) {
    return this.#call(() => doors.listJoinRequests(this.#core, actor, page));
  }

  decideJoin(actor: Actor, decision: JoinDecision) {
    return this.#call((now) => doors.decideJoin(this.#core, actor, decision, now));
  }

  current() {
    return this.#call(() => views.current(this.#core));
  }

  membersAmong(userIds: string[]) {
    return this.#call(() => views.membersAmong(this.#core, userIds));
  }

  pendingJoin(requestId: string, after: string, limit: number) {
    return this.#call(() => views.pendingJoin(this.#core, requestId, after, limit));
  }

  markRead(
    actor: Actor,
    seqId: number,
    writesThrough: boolean,
  ): Promise<Result<RoomChange<{ readSeqId: number; unreadCount: number }>>> {
    return this.#call((now) => markRead(this.#core, actor, seqId, writesThrough, now));
  }

  typing(actor: Actor): Promise<Result<void>> {
    return this.#call(() => this.#core.typing(actor));
  }

  friendshipChanged(): Promise<void> {
    return this.#door.look();
  }

  // ---- RPC: from the consumers

  settled(outboxIds: number[]): Promise<void> {
    return this.#call((now) => this.#core.settled(outboxIds, now));
  }

  persisted(fromSeqId: number, toSeqId: number, outboxIds: number[]): Promise<void> {
    return this.#call((now) => {
      this.#core.persisted(fromSeqId, toSeqId, outboxIds, now);
      if (outboxNoted(this.#core.conversationId)) {
        this.#noteOutbox(now);
      }
    });
  }

  persistFailed(fromSeqId: number, toSeqId: number): Promise<void> {
    return this.#call((now) => this.#core.persistFailed(fromSeqId, toSeqId, now));
  }

  fannedOut(toSeqId: number): Promise<void> {
    return this.#call((now) => this.#core.fannedOut(toSeqId, now));
  }

  /** Asked only once a confirmation is late: the send path knows nothing of it. */
  #noteOutbox(now: number): void {
    const { conversationId, headSeqId, counters } = this.#core;
    const [oldest] = this.#core.readLog(counters.persistedSeqId, 1).messages;
    noteOutbox(conversationId, headSeqId - counters.persistedSeqId, now - (oldest?.createdAt ?? now), now);
  }

  override alarm(): Promise<void> {
    return this.#call((now) => {
      this.#core.onAlarm(now);
      this.#noteOutbox(now);
    });
  }

  // ---- effects

  /** One step of the core; its answer waits for the commit by the platform's output gate. */
  #call<T>(step: (now: number) => T): Promise<T> {
    const now = systemClock.now();
    reportSoon(this.env, now);
    const answer = step(now);
    this.#apply();
    return Promise.resolve(answer);
  }

  /** Alarms at once, in the commit of the step; the rest by one timer, after the answer has left. */
  #apply(): void {
    for (const effect of this.#core.takeEffects()) {
      if (effect.kind === "alarm") {
        void this.ctx.storage.setAlarm(effect.at);
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
  #answer(step: (now: number) => void): void {
    step(systemClock.now());
    for (const effect of this.#core.takeEffects()) {
      if (effect.kind === "alarm") {
        void this.ctx.storage.setAlarm(effect.at);
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
        return void sessionOf(this.env, effect.userId)
          .deliver(effect.frames.map((frame) => JSON.stringify(frame)))
          .catch((error: unknown) => this.#lost("push", error));
      case "cache":
        return void this.#updateCache(effect);
      case "persist": {
        const { batch } = effect;
        return void this.#bus
          .publish("gochat.messages.persist", [{ key: batch.conversationId, body: batch }])
          .catch((error: unknown) => {
            this.#lost("persist batch", error);
            this.#answer((now) => this.#core.persistRefused(now));
          });
      }
      case "publish":
        return void this.#publish(effect.rows);
      case "fanout":
        return void this.#bus
          .publish("gochat.tasks.fanout", [{ key: effect.task.conversationId, body: effect.task }])
          .catch((error: unknown) => {
            this.#lost("fan-out task", error);
            this.#answer((now) => this.#core.fanoutRefused(now));
          });
      case "timer":
        setTimeout(() => this.#answer((now) => this.#core.onTimer(effect.name, now)), effect.inMs);
    }
  }

  #deliver(effect: Extract<RoomEffect, { kind: "deliver" }>): void {
    const { from, to } = effect;
    // Serialised once for all receivers of the batch.
    const frames = [messagesFrame(effect.messages)];
    const range = { conversationId: this.#core.conversationId, from, to };
    const count = effect.messages.length;
    const committedAt = effect.messages[0]?.createdAt ?? 0;
    for (const userId of effect.userIds) {
      sessionOf(this.env, userId)
        .deliver(frames, range)
        .then(
          (sockets) =>
            this.#answer((now) => {
              this.#core.delivered(userId, { from, to }, sockets, now);
              noteDelivery(sockets, count, now - committedAt);
            }),
          (error: unknown) => {
            this.#lost("delivery", error);
            this.#answer((now) => this.#core.delivered(userId, { from, to }, "failed", now));
          },
        );
    }
  }

  /** Head, hot messages and the presence of whom the rounds do not know, in one pipeline. */
  async #updateCache(effect: Extract<RoomEffect, { kind: "cache" }>): Promise<void> {
    const id = this.#core.conversationId;
    // A slow pipeline of an earlier life of this room may land after one of this life.
    const commands: CacheCommand[] = [["SETMAX", CACHE_KEYS.headSeqId(id), String(effect.headSeqId)]];
    if (effect.messages.length > 0) {
      commands.push([
        "ZADD",
        CACHE_KEYS.hotMessages(id),
        settingsOf(this.env).limits.hotMessages,
        ...effect.messages.flatMap((message) => [message.seqId, JSON.stringify(message)]),
      ]);
    }
    const asked = effect.presenceOf;
    if (asked.length > 0) {
      commands.push(["SETNX", CACHE_KEYS.presenceSince, String(systemClock.now())]);
      commands.push(["GET", CACHE_KEYS.presenceSince]);
      commands.push(["MGET", ...asked.map(CACHE_KEYS.online)]);
    }
    try {
      const replies = await this.#cache.pipeline(commands);
      const presence = replies.at(-1);
      const online =
        asked.length > 0 && Array.isArray(presence) ? asked.filter((_userId, index) => presence[index] !== null) : [];
      const sinceMs = asked.length > 0 ? Number(replies.at(-2)) : 0;
      this.#answer((now) => this.#core.cached({ online, complete: now - sinceMs >= PRESENCE_TTL_MS }, now));
    } catch (error) {
      this.#lost("cache pipeline", error);
      this.#answer((now) => this.#core.cached("failed", now));
    }
  }

  async #publish(rows: { topic: TopicName; body: string }[]): Promise<void> {
    const byTopic = new Map<TopicName, { key: string; body: unknown }[]>();
    for (const row of rows) {
      const records = byTopic.get(row.topic) ?? [];
      records.push({ key: this.#core.conversationId, body: JSON.parse(row.body) });
      byTopic.set(row.topic, records);
    }
    for (const [topic, records] of byTopic) {
      try {
        await this.#bus.publish(topic, records);
      } catch (error) {
        // The rows stay in the outbox; the alarm publishes them again.
        this.#lost("events", error);
      }
    }
  }

  #lost(what: string, error: unknown): void {
    log("warn", `${what} failed, will be repeated or repaired`, {
      conversationId: this.#core.conversationId,
      error: describeError(error),
    });
  }
}
