import { SignJWT } from "jose";
import { describe, it } from "vitest";
import { accessTokens, bearerToken, subprotocolToken, userOfRefreshToken, type AccessClaims } from "./tokens.ts";
import type { JwtKey } from "./settings.ts";

const LIFE_MS = 900_000;
const NOW = 1_700_000_000_123;
const USER = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const CLAIMS: AccessClaims = { userId: USER, deviceId: "device-1", role: "user", isGuest: true, issuedAt: NOW };

function key(kid: string, fill: number): JwtKey {
  return { kid, secret: new Uint8Array(32).fill(fill) };
}

function base64url(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

const tokens = accessTokens([key("a", 1)], LIFE_MS);

describe("access tokens", () => {
  it("gives back what was signed, to the millisecond", async ({ expect }) => {
    expect(await tokens.verify(await tokens.sign(CLAIMS), NOW)).toEqual({ ok: true, value: CLAIMS });
    const admin = { ...CLAIMS, role: "admin", isGuest: false } as const;
    expect(await tokens.verify(await tokens.sign(admin), NOW)).toEqual({ ok: true, value: admin });
  });

  it("ends after its life", async ({ expect }) => {
    const token = await tokens.sign(CLAIMS);
    expect((await tokens.verify(token, NOW + LIFE_MS - 1)).ok).toBe(true);
    expect(await tokens.verify(token, NOW + LIFE_MS + 2000)).toEqual({ ok: false, fault: { name: "UNAUTHENTICATED" } });
  });

  it("accepts the old key while both are there, and not afterwards", async ({ expect }) => {
    const token = await tokens.sign(CLAIMS);
    const rotated = accessTokens([key("b", 2), key("a", 1)], LIFE_MS);
    expect((await rotated.verify(token, NOW)).ok).toBe(true);
    expect((await tokens.verify(await rotated.sign(CLAIMS), NOW)).ok).toBe(false);
    const done = accessTokens([key("b", 2)], LIFE_MS);
    expect((await done.verify(token, NOW)).ok).toBe(false);
  });

  it("refuses everything that is not ours, alike", async ({ expect }) => {
    const good = await tokens.sign(CLAIMS);
    const [header = "", payload = "", signature = ""] = good.split(".");
    const claims = {
      sub: USER,
      did: "d",
      guest: false,
      iss: "gochat",
      aud: "gochat",
      iat: NOW / 1000,
      exp: NOW / 1000 + 900,
    };
    const sign = (body: object, head: object, secret = key("a", 1).secret): Promise<string> =>
      new SignJWT({ ...body }).setProtectedHeader({ alg: "HS256", ...head }).sign(secret);
    const bad: Record<string, string> = {
      empty: "",
      "not a token": "hello",
      "alg none": `${base64url({ alg: "none" })}.${payload}.`,
      "alg none with kid": `${base64url({ alg: "none", kid: "a" })}.${payload}.${signature}`,
      "another key": await sign(claims, { kid: "a" }, key("x", 9).secret),
      "unknown kid": await sign(claims, { kid: "zz" }),
      "no kid": await sign(claims, {}),
      "another algorithm": await new SignJWT(claims)
        .setProtectedHeader({ alg: "HS512", kid: "a" })
        .sign(new Uint8Array(64).fill(1)),
      "changed payload": `${header}.${base64url({ ...claims, sub: "someone else" })}.${signature}`,
      "other issuer": await sign({ ...claims, iss: "other" }, { kid: "a" }),
      "other audience": await sign({ ...claims, aud: "other" }, { kid: "a" }),
      "no device": await sign({ ...claims, did: undefined }, { kid: "a" }),
      "device of a wrong type": await sign({ ...claims, did: 7 }, { kid: "a" }),
      "no end": await sign({ ...claims, exp: undefined }, { kid: "a" }),
      "too long": `${good}${"A".repeat(4000)}`,
    };
    expect((await tokens.verify(await sign(claims, { kid: "a" }), NOW)).ok).toBe(true);
    for (const [what, token] of Object.entries(bad)) {
      expect(await tokens.verify(token, NOW), what).toEqual({ ok: false, fault: { name: "UNAUTHENTICATED" } });
    }
  });
});

describe("where tokens come from", () => {
  it("reads the header", ({ expect }) => {
    expect(bearerToken("Bearer abc.def-_")).toBe("abc.def-_");
    expect(bearerToken("bearer  abc")).toBe("abc");
    for (const header of [null, "", "Bearer", "Bearer ", "Basic abc", "abc", "Bearer a b"]) {
      expect(bearerToken(header), String(header)).toBeNull();
    }
  });

  it("reads the subprotocol", ({ expect }) => {
    expect(subprotocolToken("gochat.v1, gochat.bearer.abc.def")).toBe("abc.def");
    for (const offered of [null, "", "gochat.v1", "gochat.bearer.", "xgochat.bearer.abc"]) {
      expect(subprotocolToken(offered), String(offered)).toBeNull();
    }
  });

  it("reads the user of a refresh token", ({ expect }) => {
    expect(userOfRefreshToken(`${USER}.${"a".repeat(43)}`)).toBe(USER);
    for (const token of [
      "",
      USER,
      `${USER}.`,
      `${USER}.short`,
      `x.${"a".repeat(43)}`,
      `../${USER}.${"a".repeat(43)}`,
    ]) {
      expect(userOfRefreshToken(token), token).toBeNull();
    }
  });
});
