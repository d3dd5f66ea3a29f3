/**
 * A user's devices and their refresh tokens. One family of tokens a device: each refresh uses the
 * token up and gives the next; a used one that comes back means that somebody has a copy, and the
 * whole family dies. Token hashes come in from outside: the core knows no cryptography.
 */
import { err, ok, type Result } from "../protocol/errors.ts";

/** Settings with their defaults in `src/platform/settings.ts`. Source of both: WIRE "Accounts". */
export type DeviceLimits = { refreshTokenMs: number; devicesPerKind: number };

export type DeviceKind = "web" | "ios" | "android" | "desktop" | "bot";

export type DeviceRow = {
  deviceId: string;
  kind: DeviceKind;
  name?: string;
  createdAt: number;
  lastSeenAt: number;
  /** Access tokens issued before belong to an earlier sign-in of the same device, and are dead. */
  validFrom: number;
};

export type RefreshRow = { hash: string; deviceId: string; used: boolean; expiresAt: number };

/** The session's durable memory for devices. Writes happen inside the adapter's transaction. */
export interface DeviceStore {
  devices(): DeviceRow[];
  device(deviceId: string): DeviceRow | undefined;
  putDevice(row: DeviceRow): void;
  /** With all its tokens. */
  deleteDevice(deviceId: string): void;
  refresh(hash: string): RefreshRow | undefined;
  putRefresh(row: RefreshRow): void;
  pruneRefresh(expiredBefore: number): void;
}

/** A device signs in; beyond the limit of its kind the longest unused one is signed out. */
export function signIn(
  store: DeviceStore,
  wish: { id?: string; kind?: DeviceKind; name?: string },
  newDeviceId: string,
  tokenHash: string,
  limits: DeviceLimits,
  now: number,
): { device: DeviceRow; replaced: string[] } {
  const known = wish.id === undefined ? undefined : store.device(wish.id);
  const name = wish.name ?? known?.name;
  const device: DeviceRow = {
    deviceId: wish.id ?? newDeviceId,
    kind: wish.kind ?? known?.kind ?? "web",
    ...(name === undefined ? {} : { name }),
    createdAt: known?.createdAt ?? now,
    lastSeenAt: now,
    // Signed in again without having signed out: tokens of before go on.
    validFrom: known?.validFrom ?? now,
  };
  const replaced: string[] = [];
  if (known !== undefined) {
    // The same device again: its older family ends here.
    store.deleteDevice(known.deviceId);
  }
  const sameKind = store
    .devices()
    .filter((row) => row.kind === device.kind && row.deviceId !== device.deviceId)
    .toSorted((a, b) => a.lastSeenAt - b.lastSeenAt || a.createdAt - b.createdAt);
  for (const row of sameKind.slice(0, Math.max(0, sameKind.length - limits.devicesPerKind + 1))) {
    store.deleteDevice(row.deviceId);
    replaced.push(row.deviceId);
  }
  store.putDevice(device);
  store.putRefresh({
    hash: tokenHash,
    deviceId: device.deviceId,
    used: false,
    expiresAt: now + limits.refreshTokenMs,
  });
  return { device, replaced };
}

/**
 * Uses a refresh token up. UNAUTHENTICATED for an unknown or expired one; a reused one answers the
 * same, and names the device whose family (and sockets) must die.
 */
export function rotate(
  store: DeviceStore,
  presentedHash: string,
  nextHash: string,
  limits: DeviceLimits,
  now: number,
): { result: Result<DeviceRow>; revoked?: string } {
  const row = store.refresh(presentedHash);
  const device = row === undefined ? undefined : store.device(row.deviceId);
  if (row === undefined || device === undefined || row.expiresAt <= now) {
    return { result: err({ name: "UNAUTHENTICATED", detail: "unknown refresh token" }) };
  }
  if (row.used) {
    store.deleteDevice(device.deviceId);
    return {
      result: err({ name: "UNAUTHENTICATED", detail: "refresh token reused" }),
      revoked: device.deviceId,
    };
  }
  store.putRefresh({ ...row, used: true });
  store.putRefresh({
    hash: nextHash,
    deviceId: device.deviceId,
    used: false,
    expiresAt: now + limits.refreshTokenMs,
  });
  store.pruneRefresh(now);
  const seen = { ...device, lastSeenAt: now };
  store.putDevice(seen);
  return { result: ok(seen) };
}
