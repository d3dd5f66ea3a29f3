import { describe, it } from "vitest";
import { checkSettings, DEFAULT_LIMITS, parseSettings, settingsOf } from "./settings.ts";

const KEY = "A".repeat(43);

describe("settings", () => {
  it("needs nothing but a key, and then has the defaults of the wire", ({ expect }) => {
    const result = parseSettings({ JWT_KEYS: `k1:${KEY}`, DB: {}, ROOMS: {} });
    expect(result).toMatchObject({
      ok: true,
      value: { corsOrigins: [], adminKey: undefined, sql: "d1", bus: "queues", cache: "embedded", upstream: "direct" },
    });
    expect(result.ok && result.value.limits).toEqual(DEFAULT_LIMITS);
    expect(DEFAULT_LIMITS).toMatchObject({
      sends: { perSecond: 20, burst: 40 },
      worldSends: { perSecond: 1, burst: 5 },
      frameBytes: 65_536,
      bodyBytes: 262_144,
      bodyMs: 30_000,
    });
  });

  it("reads two keys: the first signs", ({ expect }) => {
    const result = parseSettings({ JWT_KEYS: `new:${KEY}, old:${"B".repeat(64)}=` });
    expect(result.ok && result.value.jwtKeys.map((key) => [key.kid, key.secret.length])).toEqual([
      ["new", 32],
      ["old", 48],
    ]);
  });

  it.for([
    [{}, "JWT_KEYS is not set"],
    [{ JWT_KEYS: "" }, "JWT_KEYS must be kid:base64url"],
    [{ JWT_KEYS: "k1:short" }, "JWT_KEYS must be kid:base64url"],
    [{ JWT_KEYS: `k1:${KEY},` }, "JWT_KEYS must be kid:base64url"],
    [{ JWT_KEYS: `k1:${KEY},k1:${KEY}` }, "JWT_KEYS names the same kid twice"],
    [{ JWT_KEYS: `k1:${KEY}`, SQL: "oracle" }, "SQL must be one of: d1"],
    [{ JWT_KEYS: `k1:${KEY}`, CORS_ORIGINS: "https://a.example, nonsense" }, "CORS_ORIGINS"],
    [{ JWT_KEYS: `k1:${KEY}`, GOCHAT_ADMIN_KEY: "short" }, "GOCHAT_ADMIN_KEY must have at least 16"],
    [{ JWT_KEYS: `k1:${KEY}`, LIMIT_FRAME_BYTES: "lots" }, "LIMIT_FRAME_BYTES must be a whole number between"],
    [{ JWT_KEYS: `k1:${KEY}`, LIMIT_FRAME_BYTES: "-1" }, "LIMIT_FRAME_BYTES must be a whole number between"],
    [{ JWT_KEYS: `k1:${KEY}`, LIMIT_FRAME_BYTES: "1e4" }, "LIMIT_FRAME_BYTES must be a whole number between"],
    [{ JWT_KEYS: `k1:${KEY}`, LIMIT_FRAME_BYTES: "0" }, "LIMIT_FRAME_BYTES must be a whole number between"],
  ] as const)("says what is wrong: %j", ([env, message], { expect }) => {
    const result = parseSettings(env);
    expect(result.ok).toBe(false);
    const problems = result.ok ? [] : result.problems;
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(message);
  });

  it("never repeats a secret in a message", ({ expect }) => {
    const result = parseSettings({ JWT_KEYS: "k1:hunter2", GOCHAT_ADMIN_KEY: "hunter2" });
    expect(result.ok ? "" : result.problems.join()).not.toContain("hunter2");
  });

  it("takes limits as text or number", ({ expect }) => {
    const env = { JWT_KEYS: `k1:${KEY}`, LIMIT_SENDS_PER_SECOND: "1000", LIMIT_SENDS_BURST: 2000 };
    expect(settingsOf(env).limits).toMatchObject({ sends: { perSecond: 1000, burst: 2000 }, frameBytes: 65_536 });
  });

  it("parses an environment once", ({ expect }) => {
    const env = { JWT_KEYS: `k1:${KEY}` };
    expect(checkSettings(env)).toBe(checkSettings(env));
  });

  it("refuses to hand out wrong settings", ({ expect }) => {
    expect(() => settingsOf({})).toThrow("wrong settings: JWT_KEYS is not set");
  });
});

describe("the switch for faults", () => {
  it("is only for a Worker that npm start runs", ({ expect }) => {
    const JWT_KEYS = `k:${"a".repeat(43)}`;
    expect(parseSettings({ JWT_KEYS, TEST_FAULTS: "on" })).toMatchObject({ ok: false });
    expect(parseSettings({ JWT_KEYS, TEST_FAULTS: "on", GOCHAT_LOCAL: "yes" })).toMatchObject({ ok: false });
    expect(parseSettings({ JWT_KEYS, TEST_FAULTS: "on", GOCHAT_LOCAL: "npm start" })).toMatchObject({
      ok: true,
      value: { testFaults: true },
    });
    expect(parseSettings({ JWT_KEYS })).toMatchObject({ ok: true, value: { testFaults: false } });
  });
});
