/**
 * Leaf of a big room: passive sockets of `/ws/rooms/{id}` and the sessions of users who have the
 * room open. Down: one frame a window, serialised once. Up: the sends of its users in batches.
 * An adapter around `ShardCore`.
 */
import { DurableObject } from "cloudflare:workers";
import { publishSends } from "../bus/upstream.ts";
import type { SendCommand } from "../domain/commands.ts";
import type { StoredMessage } from "../domain/records.ts";
import { ShardCore, SHARD_BACKLOG, type ShardEffect } from "../domain/shard.ts";
import { NOTES_WINDOW_MS, ShardNotes } from "../domain/shardNotes.ts";
import { SHARD_SEPARATOR } from "../domain/sharding.ts";
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import { messagesFrame } from "../platform/frameText.ts";
import { GroupCommit } from "../platform/groupCommit.ts";
import { ObjectSchema } from "../platform/objectSchema.ts";
import type { ShardRpc, TellNotice } from "../platform/rpc.ts";
import { settingsOf, type Limits } from "../platform/settings.ts";
import { answerClose, closeSocket, sendFrames } from "../platform/sockets.ts";
import { roomOf, sessionOf } from "../platform/stubs.ts";
import { errorFrame, ok, type ErrorName, type Result } from "../protocol/errors.ts";
import { parseClientFrame, type ServerFrame } from "../protocol/frames.ts";
import { describeError, log } from "../telemetry/log.ts";
import { deliveries, e2eDuration, noteDelivery, noteSockets } from "../telemetry/metrics.ts";
import { reportSoon } from "../telemetry/report.ts";
import { acceptSocket } from "./acceptSocket.ts";
import { BadFrames } from "./BadFrames.ts";
import { LISTENERS_TABLE, ShardListeners } from "./ShardListeners.ts";
import { ShardSends } from "./ShardSends.ts";

const MIGRATIONS = [`CREATE TABLE sessions (user_id TEXT PRIMARY KEY) WITHOUT ROWID;`, LISTENERS_TABLE];

/** Rows asked from the log at once when a hole is healed. */
const PULL_ROWS = 200;
/** Who waits longer for a handing-over is told that it did not come: the room sends the task again. */
const SERVED_LIMIT_MS = 10_000;

/** Sessions told at one time. */
const TELL_SLICE = 100;

type Owed = { toSeqId: number; settle: (served: boolean) => void };

export class FanoutShard extends DurableObject<Env> implements ShardRpc {
  readonly #core = new ShardCore();
  readonly #name: string;
  readonly #conversationId: string;
  /** To the room, and with UPSTREAM=topic onto the bus. */
  readonly #up: ShardSends<StoredMessage>;
  readonly #ontoBus: ShardSends<undefined>;
  readonly #limits: Limits;
  readonly #badFrames: BadFrames;
  readonly #listeners: ShardListeners;
  /** Comings and goings: thousands at once after a restart. */
  readonly #commit: GroupCommit;
  /** Highest sequence of a push to this life of the object. */
  #pushedSeqId = 0;
  #owed: Owed[] = [];
  /** Sockets that are open, as far as comings and goings tell; each frame counts again. */
  #open: number;
  readonly #notes = new ShardNotes();
  /** The frames of a window are leaving. */
  #isFlushing = false;
  /** Ends when the window that gathers now has been told. */
  #told: Promise<void> = Promise.resolve();
  /** While the room is asked where it stands: everybody who comes meanwhile waits for the one answer. */
  #beginning: Promise<void> | undefined;
  /** The last reading of the log; never rejects. */
  #pulling: Promise<void> | undefined;

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#limits = settingsOf(env).limits;
    this.#badFrames = new BadFrames(this.#limits.badFrames);
    this.#name = ctx.id.name ?? "";
    this.#conversationId = this.#name.split(SHARD_SEPARATOR)[0] ?? "";
    this.#up = new ShardSends(this.#conversationId, (flight) => roomOf(env, this.#conversationId).append(flight));
    this.#ontoBus = new ShardSends(this.#conversationId, async (flight) => {
      await publishSends(env, this.#conversationId, flight);
      return flight.map(() => ok(undefined));
    });
    this.#open = ctx.getWebSockets().length;
    new ObjectSchema(ctx.storage, MIGRATIONS).ensure();
    this.#listeners = new ShardListeners(ctx.storage.sql, env);
    this.#commit = new GroupCommit(ctx.storage);
    for (const row of ctx.storage.sql.exec<{ user_id: string }>("SELECT user_id FROM sessions")) {
      this.#core.join(row.user_id);
    }
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('{"type":"ping"}', '{"type":"pong"}'));
  }

  // ---- readers

  /** A passive socket. The gateway has checked the token and the membership. */
  override async fetch(request: Request): Promise<Response> {
    const since = new URL(request.url).searchParams.get("since");
    const after = since === null ? undefined : Number(since);
    const { messages, headSeqId, fromSeqId } = await this.#backlog(after);
    const tag = deviceTag(request.headers.get("x-gochat-user") ?? "", request.headers.get("x-gochat-device") ?? "");
    const { response, socket } = acceptSocket(this.ctx, request, [tag], { version: 1 });
    this.#noteSockets(this.#open + 1);
    const data = { conversationId: this.#conversationId, headSeqId, fromSeqId };
    const frames = [JSON.stringify({ type: "room", data })];
    if (messages.length > 0) {
      frames.push(messagesFrame(messages, true));
    }
    sendFrames([socket], frames);
    return response;
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    // Read-only: every frame but the ping is refused. The runtime answers that of the exact bytes, here comes one with an id.
    const parsed = parseClientFrame(message, this.#limits.frameBytes);
    if (parsed.ok && parsed.value.type === "ping") {
      sendFrames([socket], [JSON.stringify({ type: "pong", ref: parsed.value.id } satisfies ServerFrame)]);
      return;
    }
    const [fault, ref] = parsed.ok ? [{ name: "INVALID_INPUT" as const }, parsed.value.id] : [parsed.fault, parsed.ref];
    sendFrames([socket], [JSON.stringify(errorFrame(fault, newId(systemClock.now()), ref))]);
    this.#badFrames.count(socket);
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    answerClose(socket, code);
    this.#noteSockets(this.#open - 1);
  }

  override webSocketError(): void {
    this.#noteSockets(this.#open - 1);
  }

  async register(userId: string): Promise<number> {
    // Before the session may read its heads: what is sent from now on comes through here.
    await this.#begin();
    this.#core.join(userId);
    // What is sent while the row is written comes through here already.
    const { sentSeqId } = this.#core;
    this.#listeners.set(userId, false);
    await this.#commit.add(() => this.#sql("INSERT OR IGNORE INTO sessions (user_id) VALUES (?)", userId));
    return sentSeqId;
  }

  unregister(userId: string, listens = false): Promise<void> {
    this.#core.leave(userId);
    this.#listeners.set(userId, listens);
    return this.#commit.add(() => this.#sql("DELETE FROM sessions WHERE user_id = ?", userId));
  }

  #sql(statement: string, userId: string): void {
    this.ctx.storage.sql.exec(statement, userId);
  }

  announce(frame: string): Promise<number> {
    return this.#listeners.announce(frame, this.#core.sessionIds());
  }

  closeDevice(userId: string, deviceId: string, name: ErrorName): Promise<void> {
    for (const socket of this.ctx.getWebSockets(deviceTag(userId, deviceId))) {
      closeSocket(socket, name);
    }
    return Promise.resolve();
  }

  readers(): Promise<{ sockets: number; sessions: number }> {
    const sockets = this.ctx.getWebSockets().length;
    return Promise.resolve({ sockets, sessions: this.#core.sessionCount });
  }

  // ---- down

  push(task: { fromSeqId: number; toSeqId: number; messages: StoredMessage[] }): Promise<void> {
    this.#pushedSeqId = Math.max(this.#pushedSeqId, task.toSeqId);
    this.#step((now) => this.#core.pushed(task.messages, now));
    return Promise.resolve();
  }

  /**
   * Until then the messages live in this object's memory alone: were the fan-out confirmed with the push, an object that
   * dies within the window would take them along, and nobody would send them again.
   */
  served(toSeqId: number): Promise<boolean> {
    if (toSeqId > this.#pushedSeqId) {
      // The push came to an earlier life of this shard.
      return Promise.resolve(false);
    }
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const settle = (served: boolean): void => {
      clearTimeout(late);
      resolve(served);
    };
    const late = setTimeout(() => {
      this.#owed = this.#owed.filter((owed) => owed.settle !== settle);
      settle(false);
    }, SERVED_LIMIT_MS);
    this.#owed.push({ toSeqId, settle });
    this.#settle();
    return promise;
  }

  /** Edits, recalls and reactions: gathered for a window, then to every socket and every session. */
  async tell(notice: TellNotice): Promise<void> {
    const { seqId, key, version, frame, message } = notice;
    if (message !== undefined) {
      this.#core.amended(seqId, message);
    }
    if (this.#notes.add({ key, version, frame, isReaction: message === undefined })) {
      this.#told = this.#tellAfterWindow();
    }
    await this.#told;
  }

  async #tellAfterWindow(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, NOTES_WINDOW_MS));
    const frames = this.#notes.take();
    sendFrames(this.ctx.getWebSockets(), frames);
    const userIds = this.#core.sessionIds();
    for (let at = 0; at < userIds.length; at += TELL_SLICE) {
      const slice = userIds.slice(at, at + TELL_SLICE);
      // Whoever is not reached learns it from the next sync.
      await Promise.allSettled(
        slice.map((userId) => sessionOf(this.env, userId).deliverBigRoom(this.#conversationId, frames)),
      );
    }
  }

  #settle(): void {
    if (this.#owed.length === 0) {
      return;
    }
    const reached = this.#core.handedOver(systemClock.now());
    const paid = this.#owed.filter(({ toSeqId }) => toSeqId <= reached);
    this.#owed = this.#owed.filter(({ toSeqId }) => toSeqId > reached);
    paid.forEach(({ settle }) => settle(true));
  }

  #step(step: (now: number) => void): void {
    const began = systemClock.now();
    reportSoon(this.env, began);
    step(began);
    for (const effect of this.#core.takeEffects()) {
      this.#carryOut(effect);
    }
    this.#settle();
  }

  #carryOut(effect: ShardEffect): void {
    switch (effect.kind) {
      case "broadcast":
        return this.#broadcast(effect.messages);
      case "deliver":
        return this.#deliver(effect);
      case "pull":
        this.#pulling = this.#pull(effect.after);
        return;
      case "timer":
        setTimeout(() => this.#step((now) => this.#core.onTimer(now)), effect.inMs);
        return;
      case "forget":
        this.ctx.storage.sql.exec("DELETE FROM sessions WHERE user_id = ?", effect.userId);
    }
  }

  /** Counting all of them at each connection would take longer than the connection. */
  #noteSockets(open: number): void {
    this.#open = Math.max(0, open);
    noteSockets(this.#name, this.#open, systemClock.now());
  }

  #broadcast(messages: StoredMessage[]): void {
    const taken = sendFrames(this.ctx.getWebSockets(), [messagesFrame(messages, true)]);
    const now = systemClock.now();
    this.#noteSockets(taken);
    if (taken > 0) {
      deliveries.add(taken * messages.length);
      e2eDuration.observeMs(now - (messages[0]?.createdAt ?? now), taken);
      this.#awaitFlush();
    }
  }

  /** Nothing says when sockets have taken their frames; but the thread writes them before it looks at its timers. */
  #awaitFlush(): void {
    if (!this.#isFlushing) {
      this.#isFlushing = true;
      setTimeout(() => {
        this.#isFlushing = false;
        this.#core.flushed(systemClock.now());
      }, 0);
    }
  }

  #deliver(effect: Extract<ShardEffect, { kind: "deliver" }>): void {
    const frames = [messagesFrame(effect.messages, true)];
    const count = effect.messages.length;
    const committedAt = effect.messages[0]?.createdAt ?? 0;
    for (const userId of effect.userIds) {
      sessionOf(this.env, userId)
        .deliverBigRoom(this.#conversationId, frames, effect.to)
        .then(
          (sockets) =>
            this.#step((now) => {
              this.#core.answered(userId, effect.to, sockets, now);
              noteDelivery(sockets, count, now - committedAt);
            }),
          () => this.#step((now) => this.#core.answered(userId, effect.to, "failed", now)),
        );
    }
  }

  async #pull(after: number): Promise<void> {
    try {
      const page = await roomOf(this.env, this.#conversationId).readLog(after, PULL_ROWS);
      this.#step((now) => this.#core.pulled(page.messages, page.headSeqId, now));
    } catch (error) {
      log("warn", "healing a hole failed, the next window tries again", {
        conversationId: this.#conversationId,
        error: describeError(error),
      });
      this.#step((now) => this.#core.pulled("failed", 0, now));
    }
  }

  /** A shard that has just woken learns where the room stands, and tells its readers what they may lack. */
  #begin(): Promise<void> {
    if (this.#core.cursor === undefined) {
      this.#beginning ??= this.#learn().finally(() => {
        this.#beginning = undefined;
      });
    }
    return this.#beginning ?? Promise.resolve();
  }

  async #learn(): Promise<void> {
    const { headSeqId, deliveredSeqId } = await roomOf(this.env, this.#conversationId).readLog(0, 0);
    // Readers of an earlier life may lack what was on its way then; where there are none, nobody lacks anything.
    const hasReaders = this.#core.sessionCount > 0 || this.ctx.getWebSockets().length > 0;
    const from = hasReaders ? (deliveredSeqId ?? headSeqId) : headSeqId;
    this.#step((now) => this.#core.begin(from, headSeqId, now));
    await this.#pulling;
  }

  /** What a new socket gets first: everything after its cursor that the hot window still has. */
  async #backlog(
    since: number | undefined,
  ): Promise<{ messages: StoredMessage[]; headSeqId: number; fromSeqId: number }> {
    await this.#begin();
    const room = roomOf(this.env, this.#conversationId);
    const sent = this.#core.sentSeqId;
    if (since === undefined || since >= sent) {
      return { messages: [], headSeqId: sent, fromSeqId: sent };
    }
    const known = this.#core.backlogAfter(since);
    if (known !== undefined) {
      return { messages: known, headSeqId: sent, fromSeqId: since };
    }
    const from = Math.max(since, sent - SHARD_BACKLOG);
    const { messages } = await room.readLog(from, SHARD_BACKLOG);
    // Re-read after the wait: what is newer than this comes with the windows.
    const upTo = this.#core.sentSeqId;
    // A window may have passed meanwhile with messages that the log did not have yet when it was read.
    const passed = this.#core.backlogAfter(messages.at(-1)?.seqId ?? from) ?? [];
    return {
      messages: [...messages, ...passed].filter((message) => message.seqId <= upTo),
      headSeqId: upTo,
      fromSeqId: from,
    };
  }

  // ---- up

  send(sends: SendCommand[]): Promise<Result<StoredMessage>[]> {
    return this.#up.send(sends);
  }

  produce(sends: SendCommand[]): Promise<Result<undefined>[]> {
    return this.#ontoBus.send(sends);
  }
}

/** By this a device's sockets are found when it is signed out. At most 26 + 1 + 64 characters of the 256 that a tag may have. */
function deviceTag(userId: string, deviceId: string): string {
  return `${userId}/${deviceId}`;
}
