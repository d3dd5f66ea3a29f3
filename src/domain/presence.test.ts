import { describe, it } from "vitest";
import {
  GHOST_AFTER_MS,
  HEARTBEAT_SECONDS,
  nextAlarm,
  OFFLINE_AFTER_MS,
  onlineKey,
  PRESENCE_RENEW_MS,
  PRESENCE_TTL_MS,
  SILENT_AFTER_MS,
} from "./presence.ts";

const NOW = 1_700_000_000_000;
const HEARTBEAT_MS = HEARTBEAT_SECONDS * 1_000;

describe("the one alarm of a session", () => {
  it("is the earliest of its reasons", ({ expect }) => {
    expect(nextAlarm({ renewAt: NOW + 2, offlineAt: NOW + 1, outboxAt: NOW + 3 })).toBe(NOW + 1);
    expect(nextAlarm({ outboxAt: NOW + 3 })).toBe(NOW + 3);
    expect(nextAlarm({ renewAt: NOW, offlineAt: NOW })).toBe(NOW);
  });

  it("is not set without a reason", ({ expect }) => {
    expect(nextAlarm({})).toBeUndefined();
    expect(nextAlarm({ renewAt: undefined, offlineAt: undefined, outboxAt: undefined })).toBeUndefined();
  });

  it("is not forgotten for a reason that is overdue since the beginning of time", ({ expect }) => {
    expect(nextAlarm({ renewAt: 0, offlineAt: NOW })).toBe(0);
  });
});

describe("the times of presence", () => {
  it("let one renewal fail, and its alarm come half a minute late, before anybody seems away", ({ expect }) => {
    expect(2 * PRESENCE_RENEW_MS + 30_000).toBeLessThan(PRESENCE_TTL_MS);
  });

  it("take nobody for a ghost who misses three heartbeats", ({ expect }) => {
    expect(GHOST_AFTER_MS).toBeGreaterThan(3 * HEARTBEAT_MS);
    expect(GHOST_AFTER_MS).toBeLessThan(PRESENCE_RENEW_MS);
    expect(SILENT_AFTER_MS).toBeGreaterThan(GHOST_AFTER_MS);
  });

  it("tell friends that somebody is away after half a minute", ({ expect }) => {
    expect(OFFLINE_AFTER_MS).toBe(30_000);
  });

  it("keep each user under a key of their own", ({ expect }) => {
    expect(onlineKey("a")).toBe("user:online:a");
    expect(onlineKey("a")).not.toBe(onlineKey("b"));
  });
});
