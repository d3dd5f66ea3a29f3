/** Devices and refresh tokens of one user: the rules of `src/domain/devices.ts`, and closing sockets. */
import { createHash } from "node:crypto";
import { afterTold, type Ban } from "../domain/ban.ts";
import { rotate, signIn, type DeviceLimits, type DeviceRow } from "../domain/devices.ts";
import { systemClock } from "../platform/clock.ts";
import { newId, randomToken } from "../platform/ids.ts";
import type { DeviceWish, SignedIn, SignInUser } from "../platform/rpc.ts";
import { err, ok, type ErrorName, type Result } from "../protocol/errors.ts";
import type { Device } from "../protocol/things.ts";
import { log } from "../telemetry/log.ts";
import type { SessionSockets } from "./SessionSockets.ts";
import type { SessionSqlStore } from "./SessionSqlStore.ts";

const REFRESH_TOKEN_BYTES = 32;
/** The time of a device's last use is written at most so often; in between it is known in memory. */
const USE_WRITTEN_EVERY_MS = 5 * 60_000;

/** What closes when a device is signed out. */
type Closing = { sockets: SessionSockets; closeRooms(deviceId: string, name: ErrorName): void };

export class SessionAccounts {
  readonly #userId: string;
  readonly #store: SessionSqlStore;
  readonly #sockets: SessionSockets;
  readonly #closeRooms: Closing["closeRooms"];
  readonly #limits: DeviceLimits;
  /** When each device last called or connected, epoch milliseconds. */
  readonly #usedAt = new Map<string, number>();

  constructor(userId: string, store: SessionSqlStore, limits: DeviceLimits, { sockets, closeRooms }: Closing) {
    this.#userId = userId;
    this.#store = store;
    this.#limits = limits;
    this.#sockets = sockets;
    this.#closeRooms = closeRooms;
  }

  /**
   * The account behind an access token: its device is signed in, by the sign-in that the token came
   * from or one before it was refreshed. Else undefined.
   * @param issuedAtMs when the token was made, epoch milliseconds
   */
  signedIn(deviceId: string, issuedAtMs: number): SignInUser | undefined {
    const device = this.#store.device(deviceId);
    if (device === undefined || issuedAtMs < device.validFrom) {
      return undefined;
    }
    const now = systemClock.now();
    this.#usedAt.set(deviceId, now);
    if (now - device.lastSeenAt >= USE_WRITTEN_EVERY_MS) {
      this.#store.transaction(() => this.#store.putDevice({ ...device, lastSeenAt: now }));
    }
    return this.#store.fact("account");
  }

  /** The devices as they were last used: those with an open socket are in use now. */
  #devices(): DeviceRow[] {
    const now = systemClock.now();
    return this.#store.devices().map((row) => {
      const usedAt = this.#sockets.ofDevice(row.deviceId).length > 0 ? now : this.#usedAt.get(row.deviceId);
      return { ...row, lastSeenAt: Math.max(row.lastSeenAt, usedAt ?? 0) };
    });
  }

  signIn(user: SignInUser, wish: DeviceWish): Result<SignedIn> {
    if (this.#store.fact("ban")?.banned === true) {
      // Banned between the look into SQL and this call.
      return err({ name: "BANNED" });
    }
    const token = this.#newToken();
    const now = systemClock.now();
    const { device, replaced } = this.#store.transaction(() => {
      this.#store.saveFact("account", user);
      // Whoever is signed out for the new one must be the longest unused, not the first to have signed in.
      for (const row of this.#devices()) {
        this.#store.putDevice(row);
      }
      return signIn(this.#store, wish, newId(now), hashOf(token), this.#limits, now);
    });
    for (const deviceId of replaced) {
      const sockets = this.#sockets.ofDevice(deviceId);
      this.#sockets.send(sockets, { type: "session-replaced", data: {} });
      this.#close(deviceId, "SESSION_REPLACED");
    }
    return ok({ deviceId: device.deviceId, refreshToken: token, validFrom: device.validFrom });
  }

  refresh(presented: string): Result<SignedIn & { user: SignInUser }> {
    const user = this.#store.fact("account");
    if (user === undefined) {
      // Somebody made the id up: nothing is stored for that.
      return err({ name: "UNAUTHENTICATED" });
    }
    const token = this.#newToken();
    const { result, revoked } = this.#store.transaction(() =>
      rotate(this.#store, hashOf(presented), hashOf(token), this.#limits, systemClock.now()),
    );
    if (revoked !== undefined) {
      log("warn", "a used refresh token came back, its family is revoked", {
        userId: this.#userId,
        deviceId: revoked,
      });
      this.#close(revoked, "UNAUTHENTICATED");
    }
    return result.ok
      ? ok({
          deviceId: result.value.deviceId,
          refreshToken: token,
          validFrom: result.value.validFrom,
          user,
        })
      : err({ name: "UNAUTHENTICATED" });
  }

  devices(currentDeviceId: string): Device[] {
    return this.#devices().map(({ validFrom: _inside, ...row }) => ({
      ...row,
      online: this.#sockets.ofDevice(row.deviceId).length > 0,
      current: row.deviceId === currentDeviceId,
    }));
  }

  removeDevice(deviceId: string): Result<void> {
    if (this.#store.device(deviceId) === undefined) {
      return err({ name: "NOT_FOUND" });
    }
    this.#store.transaction(() => this.#store.deleteDevice(deviceId));
    this.#close(deviceId, "UNAUTHENTICATED");
    return ok(undefined);
  }

  /** An admin's decision. What is known already changes nothing. */
  setBan(told: Ban): void {
    const next = afterTold(this.#store.fact("ban"), told);
    if (next === undefined) {
      return;
    }
    this.#store.transaction(() => this.#store.saveFact("ban", next));
    if (next.banned) {
      this.signOutAll("BANNED");
    }
  }

  /** Every device at once: tokens die, sockets close with this error's code. */
  signOutAll(name: ErrorName): void {
    const deviceIds = this.#store.devices().map((row) => row.deviceId);
    this.#store.transaction(() => {
      for (const deviceId of deviceIds) {
        this.#store.deleteDevice(deviceId);
      }
    });
    for (const deviceId of deviceIds) {
      this.#close(deviceId, name);
    }
  }

  /** A guest became a user, or a role changed: sockets that are open know it at once. */
  changed(user: SignInUser): void {
    this.#store.transaction(() => this.#store.saveFact("account", user));
    const isAdmin = user.role === "admin";
    for (const socket of this.#sockets.open()) {
      const attachment = this.#sockets.of(socket);
      this.#sockets.remember(socket, { ...attachment, isGuest: user.isGuest, isAdmin });
    }
  }

  /** All sockets of a device that is no longer signed in, here and at the shards. */
  #close(deviceId: string, name: ErrorName): void {
    this.#usedAt.delete(deviceId);
    this.#sockets.closeDevice(deviceId, name);
    this.#closeRooms(deviceId, name);
  }

  /** Begins with the user's id, so that the gateway finds this object. */
  #newToken(): string {
    return `${this.#userId}.${randomToken(REFRESH_TOKEN_BYTES)}`;
  }
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("base64url");
}
