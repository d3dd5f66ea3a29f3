import { describe, it } from "vitest";
import { encodeReply, isCommandError } from "./replies.ts";

const bytes = (text: string): Buffer => Buffer.from(text);

describe("replies", () => {
  it("are plain text when nothing else was asked for", ({ expect }) => {
    expect(encodeReply([bytes("é"), 3, null, [bytes("OK")]], false)).toEqual(["é", 3, null, ["OK"]]);
  });

  it("are base64 at any depth, but for OK at the top", ({ expect }) => {
    expect(encodeReply(bytes("OK"), true)).toBe("OK");
    expect(encodeReply("OK", true)).toBe("OK");
    expect(encodeReply(bytes("PONG"), true)).toBe("UE9ORw==");
    expect(encodeReply([bytes("OK"), [bytes("a"), 1, null]], true)).toEqual(["T0s=", ["YQ==", 1, null]]);
    expect(encodeReply(Buffer.from([0xff, 0x00]), true)).toBe("/wA=");
  });

  it("never encode errors", ({ expect }) => {
    expect(encodeReply([new Error("WRONGTYPE no")], true)).toEqual(["WRONGTYPE no"]);
    const error = new Error("ERR no");
    expect(isCommandError(error)).toBe(false);
    error.name = "ReplyError";
    expect(isCommandError(error)).toBe(true);
  });
});
