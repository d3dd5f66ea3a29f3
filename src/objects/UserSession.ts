/**
 * One user: the sockets of all devices, the devices and their refresh tokens, the presence lease,
 * the rate limits, and the lanes in which sends travel to the rooms. An adapter: rules are in
 * `src/domain/` (`SendDesk`, `devices`, `presence`).
 */
import { DurableObject } from "cloudflare:workers";
import { queuesBus } from "../bus/queues.ts";
import { embeddedCache } from "../cache/embedded.ts";
import { CACHE_KEYS, type Cache } from "../cache/types.ts";
import { createHash } from "node:crypto";
import type { Actor, SendCommand } from "../domain/commands.ts";
import { rotate, signIn, type DeviceRow } from "../domain/devices.ts";
import {
  GHOST_AFTER_MS,
  HEARTBEAT_SECONDS,
  OFFLINE_AFTER_MS,
  PRESENCE_RENEW_MS,
  PRESENCE_TTL_MS,
} from "../domain/presence.ts";
import { fullBucket, takeToken } from "../domain/rate.ts";
import { messageFor, WORLD_ROOM_ID, type StoredMessage } from "../domain/records.ts";
import { SEND_LANE, SendDesk } from "../domain/sendDesk.ts";
import { systemClock } from "../platform/clock.ts";
import { newId, randomToken } from "../platform/ids.ts";
import type { DeviceWish, SessionRpc, SignedIn, SignInUser } from "../platform/rpc.ts";
import { settingsOf, type Settings } from "../platform/settings.ts";
import { closeSocket, sendFrames } from "../platform/sockets.ts";
import { roomOf, shardOf } from "../platform/stubs.ts";
import { err, errorFrame, ok, toWireError, type ErrorName, type Fault, type Result } from "../protocol/errors.ts";
import { parseClientFrame, type ClientFrame, type ServerFrame } from "../protocol/frames.ts";
import type { Device, Message } from "../protocol/things.ts";
import { publishOutbox } from "../queues/sqlOutbox.ts";
import { describeError, log } from "../telemetry/log.ts";
import { acceptSocket } from "./acceptSocket.ts";
import { SessionSqlStore } from "./SessionSqlStore.ts";
import { buildSync } from "./sync.ts";

/** Sockets of one device at a time (tabs). Source: WIRE "Accounts". */
const SOCKETS_PER_DEVICE = 8;
/** Frames that cannot be parsed before the socket is closed. Source: WIRE "Frames". */
const BAD_FRAMES = { count: 20, inMs: 10_000 };
/** Own messages remembered, so that a resend is not shown twice on the other devices. */
const ECHO_MEMORY = 256;
/** Conversations whose newest sequence is remembered; the longest quiet one leaves first. */
const HEAD_MEMORY = 512;
/** SQL outbox rows that nobody confirmed are published again after this time. */
const OUTBOX_RETRY_MS = 5_000;
const REFRESH_TOKEN_BYTES = 32;

/** What a socket remembers across hibernation. Older versions are read, never rewritten in place. */
type Attachment = {
  version: 1;
  deviceId: string;
  isGuest: boolean;
  isAdmin: boolean;
  connectedAt: number;
  /** Big rooms that this socket does not want here. */
  muted: string[];
};

/** Who waits for the answer to a send: a socket, or a REST call. */
type Ticket = { socket?: WebSocket; deviceId?: string; resolve?: (outcome: Result<Message>) => void };

type Handlers = {
  [Type in ClientFrame["type"]]: (
    socket: WebSocket,
    from: Attachment,
    frame: Extract<ClientFrame, { type: Type }>,
  ) => Promise<Fault | undefined> | Fault | undefined;
};

export class UserSession extends DurableObject<Env> implements SessionRpc {
  readonly #userId: string;
  readonly #store: SessionSqlStore;
  readonly #settings: Settings;
  readonly #cache: Cache;
  readonly #desk: SendDesk<Ticket>;
  readonly #attachments = new WeakMap<WebSocket, Attachment>();
  readonly #frameBucket;
  readonly #badFrames = new WeakMap<WebSocket, number[]>();
  readonly #echoed = new Set<string>();
  /**
   * Newest sequences that passed through here. A device that connects in the moment between a
   * delivery and the room's cache write would read an older head there; this one counts as well.
   * Lost with hibernation, by when the cache has long been written.
   */
  readonly #heads = new Map<string, number>();
  /** Cache writes of presence, one after the other, so that the last one wins. */
  #presenceWrites: Promise<void> = Promise.resolve();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#userId = ctx.id.name ?? "";
    this.#store = new SessionSqlStore(ctx.storage);
    this.#settings = settingsOf(env);
    this.#cache = embeddedCache(env, this.#settings.cacheShards);
    const now = systemClock.now();
    const { sends, worldSends, frames } = this.#settings.limits;
    this.#frameBucket = fullBucket(frames, now);
    this.#desk = new SendDesk<Ticket>(
      { sends, world: worldSends, lane: SEND_LANE },
      {
        append: (conversationId, batch) => void this.#append(conversationId, batch),
        answer: (ticket, conversationId, command, outcome) =>
          this.#answerSend(ticket, conversationId, command, outcome),
      },
      now,
    );
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('{"type":"ping"}', '{"type":"pong"}'));
  }

  // ---- sockets

  /** Upgrade. The gateway checked the token's signature; the device must still be signed in. */
  override async fetch(request: Request): Promise<Response> {
    const deviceId = request.headers.get("x-gochat-device") ?? "";
    if (this.#store.device(deviceId) === undefined) {
      return new Response(null, { status: 401 });
    }
    const attachment: Attachment = {
      version: 1,
      deviceId,
      isGuest: request.headers.get("x-gochat-guest") === "1",
      isAdmin: request.headers.get("x-gochat-role") === "admin",
      connectedAt: systemClock.now(),
      muted: [],
    };
    const tabs = this.#socketsOf(deviceId);
    if (tabs.length >= SOCKETS_PER_DEVICE) {
      const oldest = tabs.toSorted((a, b) => this.#of(a).connectedAt - this.#of(b).connectedAt)[0];
      if (oldest !== undefined) {
        closeSocket(oldest, "SESSION_REPLACED");
      }
    }
    const first = this.#open().length === 0;
    if (first) {
      await this.#arrive();
    }
    const { response, socket } = acceptSocket(this.ctx, request, [deviceId], attachment);
    this.#attachments.set(socket, attachment);
    this.#send([socket], {
      type: "connected",
      data: {
        userId: this.#userId,
        deviceId,
        serverTime: systemClock.now(),
        heartbeatSeconds: HEARTBEAT_SECONDS,
      },
    });
    return response;
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const parsed = parseClientFrame(data);
    if (!parsed.ok) {
      this.#refuseFrame(socket, parsed.fault, parsed.ref, parsed.send);
      this.#countBadFrame(socket);
      return;
    }
    const frame = parsed.value;
    const from = this.#of(socket);
    if (frame.type === "send-message") {
      // The hot path: its own rate limit, no promise, the answer comes from the desk.
      this.#desk.submit(
        { socket, deviceId: from.deviceId },
        frame.data.conversationId,
        { ...frame.data, actor: this.#actor(from) },
        systemClock.now(),
      );
      return;
    }
    const waitMs = takeToken(this.#frameBucket, this.#settings.limits.frames, systemClock.now());
    const fault: Fault | undefined =
      waitMs > 0 ? { name: "RATE_LIMITED", retryAfterMs: waitMs } : await this.#handle(socket, from, frame);
    if (fault !== undefined) {
      this.#refuseFrame(socket, fault, frame.id);
    }
  }

  override async webSocketClose(socket: WebSocket): Promise<void> {
    await this.#left(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#left(socket);
  }

  // ---- RPC: accounts

  signIn(user: SignInUser, wish: DeviceWish): Promise<Result<SignedIn>> {
    const token = this.#newToken();
    const { device, replaced } = this.#store.transaction(() => {
      this.#store.saveFact("account", user);
      return signIn(this.#store, wish, newId(systemClock.now()), hashOf(token), systemClock.now());
    });
    for (const deviceId of replaced) {
      this.#send(this.#socketsOf(deviceId), { type: "session-replaced", data: {} });
      this.#closeDevice(deviceId, "SESSION_REPLACED");
    }
    return Promise.resolve(ok({ deviceId: device.deviceId, refreshToken: token }));
  }

  refresh(presented: string): Promise<Result<SignedIn & { user: SignInUser }>> {
    const user = this.#store.fact("account");
    if (user === undefined) {
      // Somebody made the id up: nothing is stored for that.
      return Promise.resolve(err({ name: "UNAUTHENTICATED" }));
    }
    const token = this.#newToken();
    const { result, revoked } = this.#store.transaction(() =>
      rotate(this.#store, hashOf(presented), hashOf(token), systemClock.now()),
    );
    if (revoked !== undefined) {
      log("warn", "a used refresh token came back, its family is revoked", {
        userId: this.#userId,
        deviceId: revoked,
      });
      this.#closeDevice(revoked, "UNAUTHENTICATED");
    }
    if (!result.ok) {
      return Promise.resolve(err({ name: "UNAUTHENTICATED" }));
    }
    return Promise.resolve(ok({ deviceId: result.value.deviceId, refreshToken: token, user }));
  }

  signOut(deviceId: string): Promise<Result<void>> {
    return this.removeDevice(deviceId);
  }

  devices(currentDeviceId: string): Promise<Device[]> {
    return Promise.resolve(
      this.#store.devices().map((row: DeviceRow) => ({
        ...row,
        online: this.#socketsOf(row.deviceId).length > 0,
        current: row.deviceId === currentDeviceId,
      })),
    );
  }

  removeDevice(deviceId: string): Promise<Result<void>> {
    if (this.#store.device(deviceId) === undefined) {
      return Promise.resolve(err({ name: "NOT_FOUND" }));
    }
    this.#store.transaction(() => this.#store.deleteDevice(deviceId));
    this.#closeDevice(deviceId, "UNAUTHENTICATED");
    return Promise.resolve(ok(undefined));
  }

  admit(deviceId: string, _issuedAtMs: number): Promise<Result<{ isGuest: boolean; role: "user" | "admin" }>> {
    const account = this.#store.fact("account");
    if (account === undefined || this.#store.device(deviceId) === undefined) {
      return Promise.resolve(err({ name: "UNAUTHENTICATED", detail: "device signed out" }));
    }
    const waitMs = takeToken(this.#frameBucket, this.#settings.limits.frames, systemClock.now());
    return Promise.resolve(
      waitMs > 0
        ? err({ name: "RATE_LIMITED", retryAfterMs: waitMs })
        : ok({ isGuest: account.isGuest, role: account.role }),
    );
  }

  accountChanged(user: SignInUser): Promise<void> {
    this.#store.transaction(() => this.#store.saveFact("account", user));
    for (const socket of this.#open()) {
      this.#remember(socket, {
        ...this.#of(socket),
        isGuest: user.isGuest,
        isAdmin: user.role === "admin",
      });
    }
    return Promise.resolve();
  }

  // ---- RPC: messages

  send(actor: Actor, conversationId: string, command: Omit<SendCommand, "actor">): Promise<Result<Message>> {
    return new Promise((resolve) => {
      const now = systemClock.now();
      this.#desk.submit({ resolve }, conversationId, { ...command, actor }, now);
    });
  }

  deliver(frames: string[], seen?: { conversationId: string; seqId: number }): Promise<number> {
    if (seen !== undefined) {
      this.#noteHead(seen.conversationId, seen.seqId);
    }
    const taken = sendFrames(this.ctx.getWebSockets(), frames);
    if (taken === 0) {
      this.#clearStalePresence();
    }
    return Promise.resolve(taken);
  }

  deliverBigRoom(conversationId: string, frames: string[]): Promise<number> {
    const wanting = this.#open().filter((s) => !this.#of(s).muted.includes(conversationId));
    return Promise.resolve(sendFrames(wanting, frames));
  }

  deliverToOthers(deviceId: string, frames: string[]): Promise<number> {
    const others = this.#open().filter((socket) => this.#of(socket).deviceId !== deviceId);
    return Promise.resolve(sendFrames(others, frames));
  }

  markWorldRead(seqId: number, headSeqId: number): Promise<number> {
    const before = this.#store.fact("worldReadSeqId") ?? 0;
    const next = Math.max(before, Math.min(seqId, headSeqId));
    if (next > before) {
      this.#store.transaction(() => this.#store.saveFact("worldReadSeqId", next));
    }
    return Promise.resolve(next);
  }

  worldReadSeqId(): Promise<number> {
    return Promise.resolve(this.#store.fact("worldReadSeqId") ?? 0);
  }

  heads(): Promise<Record<string, number>> {
    return Promise.resolve(Object.fromEntries(this.#heads));
  }

  async watchOutbox(): Promise<void> {
    this.#store.transaction(() => this.#store.saveFact("outboxWatch", true));
    await this.#armAlarm(OUTBOX_RETRY_MS);
  }

  // ---- alarm: lease, ghosts, going offline, the SQL outbox

  override async alarm(): Promise<void> {
    this.#sweepGhosts();
    if (this.#open().length > 0) {
      await this.#writePresence(true);
      await this.#armAlarm(PRESENCE_RENEW_MS);
    } else {
      await this.#goOffline();
    }
    if (this.#store.fact("outboxWatch") === true) {
      await this.#republishOutbox();
    }
  }

  // ---- frames

  readonly #handlers: Handlers = {
    // The hot path answers it before the table is asked.
    "send-message": () => undefined,
    ping: (socket) => {
      // Only a ping that differs from the exact bytes comes here; the others wake nobody.
      this.#send([socket], { type: "pong" });
      return undefined;
    },
    "mark-read": async (_socket, from, frame) => {
      const { conversationId, seqId } = frame.data;
      const readSeqId = await this.#markRead(from, conversationId, seqId);
      if (!readSeqId.ok) {
        return readSeqId.fault;
      }
      const receipt: ServerFrame = {
        type: "message-read-receipt",
        data: { conversationId, userId: this.#userId, readSeqId: readSeqId.value },
      };
      await this.deliverToOthers(from.deviceId, [JSON.stringify(receipt)]);
      return undefined;
    },
    typing: async (_socket, from, frame) => {
      const { conversationId } = frame.data;
      const outcome = await roomOf(this.env, conversationId).typing(this.#actor(from));
      return outcome.ok ? undefined : outcome.fault;
    },
    sync: async (socket, from, frame) => {
      const worldReadSeqId = this.#store.fact("worldReadSeqId") ?? 0;
      const actor = this.#actor(from);
      const here = { worldReadSeqId, heads: this.#heads };
      const data = await buildSync(this.env, this.#cache, actor, here, frame.data);
      if (!data.ok) {
        return data.fault;
      }
      const ref = frame.id === undefined ? {} : { ref: frame.id };
      this.#send([socket], { type: "sync-result", data: data.value, ...ref });
      return undefined;
    },
    subscribe: (socket, from, frame) => this.#subscribe(socket, from, frame.data, true),
    unsubscribe: (socket, from, frame) => this.#subscribe(socket, from, frame.data, false),
  };

  async #handle(socket: WebSocket, from: Attachment, frame: ClientFrame): Promise<Fault | undefined> {
    try {
      // The table's key is the frame's type; TypeScript cannot follow the pair.
      const handler = this.#handlers[frame.type] as (
        s: WebSocket,
        f: Attachment,
        data: ClientFrame,
      ) => Promise<Fault | undefined> | Fault | undefined;
      return await handler(socket, from, frame);
    } catch (error) {
      log("error", "a frame failed", {
        userId: this.#userId,
        code: frame.type,
        error: describeError(error),
      });
      return { name: "UNAVAILABLE" };
    }
  }

  async #markRead(from: Attachment, conversationId: string, seqId: number): Promise<Result<number>> {
    const room = roomOf(this.env, conversationId);
    if (conversationId === WORLD_ROOM_ID) {
      const { headSeqId } = await room.readLog(0, 0);
      return ok(await this.markWorldRead(seqId, headSeqId));
    }
    const marked = await room.markRead(this.#actor(from), seqId, false);
    return marked.ok ? ok(marked.value.value.readSeqId) : marked;
  }

  async #subscribe(
    socket: WebSocket,
    from: Attachment,
    data: { conversationId?: string },
    wanted: boolean,
  ): Promise<Fault | undefined> {
    const { conversationId } = data;
    if (conversationId === undefined) {
      return undefined;
    }
    const muted = from.muted.filter((id) => id !== conversationId);
    this.#remember(socket, { ...from, muted: wanted ? muted : [...muted, conversationId] });
    if (conversationId === WORLD_ROOM_ID) {
      await this.#followWorld();
    }
    return undefined;
  }

  #refuseFrame(
    socket: WebSocket,
    fault: Fault,
    ref?: string,
    send?: { clientMsgId: string; conversationId: string },
  ): void {
    const requestId = newId(systemClock.now());
    log("info", "a frame was refused", { userId: this.#userId, code: fault.name, requestId });
    this.#send(
      [socket],
      send === undefined
        ? errorFrame(fault, requestId, ref)
        : { type: "message-error", data: { ...send, error: toWireError(fault, requestId) } },
    );
  }

  #countBadFrame(socket: WebSocket): void {
    const now = systemClock.now();
    const recent = (this.#badFrames.get(socket) ?? []).filter((at) => at > now - BAD_FRAMES.inMs);
    recent.push(now);
    this.#badFrames.set(socket, recent);
    if (recent.length > BAD_FRAMES.count) {
      closeSocket(socket, "INVALID_INPUT");
    }
  }

  // ---- sends

  async #append(conversationId: string, batch: SendCommand[]): Promise<void> {
    try {
      const target =
        conversationId === WORLD_ROOM_ID
          ? shardOf(this.env, conversationId, this.#userId, this.#settings.worldShards).send(batch)
          : roomOf(this.env, conversationId).append(batch);
      this.#desk.landed(conversationId, await target, systemClock.now());
    } catch (error) {
      log("warn", "sends did not reach their room", {
        userId: this.#userId,
        conversationId,
        error: describeError(error),
      });
      this.#desk.landed(conversationId, "failed", systemClock.now());
    }
  }

  #answerSend(ticket: Ticket, conversationId: string, command: SendCommand, outcome: Result<StoredMessage>): void {
    if (outcome.ok) {
      this.#acknowledge(ticket, outcome.value);
      ticket.resolve?.(ok(messageFor(outcome.value, this.#userId)));
      return;
    }
    ticket.resolve?.(outcome);
    if (ticket.socket !== undefined) {
      const { clientMsgId } = command;
      this.#refuseFrame(ticket.socket, outcome.fault, undefined, { clientMsgId, conversationId });
    }
  }

  /** The acknowledgement to the sending socket; the message to the sender's other sockets. */
  #acknowledge(ticket: Ticket, message: StoredMessage): void {
    const { clientMsgId, conversationId, messageId, seqId, createdAt } = message;
    if (ticket.socket !== undefined) {
      this.#send([ticket.socket], {
        type: "message-ack",
        data: { clientMsgId, conversationId, status: "sent", messageId, seqId, createdAt },
      });
    }
    this.#noteHead(conversationId, seqId);
    // World readers get it with everyone else, from the shard.
    if (conversationId === WORLD_ROOM_ID || this.#echoed.has(messageId)) {
      return;
    }
    this.#echoed.add(messageId);
    if (this.#echoed.size > ECHO_MEMORY) {
      const [oldest] = this.#echoed;
      this.#echoed.delete(oldest ?? "");
    }
    const others = this.ctx.getWebSockets().filter((socket) => socket !== ticket.socket);
    if (others.length > 0) {
      this.#send(others, {
        type: "new-message",
        data: { message: messageFor(message, this.#userId) },
      });
    }
  }

  #noteHead(conversationId: string, seqId: number): void {
    const before = this.#heads.get(conversationId) ?? 0;
    this.#heads.delete(conversationId);
    this.#heads.set(conversationId, Math.max(before, seqId));
    if (this.#heads.size > HEAD_MEMORY) {
      const [oldest] = this.#heads.keys();
      this.#heads.delete(oldest ?? "");
    }
  }

  // ---- presence

  /** First socket: presence is set before the client can ask for heads (see DESIGN section 3). */
  async #arrive(): Promise<void> {
    const before = this.#store.fact("presence");
    this.#store.transaction(() => this.#store.saveFact("presence", { online: true, awaySince: 0 }));
    await Promise.all([this.#writePresence(true), this.#armAlarm(PRESENCE_RENEW_MS), this.#followWorld(true)]);
    if (before?.online !== true) {
      this.ctx.waitUntil(this.#announce("user.online"));
    }
  }

  /** Only the last socket that goes matters: a late close of an old one changes nothing. */
  async #left(socket: WebSocket): Promise<void> {
    closeSocket(socket, "SHUTDOWN");
    if (this.#open().some((other) => other !== socket)) {
      await this.#followWorld();
      return;
    }
    const now = systemClock.now();
    const { deviceId } = this.#of(socket);
    this.#store.transaction(() => {
      const device = this.#store.device(deviceId);
      if (device !== undefined) {
        this.#store.putDevice({ ...device, lastSeenAt: now });
      }
      this.#store.saveFact("presence", { online: true, awaySince: now });
    });
    await Promise.all([this.#writePresence(false), this.#armAlarm(OFFLINE_AFTER_MS), this.#followWorld(false)]);
  }

  async #goOffline(): Promise<void> {
    const presence = this.#store.fact("presence");
    if (presence?.online !== true) {
      return;
    }
    const waitMs = presence.awaySince + OFFLINE_AFTER_MS - systemClock.now();
    if (presence.awaySince > 0 && waitMs > 0) {
      await this.#armAlarm(waitMs);
      return;
    }
    this.#store.transaction(() => this.#store.saveFact("presence", { online: false, awaySince: 0 }));
    await this.#writePresence(false);
    await this.#announce("user.offline");
  }

  /** One after the other; the state that counts is the one when the write is made. */
  #writePresence(online: boolean): Promise<void> {
    this.#presenceWrites = this.#presenceWrites.then(async () => {
      const key = CACHE_KEYS.online(this.#userId);
      const present = online || this.#open().length > 0;
      try {
        await this.#cache.pipeline([present ? ["SET", key, "1", PRESENCE_TTL_MS] : ["DEL", key]]);
      } catch (error) {
        // Rooms that cannot read presence deliver to everybody.
        log("warn", "presence not written", {
          userId: this.#userId,
          error: describeError(error),
        });
      }
    });
    return this.#presenceWrites;
  }

  /** A room thought that we are here: after a crash, or in the moment of leaving. */
  #clearStalePresence(): void {
    if (this.#store.fact("presence") !== undefined) {
      this.ctx.waitUntil(this.#writePresence(false));
    }
  }

  /** Registers with the world's shard while any socket wants the world here, else leaves it. */
  async #followWorld(arriving?: boolean): Promise<void> {
    const wanted = arriving ?? this.#open().some((s) => !this.#of(s).muted.includes(WORLD_ROOM_ID));
    const shard = shardOf(this.env, WORLD_ROOM_ID, this.#userId, this.#settings.worldShards);
    try {
      await (wanted ? shard.register(this.#userId) : shard.unregister(this.#userId));
    } catch (error) {
      log("warn", "world shard not reached", { userId: this.#userId, error: describeError(error) });
    }
  }

  async #announce(type: "user.online" | "user.offline"): Promise<void> {
    const now = systemClock.now();
    const body = {
      event_id: newId(now),
      event_type: type,
      timestamp: Math.floor(now / 1000),
      user_id: this.#userId,
      payload: { last_seen_at: now },
    };
    try {
      await queuesBus(this.env).publish("gochat.user-events", [{ key: this.#userId, body }]);
    } catch (error) {
      log("warn", "presence event lost", { userId: this.#userId, error: describeError(error) });
    }
  }

  /** A hibernated socket can stay open after its client is gone; the last ping tells. */
  #sweepGhosts(): void {
    const now = systemClock.now();
    for (const socket of this.#open()) {
      const ping = this.ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime();
      if (now - Math.max(ping ?? 0, this.#of(socket).connectedAt) > GHOST_AFTER_MS) {
        closeSocket(socket, "SLOW_CONSUMER");
      }
    }
  }

  // ---- SQL outbox

  async #republishOutbox(): Promise<void> {
    try {
      const left = await publishOutbox(this.env, this.#userId);
      this.#store.transaction(() => this.#store.saveFact("outboxWatch", left > 0));
      if (left > 0) {
        await this.#armAlarm(OUTBOX_RETRY_MS);
      }
    } catch (error) {
      log("warn", "SQL outbox not read", { userId: this.#userId, error: describeError(error) });
      await this.#armAlarm(OUTBOX_RETRY_MS);
    }
  }

  // ---- small things

  /** One alarm for several reasons: the earliest wins, the handler looks at all of them. */
  async #armAlarm(inMs: number): Promise<void> {
    const at = systemClock.now() + inMs;
    const current = await this.ctx.storage.getAlarm();
    if (current === null || current > at || current <= systemClock.now()) {
      await this.ctx.storage.setAlarm(at);
    }
  }

  #actor(from: Attachment): Actor {
    return { userId: this.#userId, isGuest: from.isGuest, isAdmin: from.isAdmin };
  }

  #open(): WebSocket[] {
    return this.ctx.getWebSockets().filter((socket) => socket.readyState === WebSocket.OPEN);
  }

  #socketsOf(deviceId: string): WebSocket[] {
    return this.ctx.getWebSockets(deviceId).filter((s) => s.readyState === WebSocket.OPEN);
  }

  #of(socket: WebSocket): Attachment {
    const known = this.#attachments.get(socket);
    if (known !== undefined) {
      return known;
    }
    const attachment = socket.deserializeAttachment() as Attachment;
    this.#attachments.set(socket, attachment);
    return attachment;
  }

  #remember(socket: WebSocket, attachment: Attachment): void {
    this.#attachments.set(socket, attachment);
    socket.serializeAttachment(attachment);
  }

  #send(sockets: WebSocket[], frame: ServerFrame): void {
    sendFrames(sockets, [JSON.stringify(frame)]);
  }

  #closeDevice(deviceId: string, name: ErrorName): void {
    for (const socket of this.#socketsOf(deviceId)) {
      closeSocket(socket, name);
    }
  }

  #newToken(): string {
    return `${this.#userId}.${randomToken(REFRESH_TOKEN_BYTES)}`;
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
