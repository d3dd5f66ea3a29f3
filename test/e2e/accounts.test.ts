import { afterAll, beforeAll, describe, it } from "vitest";
import { WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, memorySession, PASSWORD, Person, refusal } from "./support/people.ts";
import { call, notTyped, openSocket, register, toUser, upgradeStatus } from "./support/raw.ts";
import { uniqueName } from "../support/names.ts";

const OLD_KEY = `old:${Buffer.alloc(32, 1).toString("base64url")}`;
const NEW_KEY = `new:${Buffer.alloc(32, 2).toString("base64url")}`;

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ env: { JWT_KEYS: OLD_KEY } });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

describe("signing in", () => {
  it("registers, logs in by name and by mail address, and knows one from the other", async ({ expect }) => {
    const username = uniqueName("Ana");
    const email = `${uniqueName("ana")}@example.org`;
    const first = new Person(server, username);
    const me = await first.chat.register({ username, password: PASSWORD, displayName: "Ana Ž.", email });
    expect(me).toMatchObject({
      username,
      displayName: "Ana Ž.",
      email,
      isGuest: false,
      role: "user",
      status: "active",
    });
    await first.chat.ready();
    for (const login of [username, username.toUpperCase(), email, email.toUpperCase()]) {
      const again = new Person(server, username, { autoConnect: false });
      expect((await again.chat.login({ username: login, password: PASSWORD })).userId).toBe(me.userId);
    }
    const other = await Person.register(server);
    const seen = await other.chat.users.get(me.userId);
    expect(seen).not.toHaveProperty("email");
    expect(seen).not.toHaveProperty("status");
    expect((await other.chat.users.search(username.slice(0, 12))).items.map((user) => user.userId)).toContain(
      me.userId,
    );
  });

  it("takes a name once, without case, and a mail address once", async ({ expect }) => {
    const username = uniqueName("taken");
    const email = `${username}@example.org`;
    const body = { username, password: PASSWORD, email };
    await call(server, "POST", "/api/auth/register", { body });
    for (const again of [
      { ...body, email: undefined },
      { username: username.toUpperCase(), password: PASSWORD },
      { username: uniqueName("free"), password: PASSWORD, email: email.toUpperCase() },
    ]) {
      expect(notTyped(await call(server, "POST", "/api/auth/register", { body: again }), "CONFLICT")).toBeUndefined();
    }
  });

  it("tells nobody whether it was the name or the password, nor by the time it takes", async ({ expect }) => {
    const username = uniqueName("known");
    await call(server, "POST", "/api/auth/register", { body: { username, password: PASSWORD } });
    const times: Record<string, number[]> = { known: [], unknown: [] };
    const texts = new Set<string>();
    for (let n = 0; n < 6; n++) {
      for (const [who, name] of [
        ["known", username],
        ["unknown", uniqueName("nobody")],
      ] as const) {
        const before = performance.now();
        const answer = await call(server, "POST", "/api/auth/login", {
          body: { username: name, password: "wrong one" },
        });
        times[who]?.push(performance.now() - before);
        expect(notTyped(answer, "UNAUTHENTICATED")).toBeUndefined();
        texts.add(answer.text.replace(/"requestId":"[^"]*"/, ""));
      }
    }
    expect(texts.size).toBe(1);
    // The least of several: what else runs on the machine only adds to a time.
    const [known, unknown] = [Math.min(...(times["known"] ?? [])), Math.min(...(times["unknown"] ?? []))];
    expect(unknown).toBeGreaterThan(known / 3);
    expect(known).toBeGreaterThan(unknown / 3);
  });

  it("lets a guest in at once, into the world, and not into more", async ({ expect }) => {
    const guest = await Person.guest(server);
    expect(guest.chat.me).toMatchObject({ isGuest: true, role: "user" });
    expect(guest.chat.me?.username).toMatch(/^guest_/);
    expect(await guest.say(WORLD_ROOM_ID, "hello from a guest")).toBeGreaterThan(0);
    const user = await Person.register(server);
    expect(await refusal(guest.chat.friends.request(user.userId))).toBe("PERMISSION_DENIED");
    expect(await refusal(guest.chat.createGroup({ name: "no", memberIds: [user.userId] }))).toBe("PERMISSION_DENIED");
    expect(await refusal(user.chat.createGroup({ name: "no", memberIds: [guest.userId] }))).toBe("PERMISSION_DENIED");
    expect(await refusal(user.chat.friends.request(guest.userId))).toBe("PERMISSION_DENIED");
  });

  it("makes a user of a guest, who keeps id, device and history, and goes on talking", async ({ expect }) => {
    const guest = await Person.guest(server);
    const { userId } = guest;
    const { deviceId } = guest.chat;
    const before = await guest.say(WORLD_ROOM_ID, "as a guest");
    const username = uniqueName("grown");
    const user = await guest.chat.upgrade({ username, password: PASSWORD });
    expect(user).toMatchObject({ userId, username, isGuest: false });
    expect(guest.chat.deviceId).toBe(deviceId);
    await guest.chat.ready();
    const friend = await Person.register(server);
    await guest.chat.friends.request(friend.userId);
    const world = await guest.in(WORLD_ROOM_ID).history({ after: before - 1, limit: 1 });
    expect(world).toMatchObject([{ senderId: userId, content: "as a guest" }]);
    expect(await refusal(guest.chat.upgrade({ username: uniqueName("twice"), password: PASSWORD }))).toBe("CONFLICT");
    const again = new Person(server, username);
    expect((await again.chat.login({ username, password: PASSWORD })).userId).toBe(userId);
  });

  it("has a limit for each address, but none for this machine itself", async ({ expect }) => {
    const guests = async (count: number, address?: string): Promise<string[]> => {
      const headers: Record<string, string> = address === undefined ? {} : { "cf-connecting-ip": address };
      const answers = await Promise.all(
        Array.from({ length: count }, () => call(server, "POST", "/api/auth/guest", { headers })),
      );
      return answers.map((answer) => (answer.status === 201 ? "ok" : (notTyped(answer, "RATE_LIMITED") ?? "limited")));
    };
    expect(new Set(await guests(40))).toEqual(new Set(["ok"]));
    const outside = await guests(40, "203.0.113.7");
    expect(outside.filter((outcome) => outcome === "ok")).toHaveLength(30);
    expect(outside.filter((outcome) => outcome === "limited")).toHaveLength(10);
    expect(await guests(1, "203.0.113.8")).toEqual(["ok"]);
  });

  it("shows and changes one's own profile", async ({ expect }) => {
    const person = await Person.register(server);
    const other = await Person.register(server);
    await person.chat.updateMe({ displayName: "New Name", bio: "Two\nlines" });
    expect(await other.chat.users.get(person.userId)).toMatchObject({ displayName: "New Name", bio: "Two\nlines" });
    await person.chat.updateMe({ bio: null });
    expect(await other.chat.users.get(person.userId)).not.toHaveProperty("bio");
  });
});

describe("tokens", () => {
  it("are rotated; a used refresh token ends its device at once, and no other", async ({ expect }) => {
    const username = uniqueName("theft");
    const first = toUser(await call(server, "POST", "/api/auth/register", { body: { username, password: PASSWORD } }));
    const other = toUser(await call(server, "POST", "/api/auth/login", { body: { username, password: PASSWORD } }));
    const [socket, otherSocket] = [await openSocket(server, first.token), await openSocket(server, other.token)];
    const refresh = (refreshToken: string) => call(server, "POST", "/api/auth/refresh", { body: { refreshToken } });
    const second = toUser(await refresh(first.refreshToken));
    expect(second).toMatchObject({ userId: first.userId, deviceId: first.deviceId });

    expect(notTyped(await refresh(first.refreshToken), "UNAUTHENTICATED")).toBeUndefined();
    expect((await socket.untilClosed()).code).toBe(4006);
    expect(notTyped(await refresh(second.refreshToken), "UNAUTHENTICATED")).toBeUndefined();
    expect((await call(server, "GET", "/api/users/me", { token: second.token })).status).toBe(401);
    otherSocket.send('{"type":"ping" }');
    await otherSocket.next("pong");
    expect((await refresh(other.refreshToken)).status).toBe(200);
  });

  it("of a device that signed out are refused at once, on REST and on /ws, and its sockets close", async ({
    expect,
  }) => {
    const user = await register(server);
    const sockets = [await openSocket(server, user.token), await openSocket(server, user.token, "/ws")];
    expect((await call(server, "POST", "/api/auth/logout", { token: user.token })).status).toBe(200);
    expect(
      notTyped(await call(server, "GET", "/api/users/me", { token: user.token }), "UNAUTHENTICATED"),
    ).toBeUndefined();
    const headers = { authorization: `Bearer ${user.token}` };
    expect((await upgradeStatus(server, { headers })).status).toBe(401);
    expect((await upgradeStatus(server, { path: "/ws/rooms/world_chat_room", headers })).status).toBe(401);
    const body = { refreshToken: user.refreshToken };
    expect(notTyped(await call(server, "POST", "/api/auth/refresh", { body }), "UNAUTHENTICATED")).toBeUndefined();
    for (const socket of sockets) {
      expect((await socket.untilClosed()).code).toBe(4006);
    }
  });

  it("of a device that another one removed die with it; the list says who is there", async ({ expect }) => {
    const username = uniqueName("devices");
    const body = { username, password: PASSWORD, device: { kind: "desktop", name: "desk" } };
    const desk = toUser(await call(server, "POST", "/api/auth/register", { body }));
    const phoneBody = { username, password: PASSWORD, device: { kind: "ios", name: "phone" } };
    const phone = toUser(await call(server, "POST", "/api/auth/login", { body: phoneBody }));
    const socket = await openSocket(server, phone.token);
    const list = await call(server, "GET", "/api/users/me/sessions", { token: desk.token });
    expect(list.json?.["items"]).toMatchObject([
      { deviceId: desk.deviceId, kind: "desktop", name: "desk", online: false, current: true },
      { deviceId: phone.deviceId, kind: "ios", name: "phone", online: true, current: false },
    ]);
    const path = `/api/users/me/sessions/${phone.deviceId}`;
    expect((await call(server, "DELETE", path, { token: desk.token })).status).toBe(200);
    expect((await socket.untilClosed()).code).toBe(4006);
    expect((await call(server, "GET", "/api/users/me", { token: phone.token })).status).toBe(401);
    expect(notTyped(await call(server, "DELETE", path, { token: desk.token }), "NOT_FOUND")).toBeUndefined();
  });

  it("all end when one signs out everywhere", async ({ expect }) => {
    const person = await Person.register(server);
    const [phone, tablet] = [await person.onAnotherDevice(server), await person.onAnotherDevice(server)];
    await person.chat.logout({ everywhere: true });
    for (const device of [phone, tablet]) {
      await device.until("the need to sign in", () => device.chat.connection.get().state === "needs-auth");
    }
    expect(person.chat.me).toBeUndefined();
  });

  it("rotate by key: a second key verifies, the first signs, a dropped one is refused", async ({ expect }) => {
    const store = memorySession();
    const person = new Person(server, uniqueName("rotation"), { auth: store });
    await person.chat.register({ username: person.username, password: PASSWORD });
    await person.chat.ready();
    const signedOld = store.session?.accessToken ?? "";
    expect(kidOf(signedOld)).toBe("old");
    const { port, dataDir } = server;
    const restart = async (keys: string): Promise<void> => {
      await server.stop();
      server = await startServer({ port, dataDir, env: { JWT_KEYS: keys } });
    };

    await restart(`${NEW_KEY},${OLD_KEY}`);
    expect((await call(server, "GET", "/api/users/me", { token: signedOld })).status).toBe(200);
    await person.until("the connection", () => person.chat.connection.get().state === "online");
    const refreshed = toUser(
      await call(server, "POST", "/api/auth/refresh", { body: { refreshToken: store.session?.refreshToken } }),
    );
    expect(kidOf(refreshed.token)).toBe("new");

    // Its refresh token was used up above: the client would use it once more, which signs the device out.
    await person.chat.close({ flushMs: 0 });
    await restart(NEW_KEY);
    expect(
      notTyped(await call(server, "GET", "/api/users/me", { token: signedOld }), "UNAUTHENTICATED"),
    ).toBeUndefined();
    expect((await call(server, "GET", "/api/users/me", { token: refreshed.token })).status).toBe(200);
  });
});

function kidOf(token: string): unknown {
  const [header = ""] = token.split(".");
  return (JSON.parse(Buffer.from(header, "base64url").toString()) as { kid?: unknown }).kid;
}
