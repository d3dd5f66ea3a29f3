/** Paths, headers and tokens that nobody should send. */
import { describe, it } from "vitest";
import { forge, notTyped, openSocket, rawRequest, register, upgradeStatus, call, type Answer } from "./support/raw.ts";
import { HostileStage, KEY } from "./support/hostile.ts";

const stage = HostileStage.setUp();

describe("paths and methods", () => {
  it("that there are not: NOT_FOUND or METHOD_NOT_ALLOWED with what is allowed", async ({ expect }) => {
    const unknown = [
      "/",
      "/api",
      "/api/",
      "/api/nothing",
      "/API/users/me",
      "/api/users/me/",
      "//api/users/me",
      "/api//users/me",
      "/api/conversations/",
      "/wp-login.php",
      "/.env",
      "/.git/config",
      "/api/conversations/a/b/c/d/e",
      `/api/${"x".repeat(8_000)}`,
    ];
    for (const path of unknown) {
      for (const method of ["GET", "POST", "DELETE", "PATCH", "PUT"]) {
        const answer = await stage.ask(method, path, method === "GET" ? {} : { body: {} });
        if (path !== "/" || method !== "GET") {
          expect(notTyped(answer, "NOT_FOUND"), `${method} ${path.slice(0, 60)}`).toBeUndefined();
        }
      }
    }
    const wrong: [string, string, string][] = [
      ["DELETE", "/api/users/me", "GET, HEAD, PATCH"],
      ["GET", "/api/auth/register", "POST"],
      ["PUT", "/api/auth/login", "POST"],
      ["POST", "/api/sync", "GET, HEAD"],
      ["PATCH", `/api/conversations/${stage.conversationId}/messages`, "GET, HEAD, POST"],
      ["POST", "/health", "GET, HEAD"],
      ["PURGE", "/api/users/me", "GET, HEAD, PATCH"],
    ];
    for (const [method, path, allow] of wrong) {
      const answer = await stage.ask(method, path, { body: {} });
      expect(notTyped(answer, "METHOD_NOT_ALLOWED"), `${method} ${path}`).toBeUndefined();
      expect(answer.headers["allow"]).toBe(allow);
    }
  });

  it("with slashes, dots, escapes and control characters in an id", async ({ expect }) => {
    const ids = [
      "..",
      ".",
      "%2e%2e",
      "%2e%2e%2f%2e%2e%2fadmin",
      "..%2f..%2fadmin",
      "a%2fb",
      "%00",
      "%0d%0aX-Injected:%201",
      "%ff",
      "%e0%a4%a",
      "%",
      "%zz",
      "%25252f",
      "%F0%9F%98%80",
      "%ed%a0%80",
      "__proto__",
      "constructor",
      "null",
      "undefined",
      "-1",
      "0",
      "1e9",
      "' OR 1=1 --",
      "*",
      "x".repeat(4_000),
    ].map((id) => id.replaceAll(" ", "%20"));
    for (const id of ids) {
      for (const path of [
        `/api/conversations/${id}`,
        `/api/conversations/${id}/messages`,
        `/api/conversations/${id}/members`,
        `/api/users/${id}`,
      ]) {
        const answer = await stage.ask("GET", path);
        // `.` and `..` are taken away by whoever reads a URL, so some of these name another resource, and may find it.
        const fine = answer.status === 200 && /^%?(2e)?\.*%?(2e)?$/i.test(id);
        expect(fine ? undefined : notTyped(answer), path.slice(0, 80)).toBeUndefined();
        expect(answer.headers).not.toHaveProperty("x-injected");
      }
      const body = { clientMsgId: "k", messageType: "text", content: "x" };
      expect(notTyped(await stage.ask("POST", `/api/conversations/${id}/messages`, { body })), id).toBeUndefined();
      expect(notTyped(await stage.ask("DELETE", `/api/users/me/sessions/${id}`)), id).toBeUndefined();
      expect(notTyped(await stage.ask("DELETE", `/api/friends/${id}`)), id).toBeUndefined();
      expect(
        notTyped(await stage.ask("PUT", `/api/friends/requests/${id}`, { body: { action: "accept" } })),
        id,
      ).toBeUndefined();
    }
  });

  it("that belong to others answer as those that do not exist", async ({ expect }) => {
    const stranger = await register(stage.server);
    const known = await stage.ask("GET", `/api/conversations/${stage.conversationId}`, { token: stranger.token });
    const unknown = await stage.ask("GET", `/api/conversations/group_${stranger.userId}`, { token: stranger.token });
    for (const answer of [known, unknown]) {
      expect(notTyped(answer, "CONVERSATION_NOT_FOUND")).toBeUndefined();
    }
    const text = (answer: Answer): string => answer.text.replace(/"requestId":"[^"]*"/, "");
    expect(text(known)).toBe(text(unknown));
  });
});

describe("headers", () => {
  it("of ours from outside mean nothing; of theirs nothing comes back unlooked at", async ({ expect }) => {
    const spoofed = {
      "x-gochat-user": stage.friend.userId,
      "x-gochat-device": stage.friend.deviceId,
      "x-gochat-role": "admin",
      "x-gochat-guest": "0",
    };
    const me = await stage.ask("GET", "/api/users/me", { headers: spoofed });
    expect(me.json).toMatchObject({ userId: stage.user.userId, role: "user" });
    const noToken = await call(stage.server, "GET", "/api/users/me", { headers: spoofed });
    expect(notTyped(noToken, "UNAUTHENTICATED")).toBeUndefined();
    for (const [sent, kept] of [
      ["my-request.1", true],
      ["x".repeat(65), false],
      ["<script>", false],
      ["", false],
    ] as const) {
      const answer = await stage.ask("GET", "/api/users/me", { headers: { "x-request-id": sent } });
      expect(answer.headers["x-request-id"] === sent, sent).toBe(kept);
    }
  });

  it("that no HTTP has: the connection ends, the server does not", async ({ expect }) => {
    const hostile = [
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "\u0000\u0001\u0002\r\n\r\n",
      `GET / HTTP/1.1\r\nHost: x\r\nX: ${"y".repeat(200_000)}\r\n\r\n`,
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
      "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{}",
    ];
    for (const bytes of hostile) {
      const text = await rawRequest(stage.server, bytes).catch(() => "");
      expect(text === "" || /^HTTP\/1\.1 4\d\d /.test(text), `${bytes.slice(0, 50)} → ${text.slice(0, 80)}`).toBe(true);
    }
    const upgrades: Parameters<typeof upgradeStatus>[1][] = [
      { headers: {}, protocols: ["gochat.v1"] },
      { headers: { authorization: `Bearer ${stage.user.token}` }, path: "/ws/rooms/..%2f..%2fadmin" },
      { headers: { authorization: `Bearer ${stage.user.token}` }, path: "/ws/rooms/world_chat_room?since=-1" },
      { headers: { authorization: `Bearer ${stage.user.token}` }, path: "/ws/rooms/world_chat_room?since=1e9" },
      { headers: { authorization: `Bearer ${stage.user.token}` }, path: "/ws/elsewhere" },
    ];
    const statuses = [];
    for (const upgrade of upgrades) {
      statuses.push((await upgradeStatus(stage.server, upgrade)).status);
    }
    expect(statuses).toEqual([401, 404, 400, 400, 404]);
    expect(notTyped(await stage.ask("GET", "/ws"), "INVALID_INPUT")).toBeUndefined();
  });
});

describe("tokens", () => {
  it("of no algorithm, another key, another time or another place open nothing", async ({ expect }) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      sub: stage.user.userId,
      did: stage.user.deviceId,
      role: "user",
      guest: false,
      iss: "gochat",
      aud: "gochat",
    };
    const good = { ...claims, iat: now, exp: now + 900 };
    const header = { alg: "HS256", kid: "test" };
    const genuine = forge(header, good, KEY);
    expect((await stage.ask("GET", "/api/users/me", { token: genuine })).status).toBe(200);

    const foreign = Buffer.alloc(32, 8);
    const [head64, body64, signature] = genuine.split(".") as [string, string, string];
    const admin = Buffer.from(JSON.stringify({ ...good, role: "admin" })).toString("base64url");
    const bad: Record<string, string> = {
      "alg none": forge({ alg: "none" }, good, undefined),
      "alg none with kid": forge({ alg: "none", kid: "test" }, good, undefined),
      "alg NONE": forge({ alg: "nOnE", kid: "test" }, good, undefined),
      "alg none, signed": forge({ alg: "none", kid: "test" }, good, KEY),
      "no alg": forge({ kid: "test" }, good, KEY),
      "alg HS512": forge({ alg: "HS512", kid: "test" }, good, KEY, "sha512"),
      "alg RS256": forge({ alg: "RS256", kid: "test" }, good, KEY),
      "another key": forge(header, good, foreign),
      "an empty key": forge(header, good, Buffer.alloc(0)),
      "no kid": forge({ alg: "HS256" }, good, KEY),
      "unknown kid": forge({ alg: "HS256", kid: "other" }, good, KEY),
      "kid of the prototype": forge({ alg: "HS256", kid: "__proto__" }, good, KEY),
      "kid is a path": forge({ alg: "HS256", kid: "../../dev/null" }, good, Buffer.alloc(0)),
      "kid is no text": forge({ alg: "HS256", kid: { toString: "test" } }, good, KEY),
      "key in the header": forge({ ...header, jwk: { kty: "oct", k: foreign.toString("base64url") } }, good, foreign),
      crit: forge({ ...header, crit: ["exp"] }, good, KEY),
      expired: forge(header, { ...good, iat: now - 1_000, exp: now - 100 }, KEY),
      "without an end": forge(header, { ...claims, iat: now }, KEY),
      "an end that is text": forge(header, { ...good, exp: String(now + 900) }, KEY),
      "not yet": forge(header, { ...good, nbf: now + 600 }, KEY),
      "another issuer": forge(header, { ...good, iss: "other" }, KEY),
      "another audience": forge(header, { ...good, aud: "other" }, KEY),
      "no device": forge(header, { ...good, did: undefined }, KEY),
      "another user's device": forge(header, { ...good, did: stage.friend.deviceId }, KEY),
      "another user": forge(header, { ...good, sub: stage.friend.userId }, KEY),
      "a user that is none": forge(header, { ...good, sub: "../admin" }, KEY),
      "a user that is no text": forge(header, { ...good, sub: { $ne: null } }, KEY),
      "other claims, old signature": `${head64}.${admin}.${signature}`,
      "half a signature": `${head64}.${body64}.${signature.slice(0, 20)}`,
      "no signature": `${head64}.${body64}.`,
      "two parts": `${head64}.${body64}`,
      "five parts": `${genuine}.a.b`,
      "not base64": "a.b.c",
      empty: "",
      "very long": `${genuine}${"A".repeat(10_000)}`,
      "a refresh token": stage.user.refreshToken,
    };
    for (const [what, token] of Object.entries(bad)) {
      expect(notTyped(await stage.ask("GET", "/api/users/me", { token }), "UNAUTHENTICATED"), what).toBeUndefined();
      const upgrade = { headers: { authorization: `Bearer ${token}` }, protocols: ["gochat.v1"] };
      expect((await upgradeStatus(stage.server, upgrade)).status, `${what} on /ws`).toBe(401);
    }
    for (const authorization of ["", "Bearer", "Basic dTpw", genuine, `Bearer ${genuine} x`, `Token ${genuine}`]) {
      const answer = await call(stage.server, "GET", "/api/users/me", { headers: { authorization } });
      expect(notTyped(answer, "UNAUTHENTICATED"), authorization.slice(0, 20)).toBeUndefined();
    }
  });

  it("as a browser sends them: in the subprotocol, which is answered, and never in the URL", async ({ expect }) => {
    const offered = { protocols: ["gochat.v1", `gochat.bearer.${stage.user.token}`] };
    expect((await upgradeStatus(stage.server, offered)).status).toBe(101);
    expect((await upgradeStatus(stage.server, { protocols: ["gochat.v1", "gochat.bearer.a.b.c"] })).status).toBe(401);
    expect(
      (await upgradeStatus(stage.server, { path: `/ws?token=${stage.user.token}`, protocols: ["gochat.v1"] })).status,
    ).toBe(401);
    const room = await openSocket(stage.server, stage.user.token, "/ws/rooms/world_chat_room");
    room.close();
  });

  it("of the role admin are what the account is, not what the token says", async ({ expect }) => {
    const now = Math.floor(Date.now() / 1000);
    const base = {
      sub: stage.user.userId,
      did: stage.user.deviceId,
      iss: "gochat",
      aud: "gochat",
      iat: now,
      exp: now + 900,
    };
    const token = forge({ alg: "HS256", kid: "test" }, { ...base, role: "admin", guest: false }, KEY);
    const body = { clientMsgId: "k", messageType: "system", content: "I am root" };
    expect(notTyped(await stage.ask("POST", stage.messagesPath, { token, body }), "PERMISSION_DENIED")).toBeUndefined();
  });
});
