/**
 * One conversation: the object that gives out its sequence numbers. An adapter around `RoomCore`:
 * calls come in, the core decides and commits, its effects are carried out. Alarms are set in the
 * same commit; everything else waits for one timer, so that acknowledgements leave first.
 */
import { DurableObject } from "cloudflare:workers";
import { busOf } from "../bus/index.ts";
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
import { openOrClose } from "../domain/directDoor.ts";
import type { MemberState, StoredMessage } from "../domain/records.ts";
import { RoomCore } from "../domain/room.ts";
import { addMembers, createConversation, markRead, removeMember } from "../domain/roomChanges.ts";
import { typing } from "../domain/typing.ts";
import { continueRecalls, editMessage, react, recallMessage } from "../domain/messageChanges.ts";
import * as messageViews from "../domain/messageViews.ts";
import type { OlderMessages } from "../domain/sendRules.ts";
import { requireMember } from "../domain/membership.ts";
import { systemClock } from "../platform/clock.ts";
import { contentFilterOf } from "../platform/contentFilter.ts";
import type { RoomRpc } from "../platform/rpc.ts";
import { settingsOf } from "../platform/settings.ts";
import type { Result } from "../protocol/errors.ts";
import { ok } from "../protocol/errors.ts";
import type { Content } from "../protocol/things.ts";
import { repositories } from "../repo/index.ts";
import { noteOutbox, outboxNoted } from "../telemetry/metrics.ts";
import { DirectDoor } from "./DirectDoor.ts";
import { HotPurge } from "./HotPurge.ts";
import { RoomEffects } from "./RoomEffects.ts";
import { RoomSqlStore } from "./RoomSqlStore.ts";

export class ConversationRoom extends DurableObject<Env> implements RoomRpc {
  readonly #core: RoomCore;
  readonly #door: DirectDoor;
  readonly #hot: HotPurge;
  readonly #effects: RoomEffects;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    const { limits } = settingsOf(env);
    const cache = cacheOf(env);
    this.#core = new RoomCore(
      ctx.id.name ?? "",
      new RoomSqlStore(ctx.storage),
      Math.random,
      systemClock.now(),
      {
        directDelivery: limits.directFanout,
        dedupeWindowMs: limits.dedupeMs,
        hotMessages: limits.hotMessages,
        editWindowMs: limits.editMs,
        recallWindowMs: limits.recallMs,
        bigRoomChanges: limits.worldSends,
      },
      contentFilterOf(env),
    );
    this.#hot = new HotPurge(cache, this.#core.conversationId);
    const { storage } = ctx;
    this.#effects = new RoomEffects({ core: this.#core, env, storage, bus: busOf(env), cache, hot: this.#hot });
    this.#door = new DirectDoor({
      conversationId: this.#core.conversationId,
      areFriends: (a, b) => repositories(env).friends.areFriends(a, b),
      apply: (friends) => this.#effects.answer((now) => openOrClose(this.#core, friends, now)),
    });
    this.#effects.apply();
  }

  // ---- RPC: messages

  async append(sends: SendCommand[]): Promise<Result<StoredMessage>[]> {
    const targets = messageViews.olderTargets(this.#core, sends);
    // Waits only where somebody answers what has left the log: a sender's flights come one after the other all the same.
    const older = targets.length === 0 ? undefined : await this.#older(targets);
    return this.#call((now) => this.#core.append(sends, now, older));
  }

  async #older(seqIds: number[]): Promise<OlderMessages> {
    try {
      const found = await repositories(this.env).messages.at(this.#core.conversationId, seqIds);
      return new Map(found.map((message) => [message.seqId, message]));
    } catch (error) {
      this.#effects.lost("reading answered messages", error);
      return "unavailable";
    }
  }

  history(actor: Actor, page: { before?: number; after?: number; limit: number }): Promise<Result<HistoryPage>> {
    return this.#call(() => this.#core.history(actor, page));
  }

  readLog(after: number, limit: number): Promise<HistoryPage> {
    return this.#call(() => this.#core.readLog(after, limit));
  }

  editMessage(actor: Actor, messageId: string, content: Content, older?: StoredMessage) {
    return this.#change((now) => editMessage(this.#core, actor, messageId, content, now, older));
  }

  recallMessage(actor: Actor, messageId: string, older?: StoredMessage) {
    return this.#change((now) => recallMessage(this.#core, actor, messageId, now, older));
  }

  react(actor: Actor, messageId: string, emoji: string, wanted: boolean, older?: StoredMessage) {
    return this.#change((now) => react(this.#core, actor, messageId, emoji, wanted, now, older));
  }

  edits(actor: Actor, messageId: string, older?: StoredMessage) {
    return this.#call(() => messageViews.editsOf(this.#core, actor, messageId, older));
  }

  readers(actor: Actor, messageId: string, older?: StoredMessage) {
    return this.#call(() => messageViews.readersOf(this.#core, actor, messageId, older));
  }

  reactions(actor: Actor, seqIds: number[]) {
    return this.#call(() => messageViews.reactionsOf(this.#core, actor, seqIds));
  }

  changedSince(actor: Actor, version: number, upTo: number, limit: number) {
    return this.#call(() => messageViews.changedSince(this.#core, actor, version, upTo, limit));
  }

  senders(from: number, to: number, limit: number): Promise<{ userIds: string[]; firstSeqId: number }> {
    const { firstSeqId } = this.#core.counters;
    return this.#call(() => ({ userIds: messageViews.sendersBetween(this.#core, from, to, limit), firstSeqId }));
  }

  /** A change of a message: its old form is out of the cache before anybody is answered. */
  async #change<T>(step: (now: number) => Result<RoomChange<T>>): Promise<Result<RoomChange<T>>> {
    const change = await this.#call(step);
    if (change.ok) {
      await this.#hot.purge(change.value.records);
    }
    return change;
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
    return this.#call(() => inspect(this.#core));
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

  changeMember(actor: Actor, userId: string, change: MemberChange, ofAdmin?: boolean) {
    return this.#call((now) => changeMember(this.#core, actor, userId, change, now, ofAdmin));
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

  current(among: string[], firstMembers: number) {
    return this.#call(() => views.current(this.#core, among, firstMembers));
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
    return this.#call((now) => typing(this.#core, actor, now));
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
      continueRecalls(this.#core, now);
      this.#noteOutbox(now);
    });
  }

  #call<T>(step: (now: number) => T): Promise<T> {
    return Promise.resolve(this.#effects.run(step));
  }
}
