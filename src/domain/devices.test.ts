import { describe, it } from "vitest";
import { rotate, signIn, type DeviceKind, type DeviceRow, type DeviceStore, type RefreshRow } from "./devices.ts";

const NOW = 1_700_000_000_000;
const DAY_MS = 24 * 3_600_000;
const limits = { refreshTokenMs: 30 * DAY_MS, devicesPerKind: 5 };

class MemoryDevices implements DeviceStore {
  readonly rows = new Map<string, DeviceRow>();
  readonly tokens = new Map<string, RefreshRow>();

  devices(): DeviceRow[] {
    return [...this.rows.values()];
  }
  device(deviceId: string): DeviceRow | undefined {
    return this.rows.get(deviceId);
  }
  putDevice(row: DeviceRow): void {
    this.rows.set(row.deviceId, row);
  }
  deleteDevice(deviceId: string): void {
    this.rows.delete(deviceId);
    for (const { hash, deviceId: owner } of this.tokens.values()) {
      if (owner === deviceId) {
        this.tokens.delete(hash);
      }
    }
  }
  refresh(hash: string): RefreshRow | undefined {
    return this.tokens.get(hash);
  }
  putRefresh(row: RefreshRow): void {
    this.tokens.set(row.hash, row);
  }
  pruneRefresh(expiredBefore: number): void {
    for (const { hash, expiresAt } of this.tokens.values()) {
      if (expiresAt <= expiredBefore) {
        this.tokens.delete(hash);
      }
    }
  }

  get ids(): string[] {
    return [...this.rows.keys()];
  }
}

/** A store with devices `d1`, `d2`, … of one kind, signed in a minute apart. */
function withDevices(count: number, kind: DeviceKind = "web"): MemoryDevices {
  const store = new MemoryDevices();
  for (let n = 1; n <= count; n++) {
    signIn(store, { kind }, `d${n}`, `token of d${n}`, limits, NOW + n * 60_000);
  }
  return store;
}

const LATER = NOW + DAY_MS;

describe("signing in", () => {
  it("without an id makes a new device each time, a browser if nothing is said", ({ expect }) => {
    const store = new MemoryDevices();
    const { device } = signIn(store, {}, "d1", "t1", limits, NOW);
    signIn(store, {}, "d2", "t2", limits, NOW);
    expect(device).toEqual({ deviceId: "d1", kind: "web", createdAt: NOW, lastSeenAt: NOW, validFrom: NOW });
    expect(store.ids).toEqual(["d1", "d2"]);
  });

  it("with a known id is the same device: what is not said again stays, access tokens of before go on", ({
    expect,
  }) => {
    const store = new MemoryDevices();
    signIn(store, { id: "mine", kind: "ios", name: "phone" }, "unused", "t1", limits, NOW);
    const { device, replaced } = signIn(store, { id: "mine" }, "unused", "t2", limits, LATER);
    expect(device).toEqual({
      deviceId: "mine",
      kind: "ios",
      name: "phone",
      createdAt: NOW,
      lastSeenAt: LATER,
      validFrom: NOW,
    });
    expect(replaced).toEqual([]);
    expect(store.ids).toEqual(["mine"]);
  });

  it("ends the older family of the same device", ({ expect }) => {
    const store = new MemoryDevices();
    signIn(store, { id: "mine" }, "", "old", limits, NOW);
    signIn(store, { id: "mine" }, "", "new", limits, LATER);
    expect(rotate(store, "old", "x", limits, LATER).result.ok).toBe(false);
    expect(rotate(store, "new", "next", limits, LATER).result.ok).toBe(true);
  });

  it("after signing out begins anew: access tokens of before are dead", ({ expect }) => {
    const store = new MemoryDevices();
    signIn(store, { id: "mine" }, "", "t1", limits, NOW);
    store.deleteDevice("mine");
    const { device } = signIn(store, { id: "mine" }, "", "t2", limits, LATER);
    expect([device.createdAt, device.validFrom]).toEqual([LATER, LATER]);
  });
});

describe("more devices of a kind than may be", () => {
  it("sign out the longest unused, with its tokens", ({ expect }) => {
    const store = withDevices(5);
    rotate(store, "token of d1", "next of d1", limits, LATER);
    const { replaced } = signIn(store, { kind: "web" }, "d6", "t6", limits, LATER + 1);
    expect(replaced).toEqual(["d2"]);
    expect(store.ids.toSorted()).toEqual(["d1", "d3", "d4", "d5", "d6"]);
    expect(rotate(store, "token of d2", "x", limits, LATER + 1)).toEqual({
      result: { ok: false, fault: { name: "UNAUTHENTICATED", detail: "unknown refresh token" } },
    });
  });

  it("do not count those of another kind, nor the device itself", ({ expect }) => {
    const store = withDevices(5);
    expect(signIn(store, { kind: "ios" }, "phone", "t", limits, LATER).replaced).toEqual([]);
    expect(signIn(store, { id: "d1", kind: "web" }, "", "t", limits, LATER).replaced).toEqual([]);
    expect(store.ids).toHaveLength(6);
  });

  it("count a device that has changed its kind where it is now", ({ expect }) => {
    const store = withDevices(5);
    signIn(store, { kind: "ios" }, "phone", "t", limits, LATER);
    expect(signIn(store, { id: "phone", kind: "web" }, "", "t", limits, LATER).replaced).toEqual(["d1"]);
  });

  it("are brought down to a limit that was lowered, all at once", ({ expect }) => {
    const store = withDevices(5);
    const { replaced } = signIn(store, { kind: "web" }, "d6", "t6", { ...limits, devicesPerKind: 2 }, LATER);
    expect(replaced).toEqual(["d1", "d2", "d3", "d4"]);
  });

  it("unused for equally long lose the oldest, and never the newcomer, whatever its clock says", ({ expect }) => {
    const store = new MemoryDevices();
    for (const [n, createdAt] of [3, 1, 2, 5, 4].entries()) {
      const deviceId = `d${n}`;
      store.putDevice({ deviceId, kind: "web", createdAt, lastSeenAt: NOW, validFrom: createdAt });
    }
    const { replaced } = signIn(store, { kind: "web" }, "new", "t", limits, NOW - DAY_MS);
    expect(replaced).toEqual(["d1"]);
    expect(store.ids).toContain("new");
  });
});

describe("a refresh token", () => {
  it("is used up by its use, and gives the next one a whole life", ({ expect }) => {
    const store = withDevices(1);
    const almost = NOW + 60_000 + limits.refreshTokenMs - 1;
    const { result, revoked } = rotate(store, "token of d1", "next", limits, almost);
    expect(result).toEqual({ ok: true, value: { ...store.device("d1"), lastSeenAt: almost } });
    expect(revoked).toBeUndefined();
    expect(rotate(store, "next", "third", limits, almost + limits.refreshTokenMs - 1).result.ok).toBe(true);
  });

  it("is dead at the end of its life, to the millisecond", ({ expect }) => {
    const store = withDevices(1);
    const end = NOW + 60_000 + limits.refreshTokenMs;
    expect(rotate(store, "token of d1", "next", limits, end).result).toEqual({
      ok: false,
      fault: { name: "UNAUTHENTICATED", detail: "unknown refresh token" },
    });
    // Being late is no theft.
    expect(store.ids).toEqual(["d1"]);
  });

  it("that comes a second time kills its family, the newest token too, and no other device", ({ expect }) => {
    const store = withDevices(2);
    rotate(store, "token of d1", "second", limits, LATER);
    rotate(store, "second", "third", limits, LATER);
    expect(rotate(store, "token of d1", "x", limits, LATER)).toEqual({
      result: { ok: false, fault: { name: "UNAUTHENTICATED", detail: "refresh token reused" } },
      revoked: "d1",
    });
    expect(rotate(store, "third", "x", limits, LATER).result.ok).toBe(false);
    expect(store.ids).toEqual(["d2"]);
    expect(rotate(store, "token of d2", "x", limits, LATER).result.ok).toBe(true);
  });

  it("that was used is still known as used as long as it could have lived", ({ expect }) => {
    const store = withDevices(1);
    rotate(store, "token of d1", "second", limits, LATER);
    rotate(store, "second", "third", limits, NOW + 60_000 + limits.refreshTokenMs - 1);
    expect(store.tokens.get("token of d1")?.used).toBe(true);
    rotate(store, "third", "fourth", limits, NOW + 60_000 + limits.refreshTokenMs);
    expect(store.tokens.has("token of d1")).toBe(false);
  });

  it("is unknown when its device is gone, or when nobody made it", ({ expect }) => {
    const store = withDevices(1);
    store.rows.delete("d1");
    expect(rotate(store, "token of d1", "x", limits, LATER).result.ok).toBe(false);
    expect(rotate(store, "", "x", limits, LATER).result.ok).toBe(false);
    expect(store.tokens.has("x")).toBe(false);
  });
});
