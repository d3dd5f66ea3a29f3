import { env } from "cloudflare:workers";
import { afterEach, describe, it } from "vitest";
import { accessTokens } from "../../src/platform/tokens.ts";
import { settingsOf } from "../../src/platform/settings.ts";
import { systemClock } from "../../src/platform/clock.ts";
import { AuthAnswer, DeviceList, GuestAnswer, UserList } from "../../src/protocol/rest.ts";
import { SelfUser, User } from "../../src/protocol/things.ts";
import { repositories } from "../../src/repo/index.ts";
import { advance, envWith, resetClock } from "./support/harness.ts";
import { expectStatus, freshName, guest, PASSWORD, register, request } from "./support/http.ts";

afterEach(resetClock);

/** Name of the error of a call. */
async function refusal(method: string, path: string, call: Parameters<typeof request>[2] = {}): Promise<string> {
  const { response, error, text } = await request(method, path, call);
  return error === undefined ? `${response.status} ${text}` : error.name;
}

function login(username: string, password: string) {
  return request("POST", "/api/auth/login", { body: { username, password } });
}

/** The tests' bindings with brakes that count as wrangler.toml says, but without minutes that end in the middle of a test. */
function braking(): Env {
  const counter = (limit: number): RateLimit => {
    const counts = new Map<string, number>();
    return {
      limit({ key }) {
        const count = counts.get(key) ?? 0;
        counts.set(key, count + 1);
        return Promise.resolve({ success: count < limit });
      },
    };
  };
  return { ...env, RL_REGISTER: counter(30), RL_LOGIN: counter(20) };
}

const me = (token: string) => request("GET", "/api/users/me", { token });

describe("registering", () => {
  it("signs in, and shows the account to its owner alone in full", async ({ expect }) => {
    const username = freshName();
    const device = { kind: "ios", name: "phone" };
    const body = { username, password: PASSWORD, email: `${username}@example.org`, displayName: " Alice ", device };
    const { response, body: made } = await request("POST", "/api/auth/register", { body });
    expect(response.status).toBe(201);
    const answer = AuthAnswer.strict().parse(made);
    expect(answer).toMatchObject({
      user: { username, displayName: "Alice", email: `${username}@example.org`, isGuest: false, role: "user" },
      expiresIn: 900,
    });
    expect(JSON.stringify(made)).not.toMatch(/passw|hash|scrypt/i);
    const own = await me(answer.accessToken);
    expect(SelfUser.strict().parse(own.body)).toEqual(answer.user);
    const other = await register();
    const seen = await request("GET", `/api/users/${answer.user.userId}`, { token: other.accessToken });
    const { email: _email, status: _status, ...open } = answer.user;
    expect(User.strict().parse(seen.body)).toEqual(open);
    expect(other.user.displayName).toBe(other.user.username);
  });

  it("refuses taken names and addresses, naming the field", async ({ expect }) => {
    const { user } = await register({ email: `${freshName()}@example.org` });
    const again = await request("POST", "/api/auth/register", {
      body: { username: user.username.toUpperCase(), password: PASSWORD },
    });
    expect([again.response.status, again.error?.name, again.error?.fields?.[0]?.path]).toEqual([
      409,
      "CONFLICT",
      "username",
    ]);
    const mail = await request("POST", "/api/auth/register", {
      body: { username: freshName(), password: PASSWORD, email: user.email?.toUpperCase() },
    });
    expect([mail.response.status, mail.error?.fields?.[0]?.path]).toEqual([409, "email"]);
  });

  it("is braked for one address, and not without an address", async ({ expect }) => {
    const braked = braking();
    const attempt = (address: string) =>
      request("POST", "/api/auth/guest", { env: braked, headers: { "CF-Connecting-IP": address } });
    for (let i = 0; i < 30; i++) {
      expect((await attempt("192.0.2.1")).response.status).toBe(201);
    }
    const { response, error } = await attempt("192.0.2.1");
    expect([response.status, error?.name, error?.retryAfterMs]).toEqual([429, "RATE_LIMITED", 60_000]);
    expect(response.headers.get("Retry-After")).toBe("60");
    expect((await attempt("192.0.2.2")).response.status).toBe(201);
    expect((await request("POST", "/api/auth/guest", { env: braked })).response.status).toBe(201);
  });

  it("goes on with the real brakes, without any, and with broken ones", async ({ expect }) => {
    const headers = { "CF-Connecting-IP": "192.0.2.3" };
    const broken = { limit: () => Promise.reject(new Error("no")) };
    for (const binding of [env.RL_REGISTER, undefined, broken]) {
      const other = { ...env, RL_REGISTER: binding } as Env;
      expect((await request("POST", "/api/auth/guest", { env: other, headers })).response.status).toBe(201);
    }
  });
});

describe("logging in", () => {
  it("works by name and by mail, without case", async ({ expect }) => {
    const { user } = await register({ email: `${freshName()}@example.org` });
    for (const name of [
      user.username,
      user.username.toUpperCase(),
      user.email ?? "",
      user.email?.toUpperCase() ?? "",
    ]) {
      const { response, body } = await login(name, PASSWORD);
      expect([name, response.status]).toEqual([name, 200]);
      expect(AuthAnswer.strict().parse(body).user).toEqual(user);
    }
  });

  it("answers alike for a wrong password, an unknown name and a guest's name", async ({ expect }) => {
    const { user } = await register();
    const visitor = await guest();
    const shapes = [];
    for (const [name, password] of [
      [user.username, "wrong password"],
      ["nobody.at.all", PASSWORD],
      [visitor.user.username, ""],
      [visitor.user.username, PASSWORD],
      ["nobody@example.org", PASSWORD],
    ] as const) {
      const { response, body } = await login(name, password === "" ? "x" : password);
      const text = JSON.stringify(body).replaceAll(/[0-9A-Z]{26}/g, "ID");
      shapes.push(`${response.status} ${text}`);
    }
    expect(new Set(shapes).size).toBe(1);
    expect(shapes[0]).toMatch(/^401 .*UNAUTHENTICATED/);
  });

  it("hashes again when the parameters have changed", async ({ expect }) => {
    const { user } = await register();
    const { scryptSync } = await import("node:crypto");
    const salt = Buffer.alloc(16, 7);
    const key = scryptSync(PASSWORD, salt, 32, { N: 2 ** 12, r: 8, p: 1 });
    const text = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
    const old = `$scrypt$ln=12,r=8,p=1$${text(salt)}$${text(key)}`;
    const { users } = repositories(env);
    const stored = await users.byId(user.userId);
    await users.replaceHash(user.userId, stored?.passwordHash ?? "", old, Date.now());
    expect((await login(user.username, PASSWORD)).response.status).toBe(200);
    expect((await users.byId(user.userId))?.passwordHash).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$/);
    expect((await login(user.username, PASSWORD)).response.status).toBe(200);
  });

  it("is braked after ten failures of an address and name; successes hardly count", async ({ expect }) => {
    const { user } = await register();
    const bindings = braking();
    const from = (address: string) => ({ "CF-Connecting-IP": address });
    const attempt = (username: string, password: string, address: string) =>
      request("POST", "/api/auth/login", { body: { username, password }, headers: from(address), env: bindings });
    for (let i = 0; i < 10; i++) {
      expect((await attempt(user.username, "wrong password", "192.0.2.9")).error?.name).toBe("UNAUTHENTICATED");
    }
    const braked = await attempt(user.username.toUpperCase(), PASSWORD, "192.0.2.9");
    expect([braked.response.status, braked.error?.name]).toEqual([429, "RATE_LIMITED"]);
    for (let i = 0; i < 11; i++) {
      expect((await attempt(user.username, PASSWORD, "192.0.2.10")).response.status).toBe(200);
    }
  });
});

describe("guests", () => {
  it("come in with a name and the world room", async ({ expect }) => {
    const { response, body } = await request("POST", "/api/auth/guest", { body: { device: { kind: "web" } } });
    expect(response.status).toBe(201);
    const answer = GuestAnswer.strict().parse(body);
    expect(answer.user).toMatchObject({ isGuest: true, role: "user" });
    expect(answer.user.username).toMatch(/^guest_[a-z2-9]{8}$/);
    expect(answer.conversation).toMatchObject({ conversationId: "world_chat_room", type: 3, name: "World" });
    expect(answer.conversation.memberCount).toBeGreaterThan(0);
  });

  it("become users once, with the same id, and their old tokens count as the user's", async ({ expect }) => {
    const visitor = await guest();
    const username = freshName();
    const upgraded = await expectStatus<AuthAnswer>(
      200,
      request("POST", "/api/auth/upgrade", {
        token: visitor.accessToken,
        body: { username, password: PASSWORD, displayName: "Grown" },
      }),
    );
    expect(upgraded).toMatchObject({
      deviceId: visitor.deviceId,
      user: { userId: visitor.user.userId, username, displayName: "Grown", isGuest: false },
    });
    expect((await login(username, PASSWORD)).response.status).toBe(200);
    for (const token of [visitor.accessToken, upgraded.accessToken]) {
      const body = { username: freshName(), password: PASSWORD };
      expect(await refusal("POST", "/api/auth/upgrade", { token, body })).toBe("CONFLICT");
      const friend = await register();
      const asked = await request("POST", "/api/friends/requests", {
        token,
        body: { targetUserId: friend.user.userId },
      });
      expect(asked.response.status).toBe(201);
    }
  });

  it("cannot take a name that is taken, and stay guests then", async ({ expect }) => {
    const [visitor, taken] = [await guest(), await register()];
    const body = { username: taken.user.username, password: PASSWORD };
    const token = visitor.accessToken;
    expect(await refusal("POST", "/api/auth/upgrade", { token, body })).toBe("CONFLICT");
    expect((await me(token)).body).toMatchObject({ isGuest: true });
  });
});

describe("tokens", () => {
  it("are refused when they are not ours", async ({ expect }) => {
    const { user, deviceId, accessToken } = await register();
    const claims = { userId: user.userId, deviceId, role: "user", isGuest: false, issuedAt: Date.now() } as const;
    const { jwtKeys } = settingsOf(env);
    const stranger = accessTokens([{ kid: jwtKeys[0].kid, secret: new Uint8Array(32).fill(1) }], 900_000);
    const unsigned = accessToken.split(".").with(0, btoa('{"alg":"none"}')).with(2, "").join(".");
    for (const token of ["x", "a.b.c", unsigned, `${accessToken}x`, await stranger.sign(claims)]) {
      expect(await refusal("GET", "/api/users/me", { token }), token).toBe("UNAUTHENTICATED");
    }
    for (const header of ["", "Bearer", `Basic ${accessToken}`, accessToken]) {
      expect(await refusal("GET", "/api/users/me", { headers: { Authorization: header } }), header).toBe(
        "UNAUTHENTICATED",
      );
    }
    expect((await me(accessToken)).response.status).toBe(200);
  });

  it("verify by either key while keys rotate", async ({ expect }) => {
    const { accessToken } = await register();
    const rotated = envWith({ JWT_KEYS: `next:${"B".repeat(43)},${env.JWT_KEYS}` });
    const dropped = envWith({ JWT_KEYS: `next:${"B".repeat(43)}` });
    expect((await request("GET", "/api/users/me", { token: accessToken, env: rotated })).response.status).toBe(200);
    expect((await request("GET", "/api/users/me", { token: accessToken, env: dropped })).response.status).toBe(401);
  });

  it("end after 15 minutes", async ({ expect }) => {
    const { accessToken } = await register();
    advance(15 * 60_000 - 5_000);
    expect((await me(accessToken)).response.status).toBe(200);
    advance(10_000);
    expect((await me(accessToken)).error?.name).toBe("UNAUTHENTICATED");
  });

  it("are renewed by a refresh token, each good once; a used one ends its family alone", async ({ expect }) => {
    const first = await register();
    const other = await expectStatus<AuthAnswer>(200, login(first.user.username, PASSWORD));
    const refresh = (refreshToken: string) => request("POST", "/api/auth/refresh", { body: { refreshToken } });
    const second = await expectStatus<AuthAnswer>(200, refresh(first.refreshToken));
    expect(AuthAnswer.strict().parse(second)).toMatchObject({ user: first.user, deviceId: first.deviceId });
    expect(second.refreshToken).not.toBe(first.refreshToken);
    expect((await me(second.accessToken)).response.status).toBe(200);
    // A minute later it cannot be an answer that got lost and is asked for again.
    advance(60_000);
    expect((await refresh(first.refreshToken)).error?.name).toBe("UNAUTHENTICATED");
    expect((await refresh(second.refreshToken)).error?.name).toBe("UNAUTHENTICATED");
    expect((await refresh(other.refreshToken)).response.status).toBe(200);
  });

  it("refuses refresh tokens that are not ours, without making anything", async ({ expect }) => {
    const { user } = await register();
    for (const refreshToken of [
      "x",
      `${user.userId}.${"a".repeat(43)}`,
      `01ARZ3NDEKTSV4RRFFQ69G5FAV.${"a".repeat(43)}`,
      `../${user.userId}.${"a".repeat(43)}`,
      "a".repeat(512),
    ]) {
      expect(await refusal("POST", "/api/auth/refresh", { body: { refreshToken } }), refreshToken).toBe(
        "UNAUTHENTICATED",
      );
    }
  });
});

describe("devices", () => {
  it("are listed, and signed out at once", async ({ expect }) => {
    const first = await register({ device: { kind: "web", name: "laptop" } });
    const second = await expectStatus<AuthAnswer>(
      200,
      request("POST", "/api/auth/login", {
        body: { username: first.user.username, password: PASSWORD, device: { kind: "ios" } },
      }),
    );
    const { body } = await request("GET", "/api/users/me/sessions", { token: first.accessToken });
    const { items } = DeviceList.strict().parse(body);
    expect(new Map(items.map((device) => [device.deviceId, [device.kind, device.current]]))).toEqual(
      new Map([
        [first.deviceId, ["web", true]],
        [second.deviceId, ["ios", false]],
      ]),
    );
    const page = async (query: string) =>
      DeviceList.parse((await request("GET", `/api/users/me/sessions${query}`, { token: first.accessToken })).body);
    const one = await page("?limit=1");
    const two = await page(`?limit=1&cursor=${one.nextCursor}`);
    expect([...one.items, ...two.items].map((device) => device.deviceId)).toEqual(
      [first.deviceId, second.deviceId].toSorted(),
    );
    expect(two.nextCursor).toBeNull();
    const gone = await request("DELETE", `/api/users/me/sessions/${second.deviceId}`, { token: first.accessToken });
    expect(gone.response.status).toBe(200);
    expect((await me(second.accessToken)).error?.name).toBe("UNAUTHENTICATED");
    expect(await refusal("POST", "/api/auth/refresh", { body: { refreshToken: second.refreshToken } })).toBe(
      "UNAUTHENTICATED",
    );
    const again = { token: first.accessToken };
    expect(await refusal("DELETE", `/api/users/me/sessions/${second.deviceId}`, again)).toBe("NOT_FOUND");
    expect((await me(first.accessToken)).response.status).toBe(200);
  });

  it("are signed out by logging out, one or all", async ({ expect }) => {
    const first = await register();
    const second = await expectStatus<AuthAnswer>(200, login(first.user.username, PASSWORD));
    const third = await expectStatus<AuthAnswer>(200, login(first.user.username, PASSWORD));
    await expectStatus(200, request("POST", "/api/auth/logout", { token: first.accessToken }));
    expect((await me(first.accessToken)).error?.name).toBe("UNAUTHENTICATED");
    expect((await me(second.accessToken)).response.status).toBe(200);
    await expectStatus(
      200,
      request("POST", "/api/auth/logout", { token: second.accessToken, body: { everywhere: true } }),
    );
    expect((await me(second.accessToken)).error?.name).toBe("UNAUTHENTICATED");
    expect((await me(third.accessToken)).error?.name).toBe("UNAUTHENTICATED");
  });
});

describe("profiles", () => {
  it("change what is named, for everybody's next read", async ({ expect }) => {
    const [owner, reader] = [await register(), await register()];
    const patch = (body: object) => request("PATCH", "/api/users/me", { token: owner.accessToken, body });
    const changed = await patch({
      displayName: "New",
      bio: "about me",
      avatarUrl: "https://a.example/x.png",
      role: "admin",
    });
    expect(changed.body).toMatchObject({ displayName: "New", bio: "about me", role: "user" });
    const seen = await request("GET", `/api/users/${owner.user.userId}`, { token: reader.accessToken });
    expect(seen.body).toMatchObject({ displayName: "New", avatarUrl: "https://a.example/x.png" });
    const emptied = SelfUser.parse((await patch({ avatarUrl: null, bio: null })).body);
    expect(["avatarUrl" in emptied, "bio" in emptied]).toEqual([false, false]);
    for (const bad of [
      { displayName: "" },
      { avatarUrl: "javascript:alert(1)" },
      { bio: 7 },
      { displayName: "\ud800" },
    ]) {
      expect((await patch(bad)).error?.name, JSON.stringify(bad)).toBe("INVALID_INPUT");
    }
    expect((await me(owner.accessToken)).body).toEqual(emptied);
  });

  it("are found by the beginning of a name", async ({ expect }) => {
    const { accessToken: token } = await register({ username: "findme-zoe", displayName: "Zoe" });
    const { body } = await request("GET", "/api/users?q=FINDME-", { token });
    const list = UserList.strict().parse(body);
    expect(list.items.map((user) => user.username)).toEqual(["findme-zoe"]);
    expect(list.items[0]).not.toHaveProperty("email");
  });

  it("are not there for an unknown id", async ({ expect }) => {
    const { accessToken: token } = await register();
    expect(await refusal("GET", "/api/users/01ARZ3NDEKTSV4RRFFQ69G5FAV", { token })).toBe("USER_NOT_FOUND");
  });
});

describe("the rate of a user", () => {
  it("ends at 50 calls a second, with a time that holds", async ({ expect }) => {
    const { accessToken: token } = await register();
    const answers = await Promise.all(Array.from({ length: 70 }, () => request("GET", "/api/users/me", { token })));
    const refused = answers.filter((answer) => answer.error?.name === "RATE_LIMITED");
    expect(refused.length).toBeGreaterThan(0);
    expect(refused[0]?.response.status).toBe(429);
    advance(refused[0]?.error?.retryAfterMs ?? 0);
    expect(systemClock.now()).toBeGreaterThan(0);
    expect((await me(token)).response.status).toBe(200);
  });
});
