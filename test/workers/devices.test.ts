import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { settingsOf } from "../../src/platform/settings.ts";
import { sessionOf, shardOf } from "../../src/platform/stubs.ts";
import { DeviceList, type AuthAnswer } from "../../src/protocol/rest.ts";
import { nameOf, WORLD_ROOM_ID } from "./support/harness.ts";
import { expectStatus, PASSWORD, register, request } from "./support/http.ts";
import { connect, TestSocket, upgrade } from "./support/socket.ts";

function logIn(person: AuthAnswer, device: { id?: string; kind?: string; name?: string }): Promise<AuthAnswer> {
  const body = { username: person.user.username, password: PASSWORD, device };
  return expectStatus<AuthAnswer>(200, request("POST", "/api/auth/login", { body }));
}

const me = (token: string) => request("GET", "/api/users/me", { token });
const refreshed = (refreshToken: string) => request("POST", "/api/auth/refresh", { body: { refreshToken } });

/** A passive socket of the world, as the gateway opens it for a device. */
async function worldSocket(userId: string, deviceId: string): Promise<TestSocket> {
  const shard = shardOf(env, WORLD_ROOM_ID, userId, settingsOf(env).worldShards);
  const headers = { Upgrade: "websocket", "x-gochat-user": userId, "x-gochat-device": deviceId };
  const { webSocket } = await shard.fetch(new Request(`http://gateway/ws/rooms/${WORLD_ROOM_ID}`, { headers }));
  if (webSocket === null) {
    throw new Error("no upgrade");
  }
  const socket = new TestSocket(webSocket);
  await socket.next("room");
  return socket;
}

describe("log out everywhere", () => {
  for (const [way, method, path, body] of [
    ["as a delete of all sessions", "DELETE", "/api/users/me/sessions", undefined],
    ["as a log-out", "POST", "/api/auth/logout", { everywhere: true }],
  ] as const) {
    it(`${way} closes every socket and kills every token at once`, async ({ expect }) => {
      const person = await register({ device: { kind: "desktop" } });
      const { userId } = person.user;
      const phone = await logIn(person, { kind: "ios" });
      const devices = [person, phone, await logIn(person, { kind: "web" })];
      const sockets = await Promise.all(devices.map((device) => connect(userId, device.deviceId)));
      const tab = await connect(userId, phone.deviceId);
      const world = await worldSocket(userId, phone.deviceId);
      await expectStatus(200, request(method, path, { token: phone.accessToken, body }));
      for (const { accessToken, refreshToken, deviceId } of devices) {
        expect((await me(accessToken)).error?.name).toBe("UNAUTHENTICATED");
        expect((await refreshed(refreshToken)).error?.name).toBe("UNAUTHENTICATED");
        expect((await upgrade(userId, deviceId)).status).toBe(401);
      }
      for (const socket of [...sockets, tab, world]) {
        expect((await socket.untilClosed()).code).toBe(4006);
      }
      expect(await sessionOf(env, userId).deliver(["{}"])).toBe(0);
      // The account is untouched.
      const again = await logIn(person, { kind: "ios" });
      const list = DeviceList.parse(
        (await request("GET", "/api/users/me/sessions", { token: again.accessToken })).body,
      );
      expect(list.items.map((item) => item.deviceId)).toEqual([again.deviceId]);
    });
  }

  it("is not for whoever is not signed in, and twice is once", async ({ expect }) => {
    const { user, accessToken } = await register();
    expect((await request("DELETE", "/api/users/me/sessions")).error?.name).toBe("UNAUTHENTICATED");
    await expectStatus(200, request("DELETE", "/api/users/me/sessions", { token: accessToken }));
    const again = await request("DELETE", "/api/users/me/sessions", { token: accessToken });
    expect(again.error?.name).toBe("UNAUTHENTICATED");
    await sessionOf(env, user.userId).kick();
    expect(await sessionOf(env, user.userId).devices("")).toEqual([]);
  });
});

describe("the limit for each kind", () => {
  it("signs out the longest unused, tells it why, and spares other kinds, one log-in after the other", async ({
    expect,
  }) => {
    const person = await register({ device: { id: "web-0", kind: "web" } });
    const { userId } = person.user;
    const phone = await logIn(person, { id: "phone", kind: "ios" });
    const onPhone = await connect(userId, phone.deviceId);
    const webs = [person];
    for (let n = 1; n < 5; n++) {
      webs.push(await logIn(person, { id: `web-${n}`, kind: "web" }));
    }
    const sockets = await Promise.all(webs.map((web) => connect(userId, web.deviceId)));
    // All have an open socket, and so are in use: the first that was made goes, then the second.
    for (const [n, socket] of sockets.slice(0, 2).entries()) {
      const { deviceId } = await logIn(person, { id: `web-${5 + n}`, kind: "web" });
      await connect(userId, deviceId);
      await socket.next("session-replaced");
      expect((await socket.untilClosed()).code).toBe(4018);
      expect((await me(webs[n]?.accessToken ?? "")).error?.name).toBe("UNAUTHENTICATED");
      expect((await refreshed(webs[n]?.refreshToken ?? "")).error?.name).toBe("UNAUTHENTICATED");
    }
    // A known device that signs in again replaces nobody.
    await logIn(person, { id: "web-4", kind: "web" });
    for (const socket of [onPhone, ...sockets.slice(2)]) {
      await socket.settle();
      expect(socket.closed).toBeUndefined();
      expect(socket.all("session-replaced")).toEqual([]);
    }
    expect(await sessionOf(env, userId).devices("")).toHaveLength(6);
    expect(nameOf(await sessionOf(env, userId).removeDevice("web-0"))).toBe("NOT_FOUND");
  });
});
