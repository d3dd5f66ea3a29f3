/** The content filter where it counts: what is said in the world room, and names. Rules: src/domain/contentFilter.test.ts. */
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { append, HeldBus, nameOf, newDirect, newUserId, text, WORLD_ROOM_ID } from "./support/harness.ts";
import { freshName, guest, PASSWORD, register, request } from "./support/http.ts";

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  vi.restoreAllMocks();
});

describe("the world room", () => {
  it("refuses what the filter finds, and goes on with the rest of the batch", async ({ expect }) => {
    const user = newUserId();
    const outcomes = await append(WORLD_ROOM_ID, [
      text(user, "a", "hello from Scunthorpe"),
      text(user, "b", "ｆｕｃｋ you"),
      text(user, "c", "傻\u200B逼"),
      text(user, "d", "草莓"),
    ]);
    expect(outcomes.map(nameOf)).toEqual(["ok", "CONTENT_REJECTED", "CONTENT_REJECTED", "ok"]);
    // Refused again, and as refused: it was never stored.
    expect((await append(WORLD_ROOM_ID, [text(user, "b", "ｆｕｃｋ you")])).map(nameOf)).toEqual(["CONTENT_REJECTED"]);
  });

  it("is the only conversation that is filtered", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const direct = await newDirect(a, b);
    expect((await append(direct, [text(a, "a", "fuck 傻逼")])).map(nameOf)).toEqual(["ok"]);
  });
});

describe("names", () => {
  const account = (over: object) => ({ username: freshName(), password: PASSWORD, ...over });

  it("of accounts are checked when they are made", async ({ expect }) => {
    for (const over of [{ username: "motherfucker" }, { displayName: "婊 子" }]) {
      const { response, error } = await request("POST", "/api/auth/register", { body: account(over) });
      expect(response.status).toBe(422);
      expect(error).toMatchObject({ code: 1008, retry: "never", fields: [{ path: Object.keys(over)[0] }] });
    }
    const named = await request("POST", "/api/auth/register", { body: account({ displayName: "Dick Dickinson" }) });
    expect(named.response.status).toBe(201);
  });

  it("are checked when they change, or come with an upgrade", async ({ expect }) => {
    const { accessToken: token } = await register();
    const patched = await request("PATCH", "/api/users/me", { token, body: { displayName: "Ｆｕｃｋ" } });
    expect([patched.response.status, patched.error?.code]).toEqual([422, 1008]);
    const visitor = await guest();
    const body = account({ displayName: "傻逼" });
    const upgraded = await request("POST", "/api/auth/upgrade", { token: visitor.accessToken, body });
    expect([upgraded.response.status, upgraded.error?.code]).toEqual([422, 1008]);
  });
});
