import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { app } from "../../src/http/app.ts";
import { DRAIN_BYTES } from "../../src/http/bodyText.ts";
import { VERSION } from "../../src/http/health.ts";
import { ERRORS } from "../../src/protocol/errors.ts";
import { ErrorBody } from "../../src/protocol/things.ts";
import { envWith, envWithoutSql } from "./support/harness.ts";
import { register, request } from "./support/http.ts";

const JSON_TYPE = { "Content-Type": "application/json" };

describe("every answer", () => {
  it("carries its headers and an id", async ({ expect }) => {
    const { response } = await request("GET", "/health");
    expect(response.headers.get("X-Request-Id")).toMatch(/^[0-9A-Z]{26}$/);
    expect(response.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(response.headers.get("Cache-Control")).toBe("no-store");
    expect(response.headers.get("Access-Control-Allow-Origin")).toBeNull();
  });

  it("takes a sane id from the caller, also into errors, and no other", async ({ expect }) => {
    const sane = await request("GET", "/api/nothing", { headers: { "X-Request-Id": "trace-1.2:3_4" } });
    expect(sane.response.headers.get("X-Request-Id")).toBe("trace-1.2:3_4");
    expect(sane.error?.requestId).toBe("trace-1.2:3_4");
    for (const id of ["", "a b", "x".repeat(65), "<script>"]) {
      const { response } = await request("GET", "/health", { headers: { "X-Request-Id": id } });
      expect(response.headers.get("X-Request-Id"), id).toMatch(/^[0-9A-Z]{26}$/);
    }
  });
});

describe("health and documents", () => {
  it("says that all is well", async ({ expect }) => {
    const { response, body } = await request("GET", "/health");
    expect(response.status).toBe(200);
    expect(body).toEqual({ status: "ok", version: VERSION, checks: { sql: "ok", cache: "ok", bus: "ok" } });
  });

  it("describes every route that there is, and only those", async ({ expect }) => {
    const { response, body } = await request("GET", "/openapi.json");
    expect(response.status).toBe(200);
    const document = body as { paths: Record<string, Record<string, { responses: object; security?: object[] }>> };
    const described = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const undocumented = new Set(["/openapi.json", "/docs", "/ws", "/ws/rooms/{id}", "/testing/faults"]);
    const served = app.routes
      .filter((route) => route.method !== "ALL")
      .map((route) => ({ method: route.method, path: route.path.replaceAll(/:(\w+)/g, "{$1}") }))
      .filter((route) => !undocumented.has(route.path))
      .map((route) => `${route.method} ${route.path}`);
    expect(described.toSorted()).toEqual([...new Set(served)].toSorted());
    const open = described.filter((one) => {
      const [method = "", path = ""] = one.split(" ");
      return document.paths[path]?.[method.toLowerCase()]?.security === undefined;
    });
    expect(open.toSorted()).toEqual([
      "GET /health",
      "POST /api/auth/guest",
      "POST /api/auth/login",
      "POST /api/auth/refresh",
      "POST /api/auth/register",
    ]);
  });

  it("names all values of a field that has several, and no body where none is needed", async ({ expect }) => {
    type Property = { enum?: unknown[] };
    type Document = {
      components: { schemas: Record<string, { properties: Record<string, Property> }> };
      paths: Record<string, Record<string, { requestBody?: { required?: boolean } }>>;
    };
    const { components, paths } = (await request("GET", "/openapi.json")).body as Document;
    const values = (schema: string, field: string): unknown => components.schemas[schema]?.properties[field]?.enum;
    expect([values("Conversation", "type"), values("Member", "role"), values("MemberChangeBody", "role")]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [1, 2],
    ]);
    const needed = (method: string, path: string): unknown => paths[path]?.[method]?.requestBody?.required === true;
    expect(needed("patch", "/api/users/me")).toBe(false);
    expect(needed("put", "/api/conversations/{id}/settings")).toBe(false);
    expect(needed("post", "/api/auth/login")).toBe(true);
  });

  it("shows them as a page with nothing from outside", async ({ expect }) => {
    const { response, text } = await request("GET", "/docs");
    expect(response.status).toBe(200);
    expect(response.headers.get("Content-Type")).toMatch(/^text\/html/);
    expect(response.headers.get("Content-Security-Policy")).toContain("default-src 'none'");
    expect(text).toContain("/api/auth/register");
    expect(text).toContain('id="schema-Message"');
    expect(text).not.toMatch(/<script|https?:\/\/|src=/);
  });
});

describe("what fits nothing", () => {
  it("is not found, or not with this method", async ({ expect }) => {
    for (const path of [
      "/",
      "/api",
      "/api/",
      "/api/nothing",
      "/api/users/",
      "/api/users/me/",
      "/API/users/me",
      "/ws/x",
    ]) {
      const { response, error } = await request("GET", path);
      expect([path, response.status, error?.code]).toEqual([path, 404, 1014]);
    }
    for (const [method, path, allow] of [
      ["POST", "/api/users/me", "GET, HEAD, PATCH"],
      ["DELETE", "/api/auth/login", "POST"],
      ["OPTIONS", "/api/conversations", "GET, HEAD, POST"],
      ["POST", "/health", "GET, HEAD"],
      ["PUT", "/ws", "GET, HEAD"],
    ] as const) {
      const { response, error } = await request(method, path);
      expect([path, response.status, error?.name]).toEqual([path, 405, "METHOD_NOT_ALLOWED"]);
      expect(response.headers.get("Allow"), path).toBe(allow);
    }
  });

  it("answers HEAD as GET without a body", async ({ expect }) => {
    const { response, text } = await request("HEAD", "/health");
    expect([response.status, text]).toEqual([200, ""]);
  });

  it("answers for an id that cannot be one as for one that nothing has", async ({ expect }) => {
    const me = await register();
    const group = "/api/conversations/group_01KY0000000000000000000000";
    for (const [method, path, name] of [
      ["GET", "/api/users/%E0%A4%A", "USER_NOT_FOUND"],
      ["GET", "/api/users/%00", "USER_NOT_FOUND"],
      ["GET", "/api/users/..%2f..%2fetc", "USER_NOT_FOUND"],
      ["GET", "/api/users/%", "USER_NOT_FOUND"],
      ["GET", "/api/conversations/group_nope", "CONVERSATION_NOT_FOUND"],
      ["GET", "/api/conversations/group_x%2Fy/messages", "CONVERSATION_NOT_FOUND"],
      ["GET", "/api/conversations/__proto__", "CONVERSATION_NOT_FOUND"],
      ["GET", "/api/conversations/constructor/members", "CONVERSATION_NOT_FOUND"],
      ["DELETE", "/api/conversations/nope/members/nope", "CONVERSATION_NOT_FOUND"],
      ["DELETE", `${group}/members/nope`, "USER_NOT_FOUND"],
      ["DELETE", "/api/users/me/sessions/no%20device", "NOT_FOUND"],
      ["DELETE", "/api/friends/nobody", "NOT_FOUND"],
    ] as const) {
      const { response, error } = await request(method, path, { token: me.accessToken });
      expect([path, response.status, error?.name]).toEqual([path, 404, name]);
    }
  });

  it("survives every kind of broken path and query", async ({ expect }) => {
    const me = await register();
    for (const path of [
      "/api/conversations?limit=0",
      "/api/conversations?limit=101",
      "/api/conversations?limit=-1",
      "/api/conversations?limit=1e1",
      "/api/conversations?limit=99999999999999999999",
      "/api/conversations?limit=1&limit=2",
      "/api/conversations?cursor=%F0%9F%98%80",
      "/api/conversations?cursor=abcd",
      "/api/conversations/world_chat_room/messages?before=-5",
      "/api/conversations/world_chat_room/messages?limit=201",
      "/api/sync?heads=notjson",
      "/api/sync?heads=[]",
      "/api/friends/requests?status=odd",
      "/api/users",
      "/api/users?q=",
    ]) {
      const { response, error } = await request("GET", path, { token: me.accessToken });
      expect([path, response.status, error?.name]).toEqual([path, 400, "INVALID_INPUT"]);
      expect(error?.fields?.length, path).toBeGreaterThan(0);
    }
  });
});

describe("bodies", () => {
  const post = (body: BodyInit | null, headers: Record<string, string> = JSON_TYPE) =>
    request("POST", "/api/auth/login", { rawBody: body, headers });

  it("must be JSON, in type and form", async ({ expect }) => {
    for (const [body, headers] of [
      ['{"username":"a"', JSON_TYPE],
      ["nonsense", JSON_TYPE],
      ['{"username":"a","password":"b"}trailing', JSON_TYPE],
      [new Uint8Array([0x7b, 0x22, 0xff, 0xfe]), JSON_TYPE],
      ["[".repeat(100_000), JSON_TYPE],
      ["null", JSON_TYPE],
      ["[]", JSON_TYPE],
      ['"text"', JSON_TYPE],
      ["", JSON_TYPE],
      [null, {}],
      ['{"__proto__":{"username":"a","password":"b"}}', JSON_TYPE],
      ['{"username":{"$ne":1},"password":["x"]}', JSON_TYPE],
    ] as const) {
      const { response, error } = await post(body, headers);
      expect([String(body).slice(0, 40), response.status, error?.code]).toEqual([String(body).slice(0, 40), 400, 1000]);
    }
    for (const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data; boundary=x",
      "jsonx",
    ]) {
      const { response, error } = await post("{}", { "Content-Type": type });
      expect([type, response.status, error?.name]).toEqual([type, 415, "UNSUPPORTED_MEDIA_TYPE"]);
    }
    const coded = await post("{}", { "Content-Type": "application/json", "Content-Encoding": "gzip" });
    expect([coded.response.status, coded.response.headers.get("Accept-Encoding")]).toEqual([415, "identity"]);
    const { response } = await post('{"username":"nobody","password":"wrong"}', {
      "Content-Type": "application/json; charset=utf-8",
    });
    expect(response.status).toBe(401);
  });

  it("end at 256 KiB, with a declared length and without, before anything parses them", async ({ expect }) => {
    const large = `{"username":"${"x".repeat(256 * 1024)}"`;
    expect((await post(large)).error?.name).toBe("PAYLOAD_TOO_LARGE");
    let pulled = 0;
    const chunkBytes = 64 * 1024;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(chunkBytes).fill(0x20));
      },
    });
    const { response, error } = await post(endless);
    expect([response.status, error?.name]).toEqual([413, "PAYLOAD_TOO_LARGE"]);
    // What is beyond the limit is thrown away, and that not for ever either.
    expect(pulled).toBeLessThan(DRAIN_BYTES / chunkBytes + 8);
  });

  it("name the fields that are wrong", async ({ expect }) => {
    const { error } = await request("POST", "/api/auth/register", {
      body: { username: "a b", password: "short", displayName: "\u202e", device: { kind: "toaster" } },
    });
    expect(error?.fields?.map((field) => field.path).toSorted()).toEqual([
      "device.kind",
      "displayName",
      "password",
      "username",
    ]);
  });
});

describe("when something is wrong inside", () => {
  it("answers UNAVAILABLE to everything without a signing key, and says so only in the log", async ({ expect }) => {
    const broken = envWith({ JWT_KEYS: undefined });
    const { response, error, text } = await request("GET", "/api/users/me", { env: broken });
    expect([response.status, error?.name, error?.retry]).toEqual([503, "UNAVAILABLE", "later"]);
    expect(response.headers.get("Retry-After")).toBe("60");
    expect(text).not.toContain("JWT");
    const alive = await request("GET", "/health", { env: broken });
    expect(alive.response.status).toBe(200);
    expect(alive.body).toMatchObject({
      status: "degraded",
      version: VERSION,
      message: expect.stringContaining("JWT_KEYS is not set") as string,
    });
    const secret = `k1:${"s3cret".repeat(3)}`;
    const short = await request("GET", "/health", {
      env: envWith({ JWT_KEYS: secret, LIMIT_SENDS_BURST: "many" }),
    });
    expect(short.response.status).toBe(200);
    expect(short.text).toContain("JWT_KEYS must be kid:base64url");
    expect(short.text).toContain("LIMIT_SENDS_BURST must be a whole number");
    expect(short.text).not.toMatch(/s3cret|many/);
  });

  it("maps SQL that is away to 503 with advice, and a bug to 500, never with a stack", async ({ expect }) => {
    const body = { username: "somebody", password: "a password" };
    const away = await request("POST", "/api/auth/login", {
      body,
      env: envWithoutSql("D1_ERROR: Network connection lost."),
    });
    expect([away.response.status, away.error?.name]).toEqual([503, "UNAVAILABLE"]);
    expect(away.error?.retryAfterMs).toBeGreaterThan(0);
    const bug = await request("POST", "/api/auth/login", {
      body,
      env: envWithoutSql("secret detail\n    at file.ts:1"),
    });
    expect([bug.response.status, bug.error?.name]).toEqual([500, "INTERNAL"]);
    expect(bug.text).not.toMatch(/secret|file\.ts/);
    const health = await request("GET", "/health", { env: envWithoutSql("D1_ERROR: Network connection lost.") });
    expect(health.body).toMatchObject({ status: "degraded", checks: { sql: "down", cache: "ok" } });
  });

  it("answers pages of other origins only when the settings name them", async ({ expect }) => {
    const open = envWith({ CORS_ORIGINS: "https://chat.example" });
    const preflight = async (origin: string) =>
      (
        await request("OPTIONS", "/api/conversations", {
          env: open,
          headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
        })
      ).response;
    const allowed = await preflight("https://chat.example");
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("Access-Control-Allow-Origin")).toBe("https://chat.example");
    expect((await preflight("https://evil.example")).headers.get("Access-Control-Allow-Origin")).toBeNull();
  });
});

describe("errors on the wire", () => {
  it("have the shape of the contract, all of them", async ({ expect }) => {
    const me = await register();
    const answers = await Promise.all([
      request("GET", "/api/nothing"),
      request("GET", "/api/users/me"),
      request("GET", "/api/users/01ARZ3NDEKTSV4RRFFQ69G5FAV", { token: me.accessToken }),
      request("GET", "/api/conversations/group_01ARZ3NDEKTSV4RRFFQ69G5FAV", { token: me.accessToken }),
      request("POST", "/api/auth/login", { body: {} }),
    ]);
    const names = answers.map(({ body, response }) => {
      const { error } = ErrorBody.strict().parse(body);
      const row = ERRORS[error.name];
      expect(error).toMatchObject({ code: row.code, retry: row.retry, message: row.message });
      expect(response.status).toBe(row.http);
      expect(error.requestId).toBe(response.headers.get("X-Request-Id"));
      return error.name;
    });
    expect(names).toEqual([
      "NOT_FOUND",
      "UNAUTHENTICATED",
      "USER_NOT_FOUND",
      "CONVERSATION_NOT_FOUND",
      "INVALID_INPUT",
    ]);
  });

  it("tell how to authenticate", async ({ expect }) => {
    const { response } = await request("GET", "/api/users/me");
    expect(response.headers.get("WWW-Authenticate")).toBe("Bearer");
  });
});

describe("the entry of the Worker", () => {
  it("serves without a framework context of ours", async ({ expect }) => {
    const ctx = createExecutionContext();
    const response = await app.fetch(new Request("http://test/health"), env, ctx);
    await waitOnExecutionContext(ctx);
    expect(response.status).toBe(200);
  });
});
