import { describe, it } from "vitest";
import { demand, mayTouch, userOf } from "./access.ts";
import type { KafkaUser } from "./settings.ts";

const user = (rights: KafkaUser["rights"], topics = "*"): KafkaUser => ({ name: "u", password: "p", rights, topics });

describe("users", () => {
  it("do what their rights say", ({ expect }) => {
    for (const action of ["produce", "consume"] as const) {
      expect(() => demand(user("full"), action, ["t"])).not.toThrow();
      expect(() => demand(user(action), action, ["t"])).not.toThrow();
    }
    expect(() => demand(user("produce"), "consume", ["t"])).toThrow("may not consume");
    expect(() => demand(user("consume"), "produce", ["t"])).toThrow("may not produce");
  });

  it("reach the topics of their scope", ({ expect }) => {
    expect(mayTouch(user("full", "gochat.*"), "gochat.user-events")).toBe(true);
    expect(mayTouch(user("full", "gochat.*"), "other")).toBe(false);
    expect(mayTouch(user("full", "one"), "one")).toBe(true);
    expect(mayTouch(user("full", "one"), "one.more")).toBe(false);
    expect(() => demand(user("full", "one"), "produce", ["one", "two"])).toThrow("do not reach");
  });

  it("are found by their credentials; without users everybody is one", ({ expect }) => {
    const settings = { users: [user("produce")] } as unknown as Parameters<typeof userOf>[0];
    const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
    expect(userOf(settings, basic)).toBe(settings.users[0]);
    expect(userOf(settings, undefined)).toBeUndefined();
    expect(userOf({ ...settings, users: [] }, undefined)).toMatchObject({ rights: "full", topics: "*" });
  });
});
