import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { env } from "cloudflare:workers";
import { UserSession } from "../../src/objects/UserSession.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
import type { SelfUser } from "../../src/protocol/things.ts";
import { ADMIN_KEY, asKey, auditAbout, newAdmin } from "./support/admins.ts";
import { advance, deliver, HeldBus, newUserId, resetClock } from "./support/harness.ts";
import { expectStatus, freshName, guest, PASSWORD, register, request } from "./support/http.ts";
import { connect, TestSocket } from "./support/socket.ts";

const USER_EVENTS = "gochat.user-events";

let bus: HeldBus;
beforeEach(() => {
  bus = new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const login = (username: string, password = PASSWORD) =>
  request("POST", "/api/auth/login", { body: { username, password } });
const me = (person: AuthAnswer) => request("GET", "/api/users/me", { token: person.accessToken });
const refresh = (person: AuthAnswer) =>
  request("POST", "/api/auth/refresh", { body: { refreshToken: person.refreshToken } });

describe("finding", () => {
  it("shows guests and the banned, by name, mail or id, in pages", async ({ expect }) => {
    const prefix = `find${freshName()}`;
    const people = [];
    for (const tail of ["a", "b", "c"]) {
      people.push((await register({ username: `${prefix}${tail}`, email: `${prefix}${tail}@example.org` })).user);
    }
    await expectStatus(200, asKey("POST", `/users/${people[1]?.userId}/ban`, {}));
    type Page = { items: SelfUser[]; nextCursor: string | null };
    const page = (query: string) => expectStatus<Page>(200, asKey("GET", `/users?${query}`));
    const first = await page(`q=${prefix.toUpperCase()}&limit=2`);
    expect(first.items.map((user) => [user.username, user.status, user.email])).toEqual([
      [`${prefix}a`, "active", `${prefix}a@example.org`],
      [`${prefix}b`, "banned", `${prefix}b@example.org`],
    ]);
    const second = await page(`q=${prefix}&limit=2&cursor=${first.nextCursor}`);
    expect([second.items.map((user) => user.username), second.nextCursor]).toEqual([[`${prefix}c`], null]);
    expect((await page(`q=${people[2]?.userId}`)).items).toMatchObject([{ username: `${prefix}c` }]);
    expect((await page(`q=${prefix}c%40exa`)).items).toMatchObject([{ username: `${prefix}c` }]);
    const visitor = await guest();
    expect((await page(`q=${visitor.user.username}`)).items).toMatchObject([{ isGuest: true }]);
    expect((await page("limit=1")).items).toHaveLength(1);
    expect((await asKey("GET", "/users?cursor=bm9wZQ")).error?.name).toBe("INVALID_INPUT");
  });
});

describe("ban", () => {
  it("kills sockets, tokens and log-in at once, and unban lets in again", async ({ expect }) => {
    const admin = await newAdmin();
    const person = await register();
    const { userId, username } = person.user;
    const other = await expectStatus<AuthAnswer>(200, login(username));
    const sockets = [await connect(userId, person.deviceId), await connect(userId, other.deviceId)];

    const path = `/api/admin/users/${userId}/ban`;
    const banned = await request("POST", path, { token: admin.accessToken, body: { reason: "spam" } });
    expect(banned.body).toMatchObject({ userId, status: "banned" });
    for (const socket of sockets) {
      expect(await socket.untilClosed()).toMatchObject({ code: 4017, reason: expect.stringMatching(/^BANNED/) });
    }
    for (const session of [person, other]) {
      expect((await me(session)).response.status).toBe(401);
      expect((await refresh(session)).response.status).toBe(401);
      const headers = { Upgrade: "websocket", Authorization: `Bearer ${session.accessToken}` };
      expect((await request("GET", "/ws", { headers })).response.status).toBe(401);
    }
    expect((await login(username, "a wrong password")).error?.name).toBe("UNAUTHENTICATED");
    const right = await login(username);
    expect([right.response.status, right.error?.name]).toEqual([403, "BANNED"]);

    expect((await asKey("POST", `/users/${userId}/unban`, {})).body).toMatchObject({ status: "active" });
    // What was killed stays dead.
    expect((await me(person)).response.status).toBe(401);
    const again = await expectStatus<AuthAnswer>(200, login(username));
    expect((await me(again)).response.status).toBe(200);

    expect(await auditAbout(userId)).toMatchObject([
      { action: "user.unban", actor: "key", userId },
      { action: "user.ban", actor: admin.user.userId, userId, reason: "spam" },
    ]);
  });

  it("reaches the user's object by its event when the request died on the way", async ({ expect }) => {
    const person = await register();
    const { userId } = person.user;
    const socket = await connect(userId, person.deviceId);
    vi.spyOn(UserSession.prototype, "setBan").mockRejectedValueOnce(new Error("Network connection lost."));
    expect((await asKey("POST", `/users/${userId}/ban`, {})).response.status).toBe(503);
    expect((await me(person)).response.status).toBe(200);

    const events = await bus.next(USER_EVENTS, userId);
    expect(events.map((event) => event["event_type"])).toContain("user.banned");
    await deliver(USER_EVENTS, events);
    expect((await socket.untilClosed()).code).toBe(4017);
    expect((await me(person)).response.status).toBe(401);
    // Settled: nothing is left to be published again.
    expect(
      await env.DB.prepare(
        "SELECT count(*) AS n FROM outbox_events WHERE owner_id = ? AND topic = 'gochat.user-events'",
      )
        .bind(userId)
        .first("n"),
    ).toBe(0);
  });

  it("is not undone or repeated by events that come twice, late, or backwards", async ({ expect }) => {
    const person = await register();
    const { userId, username } = person.user;
    await expectStatus(200, asKey("POST", `/users/${userId}/ban`, {}));
    advance(1_000);
    await expectStatus(200, asKey("POST", `/users/${userId}/unban`, {}));
    const again = await expectStatus<AuthAnswer>(200, login(username));
    const socket = await connect(userId, again.deviceId);
    const events = bus.take(USER_EVENTS, userId).filter((event) => String(event["event_type"]).endsWith("banned"));
    expect(new Set(events.map((event) => event["event_type"]))).toEqual(new Set(["user.banned", "user.unbanned"]));
    await deliver(USER_EVENTS, [...events, ...events]);
    await deliver(USER_EVENTS, events.toReversed());
    await socket.settle();
    expect(socket.closed).toBeUndefined();
    expect((await me(again)).response.status).toBe(200);
  });

  it("also stops a sign-in that looked into SQL a moment before", async ({ expect }) => {
    const { user } = await register();
    await sessionOf(env, user.userId).setBan({ banned: true, at: Date.now() });
    const late = await login(user.username);
    expect([late.response.status, late.error?.name]).toEqual([403, "BANNED"]);
  });

  it("of nobody, and of oneself, leaves nothing behind", async ({ expect }) => {
    const admin = await newAdmin();
    for (const act of ["ban", "unban", "kick"]) {
      const nobody = newUserId();
      expect((await asKey("POST", `/users/${nobody}/${act}`, {})).error?.name).toBe("USER_NOT_FOUND");
      expect((await asKey("POST", `/users/nobody/${act}`, {})).error?.name).toBe("USER_NOT_FOUND");
      expect(await auditAbout(nobody)).toEqual([]);
      const own = `/api/admin/users/${admin.user.userId}/${act}`;
      expect((await request("POST", own, { token: admin.accessToken })).error?.name).toBe("CONFLICT");
    }
    expect((await me(admin)).response.status).toBe(200);
    expect((await asKey("POST", `/users/${admin.user.userId}/ban`, { reason: "x".repeat(501) })).error?.name).toBe(
      "INVALID_INPUT",
    );
  });
});

describe("kick", () => {
  it("signs every device out, room sockets too, and lets sign in again", async ({ expect }) => {
    const person = await register();
    const { userId, username } = person.user;
    const socket = await connect(userId, person.deviceId);
    const headers = { Upgrade: "websocket", Authorization: `Bearer ${person.accessToken}` };
    const { response } = await request("GET", "/ws/rooms/world_chat_room", { headers });
    if (response.webSocket === null) {
      throw new Error("no upgrade");
    }
    const room = new TestSocket(response.webSocket);
    await room.next("room");

    await expectStatus(200, asKey("POST", `/users/${userId}/kick`, { reason: "go away" }));
    expect((await socket.untilClosed()).code).toBe(4006);
    expect((await room.untilClosed()).code).toBe(4006);
    expect((await me(person)).response.status).toBe(401);
    expect((await refresh(person)).response.status).toBe(401);
    expect((await login(username)).response.status).toBe(200);
    expect(await auditAbout(userId)).toMatchObject([{ action: "user.kick", reason: "go away", actor: "key" }]);
  });

  it("is not done when it cannot be put down", async ({ expect }) => {
    const person = await register();
    const broken = new Proxy(env, {
      get: (target, name) =>
        name === "DB"
          ? new Proxy(target.DB, {
              get: (db, method) => {
                const value: unknown = Reflect.get(db, method);
                return typeof value !== "function"
                  ? value
                  : (sql: unknown, ...rest: unknown[]) => {
                      if (String(sql).startsWith('insert into "audit_log"')) {
                        throw new Error("D1_ERROR: Network connection lost.");
                      }
                      return Reflect.apply(value, db, [sql, ...rest]) as unknown;
                    };
              },
            })
          : (Reflect.get(target, name) as unknown),
    });
    const path = `/api/admin/users/${person.user.userId}/kick`;
    const { response } = await request("POST", path, { env: broken, headers: { "x-admin-key": ADMIN_KEY } });
    expect(response.status).toBe(503);
    expect((await me(person)).response.status).toBe(200);
  });
});
