/**
 * One user: the sockets of all devices, the devices and their refresh tokens, the presence lease,
 * the rate limits, and the lanes in which sends travel to the rooms. An adapter: rules are in
 * `src/domain/` (`SendDesk`, `devices`, `presence`).
 */
import { DurableObject } from "cloudflare:workers";
import { embeddedCache } from "../cache/embedded.ts";
import type { Ban } from "../domain/ban.ts";
import type { Actor, SendCommand } from "../domain/commands.ts";
import { HEARTBEAT_SECONDS } from "../domain/presence.ts";
import { fullBucket, takeToken } from "../domain/rate.ts";
import { messageFor, WORLD_ROOM_ID, type StoredMessage } from "../domain/records.ts";
import { SEND_LANE, SendDesk } from "../domain/sendDesk.ts";
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import type { DeliveredRange, DeviceWish, SessionRpc, SignedIn, SignInUser } from "../platform/rpc.ts";
import { settingsOf, type Settings } from "../platform/settings.ts";
import { answerClose, sendFrames } from "../platform/sockets.ts";
import { roomOf, shardOf } from "../platform/stubs.ts";
import { err, errorFrame, ok, toWireError, type ErrorName, type Fault, type Result } from "../protocol/errors.ts";
import { parseClientFrame, type ClientFrame } from "../protocol/frames.ts";
import type { Device, Message } from "../protocol/things.ts";
import { publishOutbox } from "../queues/sqlOutbox.ts";
import { describeError, log } from "../telemetry/log.ts";
import { BadFrames } from "./BadFrames.ts";
import { actorOf, FRAME_HANDLERS, type FrameContext } from "./sessionFrames.ts";
import { SessionAccounts } from "./SessionAccounts.ts";
import { SessionHeads } from "../domain/sessionHeads.ts";
import { SessionPresence } from "./SessionPresence.ts";
import { SessionSockets } from "./SessionSockets.ts";
import { SessionSqlStore } from "./SessionSqlStore.ts";

/** Own messages remembered, so that a resend is not shown twice on the other devices. */
const ECHO_MEMORY = 256;
/** SQL outbox rows that nobody confirmed are published again after this time. */
const OUTBOX_RETRY_MS = 5_000;

/** Who waits for the answer to a send: a socket, or a REST call. */
type Ticket = { socket?: WebSocket; ref?: string; resolve?: (outcome: Result<Message>) => void };

export class UserSession extends DurableObject<Env> implements SessionRpc {
  readonly #userId: string;
  readonly #store: SessionSqlStore;
  readonly #settings: Settings;
  readonly #sockets: SessionSockets;
  readonly #accounts: SessionAccounts;
  readonly #presence: SessionPresence;
  readonly #desk: SendDesk<Ticket>;
  readonly #frames: FrameContext;
  readonly #frameBucket;
  readonly #badFrames: BadFrames;
  readonly #echoed = new Set<string>();
  /** How often somebody was about to write rows into the SQL outbox. */
  #outboxAsked = 0;
  readonly #heads = new SessionHeads();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#userId = ctx.id.name ?? "";
    this.#store = new SessionSqlStore(ctx.storage);
    this.#settings = settingsOf(env);
    this.#sockets = new SessionSockets(ctx);
    this.#badFrames = new BadFrames(this.#settings.limits.badFrames);
    this.#accounts = new SessionAccounts(this.#userId, this.#store, this.#settings.limits, {
      sockets: this.#sockets,
      closeRooms: (deviceId, name) => ctx.waitUntil(this.#closeRooms(deviceId, name)),
    });
    const cache = embeddedCache(env, this.#settings.cacheShards);
    this.#presence = new SessionPresence({
      env,
      userId: this.#userId,
      settings: this.#settings,
      cache,
      store: this.#store,
      sockets: this.#sockets,
      armAlarm: (inMs) => this.#armAlarm(inMs),
      later: (work) => ctx.waitUntil(work),
    });
    this.#frames = {
      env,
      userId: this.#userId,
      cache,
      sockets: this.#sockets,
      presence: this.#presence,
      heads: this.#heads,
      worldReadSeqId: () => this.#store.fact("worldReadSeqId") ?? 0,
      markWorldRead: (seqId, headSeqId) => this.#markWorldRead(seqId, headSeqId),
    };
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
  }

  // ---- sockets

  /** Upgrade. The gateway checked the token's signature; the device must still be signed in. */
  override async fetch(request: Request): Promise<Response> {
    const deviceId = request.headers.get("x-gochat-device") ?? "";
    const issuedAtMs = Number(request.headers.get("x-gochat-issued-at") ?? 0);
    const refused = new Response(null, { status: 401 });
    if (this.#accounts.signedIn(deviceId, issuedAtMs) === undefined) {
      return refused;
    }
    return (await this.#presence.arriving(() => this.#accept(request, deviceId, issuedAtMs))) ?? refused;
  }

  /** Everything that waits has been done before: what is decided here is still so when the socket is open. */
  #accept(request: Request, deviceId: string, issuedAtMs: number): Response | undefined {
    const account = this.#accounts.signedIn(deviceId, issuedAtMs);
    if (account === undefined) {
      return undefined;
    }
    this.#sockets.makeRoom(deviceId, this.#settings.limits.socketsPerDevice);
    const now = systemClock.now();
    const { response, socket } = this.#sockets.accept(request, {
      version: 1,
      deviceId,
      // As the account is now: the token may be older than an upgrade or a new role.
      isGuest: account.isGuest,
      isAdmin: account.role === "admin",
      connectedAt: now,
      muted: [],
    });
    this.#sockets.send([socket], {
      type: "connected",
      data: {
        userId: this.#userId,
        deviceId,
        serverTime: now,
        heartbeatSeconds: HEARTBEAT_SECONDS,
      },
    });
    return response;
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const parsed = parseClientFrame(data, this.#settings.limits.frameBytes);
    if (!parsed.ok) {
      this.#refuse(socket, parsed.fault, parsed.ref, parsed.send);
      if (parsed.send === undefined) {
        // A send that names itself was understood, only refused.
        this.#badFrames.count(socket);
      }
      return;
    }
    const frame = parsed.value;
    const now = systemClock.now();
    this.#sockets.heard(socket, now);
    if (frame.type === "send-message") {
      // The hot path: a rate limit of its own, no promise, the answer comes from the desk.
      const actor = actorOf(this.#userId, this.#sockets.of(socket));
      const { conversationId, ...command } = frame.data;
      const ticket = frame.id === undefined ? { socket } : { socket, ref: frame.id };
      this.#desk.submit(ticket, conversationId, { ...command, actor }, now);
      return;
    }
    const waitMs = takeToken(this.#frameBucket, this.#settings.limits.frames, now);
    const fault: Fault | undefined =
      waitMs > 0 ? { name: "RATE_LIMITED", retryAfterMs: waitMs } : await this.#handle(socket, frame);
    if (fault !== undefined) {
      this.#refuse(socket, fault, frame.id);
    }
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    answerClose(socket, code);
    await this.#presence.left(socket);
  }

  override async webSocketError(socket: WebSocket): Promise<void> {
    await this.#presence.left(socket);
  }

  /** Room sockets of a device that was signed out: they are open at a shard. */
  async #closeRooms(deviceId: string, name: ErrorName): Promise<void> {
    const { env } = this;
    try {
      await shardOf(env, WORLD_ROOM_ID, this.#userId, this.#settings.worldShards).closeDevice(
        this.#userId,
        deviceId,
        name,
      );
    } catch (error) {
      log("warn", "room sockets not closed", { userId: this.#userId, deviceId, error: describeError(error) });
    }
  }

  // ---- RPC: accounts

  signIn(user: SignInUser, wish: DeviceWish): Promise<Result<SignedIn>> {
    return Promise.resolve(this.#accounts.signIn(user, wish));
  }

  refresh(presented: string): Promise<Result<SignedIn & { user: SignInUser }>> {
    return Promise.resolve(this.#accounts.refresh(presented));
  }

  signOut(deviceId: string): Promise<Result<void>> {
    return this.removeDevice(deviceId);
  }

  devices(currentDeviceId: string): Promise<Device[]> {
    return Promise.resolve(this.#accounts.devices(currentDeviceId));
  }

  removeDevice(deviceId: string): Promise<Result<void>> {
    return Promise.resolve(this.#accounts.removeDevice(deviceId));
  }

  setBan(ban: Ban): Promise<void> {
    return Promise.resolve(this.#accounts.setBan(ban));
  }

  kick(): Promise<void> {
    return Promise.resolve(this.#accounts.signOutAll("UNAUTHENTICATED"));
  }

  admit(deviceId: string, issuedAtMs: number): Promise<Result<{ isGuest: boolean; role: "user" | "admin" }>> {
    const account = this.#accounts.signedIn(deviceId, issuedAtMs);
    if (account === undefined) {
      return Promise.resolve(err({ name: "UNAUTHENTICATED", detail: "device signed out" }));
    }
    const { frames } = this.#settings.limits;
    const waitMs = takeToken(this.#frameBucket, frames, systemClock.now());
    return Promise.resolve(
      waitMs > 0
        ? err({ name: "RATE_LIMITED", retryAfterMs: waitMs })
        : ok({ isGuest: account.isGuest, role: account.role }),
    );
  }

  accountChanged(user: SignInUser): Promise<void> {
    return Promise.resolve(this.#accounts.changed(user));
  }

  // ---- RPC: messages

  send(actor: Actor, conversationId: string, command: Omit<SendCommand, "actor">): Promise<Result<Message>> {
    return new Promise((resolve) => {
      const now = systemClock.now();
      this.#desk.submit({ resolve }, conversationId, { ...command, actor }, now);
    });
  }

  deliver(frames: string[], range?: DeliveredRange): Promise<number> {
    if (range !== undefined) {
      this.#heads.note(range.conversationId, range.to);
      if (this.#heads.hasPassed(range)) {
        return Promise.resolve(this.#sockets.open().length);
      }
    }
    const taken = sendFrames(this.#sockets.all(), frames);
    if (taken === 0) {
      this.#presence.clearStale();
    } else if (range !== undefined) {
      this.#heads.pass(range);
    }
    return Promise.resolve(taken);
  }

  async deliverBigRoom(conversationId: string, frames: string[]): Promise<number> {
    if (this.#sockets.wanting(conversationId).length === 0) {
      await this.#presence.arrivals();
    }
    return sendFrames(this.#sockets.wanting(conversationId), frames);
  }

  deliverToOthers(deviceId: string, frames: string[]): Promise<number> {
    const others = this.#sockets.open().filter((s) => this.#sockets.of(s).deviceId !== deviceId);
    return Promise.resolve(sendFrames(others, frames));
  }

  markWorldRead(seqId: number, headSeqId: number): Promise<number> {
    return Promise.resolve(this.#markWorldRead(seqId, headSeqId));
  }

  worldReadSeqId(): Promise<number> {
    return Promise.resolve(this.#frames.worldReadSeqId());
  }

  heads(): Promise<Record<string, number>> {
    return Promise.resolve(Object.fromEntries(this.#heads.newest));
  }

  reads(): Promise<Record<string, number>> {
    return Promise.resolve(Object.fromEntries(this.#heads.read));
  }

  // ---- the SQL outbox, and the alarm

  async watchOutbox(): Promise<void> {
    this.#outboxAsked += 1;
    this.#store.transaction(() => this.#store.saveFact("outboxWatch", true));
    await this.#armAlarm(OUTBOX_RETRY_MS);
  }

  override async alarm(): Promise<void> {
    await this.#presence.check();
    if (this.#store.fact("outboxWatch") === true) {
      await this.#republishOutbox();
    }
  }

  async #republishOutbox(): Promise<void> {
    const asked = this.#outboxAsked;
    try {
      const left = await publishOutbox(this.env, this.#userId);
      // Asked for again while we looked: those rows may have come after the look.
      if (left === 0 && asked === this.#outboxAsked) {
        this.#store.transaction(() => this.#store.saveFact("outboxWatch", false));
        return;
      }
    } catch (error) {
      log("warn", "SQL outbox not read", { userId: this.#userId, error: describeError(error) });
    }
    await this.#armAlarm(OUTBOX_RETRY_MS);
  }

  /** One alarm for several reasons: the earliest wins, the handler looks at all of them. */
  async #armAlarm(inMs: number): Promise<void> {
    const now = systemClock.now();
    const current = await this.ctx.storage.getAlarm();
    if (current === null || current > now + inMs || current <= now) {
      await this.ctx.storage.setAlarm(now + inMs);
    }
  }

  // ---- frames

  async #handle(socket: WebSocket, frame: Exclude<ClientFrame, { type: "send-message" }>): Promise<Fault | undefined> {
    try {
      // The table's key is the frame's type; TypeScript cannot follow the pair.
      const handler = FRAME_HANDLERS[frame.type] as (
        context: FrameContext,
        socket: WebSocket,
        frame: ClientFrame,
      ) => Promise<Fault | undefined> | Fault | undefined;
      return await handler(this.#frames, socket, frame);
    } catch (error) {
      log("error", "a frame failed", {
        userId: this.#userId,
        code: frame.type,
        error: describeError(error),
      });
      return { name: "UNAVAILABLE" };
    }
  }

  #refuse(socket: WebSocket, fault: Fault, ref?: string, send?: { clientMsgId: string; conversationId: string }): void {
    const requestId = newId(systemClock.now());
    log("info", "a frame was refused", { userId: this.#userId, code: fault.name, requestId });
    this.#sockets.send(
      [socket],
      send === undefined
        ? errorFrame(fault, requestId, ref)
        : {
            type: "message-error",
            data: { ...send, error: toWireError(fault, requestId), ...(ref === undefined ? {} : { ref }) },
          },
    );
  }

  #markWorldRead(seqId: number, headSeqId: number): number {
    const before = this.#frames.worldReadSeqId();
    const next = Math.max(before, Math.min(seqId, headSeqId));
    if (next > before) {
      this.#store.transaction(() => this.#store.saveFact("worldReadSeqId", next));
    }
    return next;
  }

  // ---- sends

  async #append(conversationId: string, batch: SendCommand[]): Promise<void> {
    try {
      const { worldShards } = this.#settings;
      const outcomes =
        conversationId === WORLD_ROOM_ID
          ? shardOf(this.env, conversationId, this.#userId, worldShards).send(batch)
          : roomOf(this.env, conversationId).append(batch);
      this.#desk.landed(conversationId, await outcomes, systemClock.now());
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
      this.#refuse(ticket.socket, outcome.fault, ticket.ref, { clientMsgId, conversationId });
    }
  }

  /** The acknowledgement to the sending socket; the message to the sender's other sockets. */
  #acknowledge(ticket: Ticket, message: StoredMessage): void {
    const { clientMsgId, conversationId, messageId, seqId, createdAt } = message;
    if (ticket.socket !== undefined) {
      const { ref } = ticket;
      const data = { clientMsgId, conversationId, status: "sent", messageId, seqId, createdAt } as const;
      this.#sockets.send([ticket.socket], { type: "message-ack", data: ref === undefined ? data : { ...data, ref } });
    }
    this.#heads.note(conversationId, seqId);
    // A sender has read their own message; a room keeps that by itself, but for the world it is kept here.
    this.#heads.noteRead(conversationId, seqId);
    if (conversationId === WORLD_ROOM_ID) {
      this.#markWorldRead(seqId, seqId);
    }
    // World readers get it with everyone else, from the shard.
    if (conversationId === WORLD_ROOM_ID || this.#echoed.has(messageId)) {
      return;
    }
    this.#echoed.add(messageId);
    if (this.#echoed.size > ECHO_MEMORY) {
      const [oldest] = this.#echoed;
      this.#echoed.delete(oldest ?? "");
    }
    const others = this.#sockets.all().filter((socket) => socket !== ticket.socket);
    if (others.length > 0) {
      const data = { message: messageFor(message, this.#userId) };
      this.#sockets.send(others, { type: "new-message", data });
    }
  }
}
