import { afterAll, afterEach, beforeAll, describe, it } from "vitest";
import { gzipSync } from "node:zlib";
import { startServer, type TestServer } from "../support/server.ts";
import {
  befriend,
  call,
  forge,
  notTyped,
  openSocket,
  rawRequest,
  register,
  upgradeStatus,
  type Answer,
  type Call,
  type RawUser,
} from "./support/raw.ts";
import { uniqueName } from "../support/names.ts";

const KEY = Buffer.alloc(32, 7);
const SETTINGS = {
  JWT_KEYS: `test:${KEY.toString("base64url")}`,
  LIMIT_REQUESTS_PER_SECOND: "100000",
  LIMIT_REQUESTS_BURST: "100000",
  LIMIT_BODY_MS: "4000",
};

let server: TestServer;
let user: RawUser;
let friend: RawUser;
let conversationId: string;
let head = 0;

beforeAll(async () => {
  server = await startServer({ env: SETTINGS });
  [user, friend] = [await register(server), await register(server)];
  conversationId = await befriend(server, user, friend);
});
afterAll(() => server?.dispose());

/** After whatever was done: nothing was stored, and everybody else is served as if nothing had been. */
afterEach(async ({ expect }) => {
  head += 1;
  const body = { clientMsgId: `witness-${head}`, messageType: "text", content: `message ${head}` };
  const sent = await call(server, "POST", `/api/conversations/${conversationId}/messages`, {
    token: friend.token,
    body,
  });
  expect(sent.status).toBe(201);
  expect(sent.json).toMatchObject({ seqId: head });
  const list = await call(server, "GET", "/api/conversations", { token: friend.token });
  expect(list.json?.["items"]).toHaveLength(2);
});

const ask = (method: string, path: string, options: Call = {}): Promise<Answer> =>
  call(server, method, path, { token: user.token, ...options });

const SEND = (): string => `/api/conversations/${conversationId}/messages`;

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
        const answer = await ask(method, path, method === "GET" ? {} : { body: {} });
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
      ["PATCH", `/api/conversations/${conversationId}/messages`, "GET, HEAD, POST"],
      ["POST", "/health", "GET, HEAD"],
      ["PURGE", "/api/users/me", "GET, HEAD, PATCH"],
    ];
    for (const [method, path, allow] of wrong) {
      const answer = await ask(method, path, { body: {} });
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
        const answer = await ask("GET", path);
        // `.` and `..` are taken away by whoever reads a URL, so some of these name another resource, and may find it.
        const fine = answer.status === 200 && /^%?(2e)?\.*%?(2e)?$/i.test(id);
        expect(fine ? undefined : notTyped(answer), path.slice(0, 80)).toBeUndefined();
        expect(answer.headers).not.toHaveProperty("x-injected");
      }
      const body = { clientMsgId: "k", messageType: "text", content: "x" };
      expect(notTyped(await ask("POST", `/api/conversations/${id}/messages`, { body })), id).toBeUndefined();
      expect(notTyped(await ask("DELETE", `/api/users/me/sessions/${id}`)), id).toBeUndefined();
      expect(notTyped(await ask("DELETE", `/api/friends/${id}`)), id).toBeUndefined();
      expect(
        notTyped(await ask("PUT", `/api/friends/requests/${id}`, { body: { action: "accept" } })),
        id,
      ).toBeUndefined();
    }
  });

  it("that belong to others answer as those that do not exist", async ({ expect }) => {
    const stranger = await register(server);
    const known = await ask("GET", `/api/conversations/${conversationId}`, { token: stranger.token });
    const unknown = await ask("GET", `/api/conversations/group_${stranger.userId}`, { token: stranger.token });
    for (const answer of [known, unknown]) {
      expect(notTyped(answer, "CONVERSATION_NOT_FOUND")).toBeUndefined();
    }
    const text = (answer: Answer): string => answer.text.replace(/"requestId":"[^"]*"/, "");
    expect(text(known)).toBe(text(unknown));
  });
});

describe("bodies", () => {
  it("that are no JSON, no object, no UTF-8, of another type, too large", async ({ expect }) => {
    const type = (value: string): Call["headers"] => ({ "content-type": value });
    const bodies: [Call, string][] = [
      [{ body: "{" }, "INVALID_INPUT"],
      [{ body: '{"a":1}}' }, "INVALID_INPUT"],
      [{ body: "null" }, "INVALID_INPUT"],
      [{ body: "[]" }, "INVALID_INPUT"],
      [{ body: "1e999" }, "INVALID_INPUT"],
      [{ body: '"text"' }, "INVALID_INPUT"],
      [{ body: "" }, "INVALID_INPUT"],
      [{ body: "[".repeat(100_000) }, "INVALID_INPUT"],
      [{ body: `${'{"a":'.repeat(40_000)}1${"}".repeat(40_000)}` }, "INVALID_INPUT"],
      [{ body: Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]) }, "INVALID_INPUT"],
      [{ body: Buffer.from('{"a":1}', "utf16le") }, "INVALID_INPUT"],
      [{ body: "a=1&b=2", headers: type("application/x-www-form-urlencoded") }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "{}", headers: type("text/plain") }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "<a/>", headers: type("application/xml") }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "--x--", headers: type("multipart/form-data; boundary=x") }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "{}", headers: type("application/jsonp") }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: gzipSync("{}"), headers: { "content-encoding": "gzip" } }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "{}", headers: { "content-encoding": "rot13" } }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "{}", headers: { "content-encoding": "identity, gzip" } }, "UNSUPPORTED_MEDIA_TYPE"],
      [{ body: "{}", headers: { "content-encoding": "Identity" } }, "INVALID_INPUT"],
      [{ body: `"${"x".repeat(256 * 1024)}"` }, "PAYLOAD_TOO_LARGE"],
      [{ body: Buffer.alloc(8 * 1024 * 1024, 0x20) }, "PAYLOAD_TOO_LARGE"],
    ];
    for (const path of ["/api/auth/register", "/api/auth/login", "/api/conversations", SEND()]) {
      for (const [options, name] of bodies) {
        const answer = await ask("POST", path, options);
        const what = `${path} ${String(options.body).slice(0, 30)}`;
        expect(notTyped(answer, name as never), what).toBeUndefined();
      }
    }
  });

  it("sent in chunks without a length are counted as well", async ({ expect }) => {
    const chunk = "x".repeat(64 * 1024);
    const head0 = `POST ${SEND()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${user.token}\r\n`;
    const text = await rawRequest(
      server,
      `${head0}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${`10000\r\n${chunk}\r\n`.repeat(5)}0\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain("PAYLOAD_TOO_LARGE");
  });

  it("that never end are waited for only so long, then the connection ends", async ({ expect }) => {
    const head0 = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    const [chunked, announced] = await Promise.all([
      rawRequest(server, `${head0}Transfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n`, false),
      rawRequest(server, `${head0}Content-Length: 500\r\n\r\n{"`, false),
    ]);
    for (const text of [chunked, announced]) {
      expect(text).toMatch(/^HTTP\/1\.1 400 /);
      expect(text).toContain("the body did not end in time");
    }
  }, 20_000);

  it("of wrong fields: each named with its path, nothing taken", async ({ expect }) => {
    const name = uniqueName("never");
    const good = { username: name, password: "a good password" };
    const bad = [
      {},
      { ...good, username: 1 },
      { ...good, username: "ab" },
      { ...good, username: "a b c" },
      { ...good, username: "a/b" },
      { ...good, username: "x".repeat(33) },
      { ...good, username: "ünïcode" },
      { ...good, username: ["a"] },
      { ...good, password: "short" },
      { ...good, password: "x".repeat(129) },
      { ...good, password: null },
      { ...good, password: { length: 20 } },
      { ...good, displayName: "" },
      { ...good, displayName: "\u202eevil" },
      { ...good, displayName: "a\u0000b" },
      { ...good, displayName: "x".repeat(65) },
      { ...good, email: "no mail" },
      { ...good, email: `${"x".repeat(300)}@example.org` },
      { ...good, device: "phone" },
      { ...good, device: { id: "a/b" } },
      { ...good, device: { id: "x".repeat(65) } },
      { ...good, device: { kind: "toaster" } },
    ];
    for (const body of bad) {
      const answer = await ask("POST", "/api/auth/register", { body });
      expect(notTyped(answer, "INVALID_INPUT"), JSON.stringify(body).slice(0, 80)).toBeUndefined();
      expect((answer.json as { error: { fields: unknown[] } }).error.fields.length).toBeGreaterThan(0);
    }
    const raw = `{"username":"${name}","password":"a good password","displayName":"\\ud800"}`;
    expect(notTyped(await ask("POST", "/api/auth/register", { body: raw }), "INVALID_INPUT")).toBeUndefined();
    // None of them made the account.
    expect(notTyped(await ask("POST", "/api/auth/login", { body: good }), "UNAUTHENTICATED")).toBeUndefined();
  });

  it("with keys of the prototype, or fields that are not the caller's to set", async ({ expect }) => {
    const username = uniqueName("proto");
    const body = `{"username":"${username}","password":"a good password","role":"admin","isGuest":true,"userId":"x",
      "__proto__":{"role":"admin","isAdmin":true},"constructor":{"prototype":{"role":"admin"}}}`;
    const answer = await ask("POST", "/api/auth/register", { body });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ user: { username, role: "user", isGuest: false } });
    const patched = await ask("PATCH", "/api/users/me", {
      body: '{"role":"admin","__proto__":{"displayName":"owned"}}',
    });
    expect(patched.json).toMatchObject({ role: "user" });
    expect(patched.text).not.toContain("owned");
    const inherited = '{"__proto__":{"clientMsgId":"k","messageType":"text","content":"x"}}';
    expect(notTyped(await ask("POST", SEND(), { body: inherited }), "INVALID_INPUT")).toBeUndefined();
  });

  it("of sends that the socket would refuse as well", async ({ expect }) => {
    const good = { clientMsgId: "k", messageType: "text", content: "x" };
    const bad: object[] = [
      { ...good, clientMsgId: "a b" },
      { ...good, content: " " },
      { ...good, content: "x".repeat(8_001) },
      { ...good, content: 7 },
      { ...good, messageType: "image" },
      { ...good, mentions: ["x"] },
      { ...good, replyTo: "../x" },
    ];
    for (const body of bad) {
      expect(
        notTyped(await ask("POST", SEND(), { body }), "INVALID_INPUT"),
        JSON.stringify(body).slice(0, 60),
      ).toBeUndefined();
    }
    const surrogate = JSON.stringify(good).replace('"x"', '"\\udc00"');
    expect(notTyped(await ask("POST", SEND(), { body: surrogate }), "INVALID_INPUT")).toBeUndefined();
    const system = { ...good, messageType: "system" };
    expect(notTyped(await ask("POST", SEND(), { body: system }), "PERMISSION_DENIED")).toBeUndefined();
  });
});

describe("queries", () => {
  it("with numbers that are none of ours", async ({ expect }) => {
    const numbers = [
      "-1",
      "1.5",
      "1e3",
      "0x10",
      "",
      "NaN",
      "Infinity",
      "99999999999999999999",
      "null",
      "1;2",
      "%00",
      "٣",
    ];
    for (const n of numbers.map(encodeURI)) {
      for (const path of [
        `/api/conversations?limit=${n}`,
        `${SEND()}?limit=${n}`,
        `${SEND()}?before=${n}`,
        `${SEND()}?after=${n}`,
        `/api/friends?limit=${n}`,
      ]) {
        expect(notTyped(await ask("GET", path), "INVALID_INPUT"), path).toBeUndefined();
      }
      expect(
        notTyped(await ask("PUT", `/api/conversations/${conversationId}/read`, { body: `{"seqId":"${n}"}` })),
      ).toBeUndefined();
    }
    for (const limit of ["0", "101", "1000000"]) {
      expect(notTyped(await ask("GET", `/api/conversations?limit=${limit}`), "INVALID_INPUT")).toBeUndefined();
    }
  });

  it("with cursors and heads of the caller's invention", async ({ expect }) => {
    const texts = ["x", "../..", "bm90LW91cnM", "W10", "e30", "bnVsbA", "eyJfX3Byb3RvX18iOjF9", "A".repeat(2_000)];
    for (const text of texts) {
      for (const path of ["/api/conversations", "/api/friends", "/api/friends/requests", "/api/users?q=raw"]) {
        const answer = await ask("GET", `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(text)}`);
        expect(notTyped(answer, "INVALID_INPUT"), `${path} ${text}`).toBeUndefined();
      }
    }
    for (const heads of [
      "",
      "{",
      "[]",
      "null",
      '{"a/b":1}',
      `{"${conversationId}":-1}`,
      `{"${conversationId}":1e999}`,
    ]) {
      const answer = await ask("GET", `/api/sync?heads=${encodeURIComponent(heads)}`);
      expect(notTyped(answer, "INVALID_INPUT"), heads).toBeUndefined();
    }
    // The last one counts, or none does: what matters is that somebody decides.
    expect((await ask("GET", `${SEND()}?limit=1&limit=2`)).status).toBeLessThan(500);
    const wild = "%25_%5C'%22;--";
    expect((await ask("GET", `/api/users?q=${wild}`)).json).toMatchObject({ items: [] });
  });
});

describe("headers", () => {
  it("of ours from outside mean nothing; of theirs nothing comes back unlooked at", async ({ expect }) => {
    const spoofed = {
      "x-gochat-user": friend.userId,
      "x-gochat-device": friend.deviceId,
      "x-gochat-role": "admin",
      "x-gochat-guest": "0",
    };
    const me = await ask("GET", "/api/users/me", { headers: spoofed });
    expect(me.json).toMatchObject({ userId: user.userId, role: "user" });
    const noToken = await call(server, "GET", "/api/users/me", { headers: spoofed });
    expect(notTyped(noToken, "UNAUTHENTICATED")).toBeUndefined();
    for (const [sent, kept] of [
      ["my-request.1", true],
      ["x".repeat(65), false],
      ["<script>", false],
      ["", false],
    ] as const) {
      const answer = await ask("GET", "/api/users/me", { headers: { "x-request-id": sent } });
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
      const text = await rawRequest(server, bytes).catch(() => "");
      expect(text === "" || /^HTTP\/1\.1 4\d\d /.test(text), `${bytes.slice(0, 50)} → ${text.slice(0, 80)}`).toBe(true);
    }
    const upgrades: Parameters<typeof upgradeStatus>[1][] = [
      { headers: {}, protocols: ["gochat.v1"] },
      { headers: { authorization: `Bearer ${user.token}` }, path: "/ws/rooms/..%2f..%2fadmin" },
      { headers: { authorization: `Bearer ${user.token}` }, path: "/ws/rooms/world_chat_room?since=-1" },
      { headers: { authorization: `Bearer ${user.token}` }, path: "/ws/rooms/world_chat_room?since=1e9" },
      { headers: { authorization: `Bearer ${user.token}` }, path: "/ws/elsewhere" },
    ];
    const statuses = [];
    for (const upgrade of upgrades) {
      statuses.push((await upgradeStatus(server, upgrade)).status);
    }
    expect(statuses).toEqual([401, 404, 400, 400, 404]);
    expect(notTyped(await ask("GET", "/ws"), "INVALID_INPUT")).toBeUndefined();
  });
});

describe("tokens", () => {
  it("of no algorithm, another key, another time or another place open nothing", async ({ expect }) => {
    const now = Math.floor(Date.now() / 1000);
    const claims = { sub: user.userId, did: user.deviceId, role: "user", guest: false, iss: "gochat", aud: "gochat" };
    const good = { ...claims, iat: now, exp: now + 900 };
    const header = { alg: "HS256", kid: "test" };
    const genuine = forge(header, good, KEY);
    expect((await ask("GET", "/api/users/me", { token: genuine })).status).toBe(200);

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
      "another user's device": forge(header, { ...good, did: friend.deviceId }, KEY),
      "another user": forge(header, { ...good, sub: friend.userId }, KEY),
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
      "a refresh token": user.refreshToken,
    };
    for (const [what, token] of Object.entries(bad)) {
      expect(notTyped(await ask("GET", "/api/users/me", { token }), "UNAUTHENTICATED"), what).toBeUndefined();
      const upgrade = { headers: { authorization: `Bearer ${token}` }, protocols: ["gochat.v1"] };
      expect((await upgradeStatus(server, upgrade)).status, `${what} on /ws`).toBe(401);
    }
    for (const authorization of ["", "Bearer", "Basic dTpw", genuine, `Bearer ${genuine} x`, `Token ${genuine}`]) {
      const answer = await call(server, "GET", "/api/users/me", { headers: { authorization } });
      expect(notTyped(answer, "UNAUTHENTICATED"), authorization.slice(0, 20)).toBeUndefined();
    }
  });

  it("as a browser sends them: in the subprotocol, which is answered, and never in the URL", async ({ expect }) => {
    const offered = { protocols: ["gochat.v1", `gochat.bearer.${user.token}`] };
    expect((await upgradeStatus(server, offered)).status).toBe(101);
    expect((await upgradeStatus(server, { protocols: ["gochat.v1", "gochat.bearer.a.b.c"] })).status).toBe(401);
    expect((await upgradeStatus(server, { path: `/ws?token=${user.token}`, protocols: ["gochat.v1"] })).status).toBe(
      401,
    );
    const room = await openSocket(server, user.token, "/ws/rooms/world_chat_room");
    room.close();
  });

  it("of the role admin are what the account is, not what the token says", async ({ expect }) => {
    const now = Math.floor(Date.now() / 1000);
    const base = { sub: user.userId, did: user.deviceId, iss: "gochat", aud: "gochat", iat: now, exp: now + 900 };
    const token = forge({ alg: "HS256", kid: "test" }, { ...base, role: "admin", guest: false }, KEY);
    const body = { clientMsgId: "k", messageType: "system", content: "I am root" };
    expect(notTyped(await ask("POST", SEND(), { token, body }), "PERMISSION_DENIED")).toBeUndefined();
  });
});
