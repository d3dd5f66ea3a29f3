import { describe, it } from "vitest";
import { findUser, isOneOf, parseBasic, parseBearer, sameSecret } from "./credentials.ts";

const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;

describe("credentials", () => {
  it("are read from their header, and from nothing else", ({ expect }) => {
    expect(parseBasic(basic("app:se:cret"))).toEqual({ name: "app", password: "se:cret" });
    expect(parseBasic(basic("app:"))).toEqual({ name: "app", password: "" });
    expect(parseBasic(basic("ünïcode:🙂"))).toEqual({ name: "ünïcode", password: "🙂" });
    for (const wrong of [undefined, "", "Basic", "Basic !!", basic("nocolon"), "Bearer abc"]) {
      expect(parseBasic(wrong)).toBeUndefined();
    }
    expect(parseBearer("Bearer abc")).toBe("abc");
    expect(parseBearer("bearer  abc")).toBe("abc");
    for (const wrong of [undefined, "", "Bearer", "Bearer a b", basic("a:b")]) {
      expect(parseBearer(wrong)).toBeUndefined();
    }
  });

  it("must be equal as a whole", ({ expect }) => {
    expect(sameSecret("abc", "abc")).toBe(true);
    for (const other of ["", "ab", "abcd", "abC"]) {
      expect(sameSecret(other, "abc")).toBe(false);
    }
    const users = [
      { name: "a", password: "1" },
      { name: "b", password: "2" },
    ];
    expect(findUser(users, { name: "b", password: "2" })).toBe(users[1]);
    expect(findUser(users, { name: "a", password: "2" })).toBeUndefined();
    expect(findUser(users, { name: "", password: "" })).toBeUndefined();
    expect(findUser([], { name: "a", password: "1" })).toBeUndefined();
    expect(isOneOf(["x", "y"], "y")).toBe(true);
    expect(isOneOf(["x", "y"], "")).toBe(false);
    expect(isOneOf([], "")).toBe(false);
  });
});
