/** Bodies and queries that nobody should send. */
import { describe, it } from "vitest";
import { gzipSync } from "node:zlib";
import type { ErrorName } from "../../src/protocol/errors.ts";
import { uniqueName } from "../support/names.ts";
import { HostileStage } from "./support/hostile.ts";
import { notTyped, rawRequest, type Call } from "./support/raw.ts";

const stage = HostileStage.setUp();

describe("bodies", () => {
  it("that are no JSON, no object, no UTF-8, of another type, too large", async ({ expect }) => {
    const type = (value: string): Call["headers"] => ({ "content-type": value });
    const bodies: [Call, ErrorName][] = [
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
    for (const path of ["/api/auth/register", "/api/auth/login", "/api/conversations", stage.messagesPath]) {
      for (const [options, name] of bodies) {
        const answer = await stage.ask("POST", path, options);
        const what = `${path} ${String(options.body).slice(0, 30)}`;
        expect(notTyped(answer, name), what).toBeUndefined();
      }
    }
  });

  it("sent in chunks without a length are counted as well", async ({ expect }) => {
    const chunk = "x".repeat(64 * 1024);
    const head0 = `POST ${stage.messagesPath} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${stage.user.token}\r\n`;
    const text = await rawRequest(
      stage.server,
      `${head0}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${`10000\r\n${chunk}\r\n`.repeat(5)}0\r\n\r\n`,
    );
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toContain("PAYLOAD_TOO_LARGE");
  });

  it("that never end are waited for only so long, then the connection ends", async ({ expect }) => {
    const head0 = "POST /api/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    const [chunked, announced] = await Promise.all([
      rawRequest(stage.server, `${head0}Transfer-Encoding: chunked\r\n\r\n2\r\n{"\r\n`, false),
      rawRequest(stage.server, `${head0}Content-Length: 500\r\n\r\n{"`, false),
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
      const answer = await stage.ask("POST", "/api/auth/register", { body });
      expect(notTyped(answer, "INVALID_INPUT"), JSON.stringify(body).slice(0, 80)).toBeUndefined();
      expect((answer.json as { error: { fields: unknown[] } }).error.fields.length).toBeGreaterThan(0);
    }
    const raw = `{"username":"${name}","password":"a good password","displayName":"\\ud800"}`;
    expect(notTyped(await stage.ask("POST", "/api/auth/register", { body: raw }), "INVALID_INPUT")).toBeUndefined();
    // None of them made the account.
    expect(notTyped(await stage.ask("POST", "/api/auth/login", { body: good }), "UNAUTHENTICATED")).toBeUndefined();
  });

  it("with keys of the prototype, or fields that are not the caller's to set", async ({ expect }) => {
    const username = uniqueName("proto");
    const body = `{"username":"${username}","password":"a good password","role":"admin","isGuest":true,"userId":"x",
      "__proto__":{"role":"admin","isAdmin":true},"constructor":{"prototype":{"role":"admin"}}}`;
    const answer = await stage.ask("POST", "/api/auth/register", { body });
    expect(answer.status).toBe(201);
    expect(answer.json).toMatchObject({ user: { username, role: "user", isGuest: false } });
    const patched = await stage.ask("PATCH", "/api/users/me", {
      body: '{"role":"admin","__proto__":{"displayName":"owned"}}',
    });
    expect(patched.json).toMatchObject({ role: "user" });
    expect(patched.text).not.toContain("owned");
    const inherited = '{"__proto__":{"clientMsgId":"k","messageType":"text","content":"x"}}';
    expect(notTyped(await stage.ask("POST", stage.messagesPath, { body: inherited }), "INVALID_INPUT")).toBeUndefined();
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
        notTyped(await stage.ask("POST", stage.messagesPath, { body }), "INVALID_INPUT"),
        JSON.stringify(body).slice(0, 60),
      ).toBeUndefined();
    }
    const surrogate = JSON.stringify(good).replace('"x"', '"\\udc00"');
    expect(notTyped(await stage.ask("POST", stage.messagesPath, { body: surrogate }), "INVALID_INPUT")).toBeUndefined();
    const system = { ...good, messageType: "system" };
    expect(
      notTyped(await stage.ask("POST", stage.messagesPath, { body: system }), "PERMISSION_DENIED"),
    ).toBeUndefined();
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
        `${stage.messagesPath}?limit=${n}`,
        `${stage.messagesPath}?before=${n}`,
        `${stage.messagesPath}?after=${n}`,
        `/api/friends?limit=${n}`,
      ]) {
        expect(notTyped(await stage.ask("GET", path), "INVALID_INPUT"), path).toBeUndefined();
      }
      expect(
        notTyped(
          await stage.ask("PUT", `/api/conversations/${stage.conversationId}/read`, { body: `{"seqId":"${n}"}` }),
        ),
      ).toBeUndefined();
    }
    for (const limit of ["0", "101", "1000000"]) {
      expect(notTyped(await stage.ask("GET", `/api/conversations?limit=${limit}`), "INVALID_INPUT")).toBeUndefined();
    }
  });

  it("with cursors and heads of the caller's invention", async ({ expect }) => {
    const texts = ["x", "../..", "bm90LW91cnM", "W10", "e30", "bnVsbA", "eyJfX3Byb3RvX18iOjF9", "A".repeat(2_000)];
    for (const text of texts) {
      for (const path of ["/api/conversations", "/api/friends", "/api/friends/requests", "/api/users?q=raw"]) {
        const answer = await stage.ask(
          "GET",
          `${path}${path.includes("?") ? "&" : "?"}cursor=${encodeURIComponent(text)}`,
        );
        expect(notTyped(answer, "INVALID_INPUT"), `${path} ${text}`).toBeUndefined();
      }
    }
    for (const heads of [
      "",
      "{",
      "[]",
      "null",
      '{"a/b":1}',
      `{"${stage.conversationId}":-1}`,
      `{"${stage.conversationId}":1e999}`,
    ]) {
      const answer = await stage.ask("GET", `/api/sync?heads=${encodeURIComponent(heads)}`);
      expect(notTyped(answer, "INVALID_INPUT"), heads).toBeUndefined();
    }
    // The last one counts, or none does: what matters is that somebody decides.
    expect((await stage.ask("GET", `${stage.messagesPath}?limit=1&limit=2`)).status).toBeLessThan(500);
    const wild = "%25_%5C'%22;--";
    expect((await stage.ask("GET", `/api/users?q=${wild}`)).json).toMatchObject({ items: [] });
  });
});
