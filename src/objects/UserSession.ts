/**
 * One user: the sockets of all devices, the devices and their refresh tokens, the presence lease,
 * the rate limits, and the lanes in which sends travel to the rooms. An adapter: rules are in
 * `src/domain/` (`SendDesk`, `devices`, `presence`).
 */
import { DurableObject } from "cloudflare:workers";
import { cacheOf } from "../cache/index.ts";
import type { Ban } from "../domain/ban.ts";
import type { Actor, SendCommand } from "../domain/commands.ts";
import type { Notice } from "../domain/notices.ts";
import { HEARTBEAT_SECONDS } from "../domain/presence.ts";
import { fullBucket, takeToken } from "../domain/rate.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import { systemClock } from "../platform/clock.ts";
import { newId } from "../platform/ids.ts";
import type {
  DeliveredRange,
  DeviceWish,
  LandedSend,
  PresenceNotice,
  SessionRpc,
  SignInUser,
  SignedIn,
  WatchedPresence,
} from "../platform/rpc.ts";
import { settingsOf, type Settings } from "../platform/settings.ts";
import { answerClose, sendFrames } from "../platform/sockets.ts";
import { err, errorFrame, ok, toWireError, type Fault, type Result } from "../protocol/errors.ts";
import { parseClientFrame } from "../protocol/frames.ts";
import type { Device, Message } from "../protocol/things.ts";
import { log } from "../telemetry/log.ts";
import { noteRefusal } from "../telemetry/metrics.ts";
import { BadFrames } from "./BadFrames.ts";
import { closeRooms } from "./closeRooms.ts";
import { actorOf, handleFrame, type FrameContext } from "./sessionFrames.ts";
import { SessionAccounts } from "./SessionAccounts.ts";
import { SessionHeads } from "../domain/sessionHeads.ts";
import { SessionNotices } from "./SessionNotices.ts";
import { SessionOutbox } from "./SessionOutbox.ts";
import { SessionPresence } from "./SessionPresence.ts";
import { SessionSends } from "./SessionSends.ts";
import { SessionSockets } from "./SessionSockets.ts";
import { SessionWatching } from "./sessionWatching.ts";
import { SessionSqlStore } from "./SessionSqlStore.ts";
import { WorldPointer } from "./WorldPointer.ts";

export class UserSession extends DurableObject<Env> implements SessionRpc {
  readonly #userId: string;
  readonly #store: SessionSqlStore;
  readonly #settings: Settings;
  readonly #sockets: SessionSockets;
  readonly #accounts: SessionAccounts;
  readonly #presence: SessionPresence;
  readonly #watching: SessionWatching;
  readonly #notices: SessionNotices;
  readonly #sends: SessionSends;
  readonly #frames: FrameContext;
  readonly #frameBucket;
  readonly #badFrames: BadFrames;
  readonly #outbox: SessionOutbox;
  readonly #world: WorldPointer;
  readonly #heads = new SessionHeads();

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    this.#userId = ctx.id.name ?? "";
    this.#store = new SessionSqlStore(ctx.storage);
    this.#settings = settingsOf(env);
    this.#sockets = new SessionSockets(ctx);
    this.#world = new WorldPointer(env, this.#store);
    this.#outbox = new SessionOutbox({
      env,
      userId: this.#userId,
      store: this.#store,
      armAlarm: (inMs) => this.#armAlarm(inMs),
    });
    this.#badFrames = new BadFrames(this.#settings.limits.badFrames);
    this.#accounts = new SessionAccounts(this.#userId, this.#store, this.#settings.limits, {
      sockets: this.#sockets,
      closeRooms: (deviceId, name) =>
        // A client that is gone does not answer the close: that its socket is, is known here.
        ctx.waitUntil(Promise.all([closeRooms(env, this.#userId, deviceId, name), this.#presence.recount()])),
    });
    this.#notices = new SessionNotices(this.#store, this.#sockets);
    const cache = cacheOf(env);
    this.#presence = new SessionPresence({
      env,
      userId: this.#userId,
      settings: this.#settings,
      cache,
      store: this.#store,
      sockets: this.#sockets,
      greet: (sockets) => this.#greet(sockets),
      worldHead: (seqId) => this.#heads.note(WORLD_ROOM_ID, seqId),
      armAlarm: (inMs) => this.#armAlarm(inMs),
      later: (work) => ctx.waitUntil(work),
    });
    this.#watching = new SessionWatching({ env, userId: this.#userId, sockets: this.#sockets });
    this.#frames = {
      env,
      userId: this.#userId,
      cache,
      sockets: this.#sockets,
      presence: this.#presence,
      watching: this.#watching,
      heads: this.#heads,
      world: this.#world,
    };
    this.#frameBucket = fullBucket(this.#settings.limits.frames, systemClock.now());
    this.#sends = new SessionSends({
      env,
      userId: this.#userId,
      settings: this.#settings,
      sockets: this.#sockets,
      heads: this.#heads,
      actor: () => this.#actor(),
      world: this.#world,
      refuse: (socket, fault, ref, send, requestId) => this.#refuse(socket, fault, ref, send, requestId),
    });
  }

  // ---- sockets

  /** Upgrade. The gateway checked the token's signature; the device must still be signed in. */
  override async fetch(request: Request): Promise<Response> {
    const deviceId = request.headers.get("x-gochat-device") ?? "";
    const issuedAtMs = Number(request.headers.get("x-gochat-issued-at") ?? 0);
    const account = this.#accounts.signedIn(deviceId, issuedAtMs);
    if (account === undefined) {
      return new Response(null, { status: 401 });
    }
    const { response, socket } = this.#accept(request, deviceId, account);
    await this.#presence.arrived(socket);
    // Signed out meanwhile: the socket was closed then, but the answer can still say why.
    return this.#accounts.signedIn(deviceId, issuedAtMs) === undefined ? new Response(null, { status: 401 }) : response;
  }

  #accept(request: Request, deviceId: string, account: SignInUser): { response: Response; socket: WebSocket } {
    this.#sockets.makeRoom(deviceId, this.#settings.limits.socketsPerDevice);
    return this.#sockets.accept(request, {
      version: 1,
      deviceId,
      // As the account is now: the token may be older than an upgrade or a new role.
      isGuest: account.isGuest,
      isAdmin: account.role === "admin",
      connectedAt: systemClock.now(),
      muted: [],
    });
  }

  #greet(sockets: readonly WebSocket[]): void {
    const data = { userId: this.#userId, serverTime: systemClock.now(), heartbeatSeconds: HEARTBEAT_SECONDS };
    for (const socket of sockets) {
      const { deviceId } = this.#sockets.of(socket);
      this.#sockets.send([socket], { type: "connected", data: { ...data, deviceId } });
    }
    this.#notices.show(sockets);
  }

  override async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const parsed = parseClientFrame(data, this.#settings.limits.frameBytes);
    if (!parsed.ok) {
      const { fault, ref, send, unreadable } = parsed;
      // A frame that was read and refused costs as much as one that is served.
      const waitMs = unreadable ? 0 : takeToken(this.#frameBucket, this.#settings.limits.frames, systemClock.now());
      this.#refuse(socket, waitMs > 0 ? { name: "RATE_LIMITED", retryAfterMs: waitMs } : fault, ref, send);
      if (unreadable) {
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
      const ticket = frame.id === undefined ? { at: now, socket } : { at: now, socket, ref: frame.id };
      this.#sends.submit(ticket, conversationId, { ...command, actor });
      return;
    }
    const waitMs = takeToken(this.#frameBucket, this.#settings.limits.frames, now);
    const fault: Fault | undefined =
      waitMs > 0 ? { name: "RATE_LIMITED", retryAfterMs: waitMs } : await handleFrame(this.#frames, socket, frame);
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

  // ---- RPC: accounts

  async signIn(user: SignInUser, wish: DeviceWish): Promise<Result<SignedIn>> {
    if (this.#store.fact("account") === undefined) {
      await this.#world.begin(this.#userId);
    }
    return this.#accounts.signIn(user, wish);
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

  // ---- RPC: presence

  presence(friendless?: string): Promise<WatchedPresence> {
    return Promise.resolve(this.#presence.comings.viewFor(friendless));
  }

  presenceTold(eventId: string): Promise<void> {
    return Promise.resolve(this.#presence.comings.told(eventId));
  }

  watch(watcherId: string, wanted: boolean): Promise<WatchedPresence> {
    return Promise.resolve(this.#presence.comings.watch(watcherId, wanted));
  }

  forgetWatchers(watcherIds: string[]): Promise<void> {
    return Promise.resolve(this.#presence.comings.forget(watcherIds));
  }

  showPresence(notice: PresenceNotice): Promise<number> {
    return Promise.resolve(this.#watching.show(notice));
  }

  // ---- RPC: messages

  send(actor: Actor, conversationId: string, command: Omit<SendCommand, "actor">): Promise<Result<Message>> {
    return new Promise((resolve) => {
      this.#sends.submit({ at: systemClock.now(), resolve }, conversationId, { ...command, actor });
    });
  }

  sendsLanded(conversationId: string, outcomes: LandedSend[]): Promise<void> {
    this.#sends.landed(conversationId, outcomes);
    return Promise.resolve();
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

  deliverBigRoom(conversationId: string, frames: string[], toSeqId?: number): Promise<number> {
    if (toSeqId !== undefined) {
      this.#heads.note(conversationId, toSeqId);
    }
    const taken = sendFrames(this.#sockets.wanting(conversationId), frames);
    if (taken === 0 && this.#sockets.open().length === 0) {
      this.#presence.clearStale();
    }
    return Promise.resolve(taken);
  }

  notify(notice: Notice): Promise<void> {
    return Promise.resolve(this.#notices.notify(notice));
  }

  deliverToOthers(deviceId: string, frames: string[]): Promise<number> {
    const others = this.#sockets.open().filter((s) => this.#sockets.of(s).deviceId !== deviceId);
    return Promise.resolve(sendFrames(others, frames));
  }

  markWorldRead(seqId: number, headSeqId: number): Promise<number> {
    return Promise.resolve(this.#world.moveTo(seqId, headSeqId));
  }

  worldReadSeqId(): Promise<number> {
    return Promise.resolve(this.#world.seqId);
  }

  heads(): Promise<Record<string, number>> {
    return Promise.resolve(Object.fromEntries(this.#heads.newest));
  }

  reads(): Promise<Record<string, number>> {
    return Promise.resolve(Object.fromEntries(this.#heads.read));
  }

  // ---- the SQL outbox, and the alarm

  watchOutbox(): Promise<void> {
    return this.#outbox.watch();
  }

  override async alarm(): Promise<void> {
    await this.#presence.check();
    await this.#outbox.check();
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

  #refuse(
    socket: WebSocket,
    fault: Fault,
    ref?: string,
    send?: { clientMsgId: string; conversationId: string },
    requestId = newId(systemClock.now()),
  ): void {
    noteRefusal(fault);
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

  /** Who the user is now. */
  #actor(): Actor {
    const account = this.#store.fact("account");
    return { userId: this.#userId, isGuest: account?.isGuest === true, isAdmin: account?.role === "admin" };
  }
}
