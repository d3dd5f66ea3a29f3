import { describe, it } from "vitest";
import {
  GHOST_AFTER_MS,
  HEARTBEAT_SECONDS,
  OFFLINE_AFTER_MS,
  PRESENCE_RENEW_MS,
  PRESENCE_TTL_MS,
  SILENT_AFTER_MS,
} from "./presence.ts";

const HEARTBEAT_MS = HEARTBEAT_SECONDS * 1_000;

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
});
