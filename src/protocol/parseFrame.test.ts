import fc from "fast-check";
import { describe, it } from "vitest";
import { CLIENT_FRAMES, PING_TEXT, type ClientFrameType } from "./frames.ts";
import { FRAME_LIMIT_BYTES } from "./limits.ts";
import { parseClientFrame } from "./parseFrame.ts";

const U1 = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const U2 = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
const DIRECT = `single_${U1}_${U2}`;
const GROUP = `group_${U1}`;
const WORLD = "world_chat_room";

const text = { clientMsgId: "c-1", conversationId: DIRECT, messageType: "text", content: "hello" };
const image = { key: "abc.png", width: 640, height: 480, size: 1000, mimeType: "image/png" };
const file = { key: "abc", name: "a file.pdf", size: 1000, mimeType: "application/pdf" };

const parse = (frame: unknown) => parseClientFrame(JSON.stringify(frame));
const send = (change: object) => parse({ type: "send-message", data: { ...text, ...change } });

/** Accepted as they are: what comes out is what went in. */
const ACCEPTED: { [Type in ClientFrameType]: object[] } = {
  "send-message": [
    text,
    { ...text, conversationId: GROUP, content: "  spaces stay \n\t\u0000 " },
    { ...text, conversationId: WORLD, content: "x".repeat(8_000) },
    { ...text, content: "😀".repeat(8_000) },
    { ...text, messageType: "system" },
    { ...text, messageType: "image", content: image },
    { ...text, messageType: "image", content: { ...image, name: "cat.png" } },
    { ...text, messageType: "file", content: file },
    { ...text, replyTo: U2, mentions: Array.from({ length: 50 }, () => U1) },
    { ...text, clientMsgId: "A-Za-z0-9_.:-".padEnd(64, "x") },
  ],
  "mark-read": [
    { conversationId: DIRECT, seqId: 0 },
    { conversationId: DIRECT, seqId: Number.MAX_SAFE_INTEGER },
  ],
  typing: [{ conversationId: GROUP }],
  sync: [
    { heads: {} },
    { heads: { [DIRECT]: 5, [WORLD]: { seqId: 7 }, [GROUP]: { seqId: 7, version: 3 } }, cursor: "abc_-" },
  ],
  subscribe: [{ conversationId: WORLD }, { presence: [U1, U2] }, { conversationId: WORLD, presence: [] }],
  unsubscribe: [{ conversationId: WORLD }, { presence: [U1] }],
  ping: [],
};

describe("frames that are accepted", () => {
  it.for(Object.keys(CLIENT_FRAMES) as ClientFrameType[])("%s, unchanged", (type, { expect }) => {
    for (const data of ACCEPTED[type]) {
      expect(parse({ type, data })).toEqual({ ok: true, value: { type, data } });
      expect(parse({ type, data, id: "frame 7" })).toEqual({ ok: true, value: { type, data, id: "frame 7" } });
    }
  });

  it("a ping, with and without an id", ({ expect }) => {
    expect(parseClientFrame(PING_TEXT)).toMatchObject({ ok: true, value: { type: "ping" } });
    expect(parse({ type: "ping", id: "1" })).toMatchObject({ ok: true, value: { type: "ping", id: "1" } });
  });

  it("without what they do not know", ({ expect }) => {
    const typing = { conversationId: GROUP };
    expect(parse({ type: "typing", extra: 1, data: { ...typing, extra: { deep: [1] } } })).toEqual({
      ok: true,
      value: { type: "typing", data: typing },
    });
  });
});

describe("sends that are refused", () => {
  it.for([
    ["an empty text", { content: "" }, "data.content"],
    ["white space", { content: " \n\t\u00a0\u3000" }, "data.content"],
    ["8,001 characters", { content: "x".repeat(8_001) }, "data.content"],
    ["8,001 characters of two units", { content: "😀".repeat(8_001) }, "data.content"],
    ["a lone high surrogate", { content: "a\ud800b" }, "data.content"],
    ["a lone low surrogate", { content: "\udc00" }, "data.content"],
    ["a number as text", { content: 5 }, "data.content"],
    ["an object as text", { content: image }, "data.content"],
    ["no content", { content: undefined }, "data.content"],
    ["a text as image", { messageType: "image", content: "hello" }, "data.content"],
    ["an image without width", { messageType: "image", content: { ...image, width: undefined } }, "data.content.width"],
    ["an image of no height", { messageType: "image", content: { ...image, height: 0 } }, "data.content.height"],
    ["half a pixel", { messageType: "image", content: { ...image, width: 1.5 } }, "data.content.width"],
    ["a key with a slash", { messageType: "image", content: { ...image, key: "../a" } }, "data.content.key"],
    ["a negative size", { messageType: "file", content: { ...file, size: -1 } }, "data.content.size"],
    ["a huge size", { messageType: "file", content: { ...file, size: 1e300 } }, "data.content.size"],
    ["a file name with NUL", { messageType: "file", content: { ...file, name: "a\u0000" } }, "data.content.name"],
    [
      "a type with a parameter",
      { messageType: "file", content: { ...file, mimeType: "a/b;c" } },
      "data.content.mimeType",
    ],
    ["an unknown message type", { messageType: "video" }, "data.messageType"],
    ["a message type from the prototype", { messageType: "constructor" }, "data.messageType"],
    ["a reply to no id", { replyTo: "1" }, "data.replyTo"],
    ["51 mentions", { mentions: Array.from({ length: 51 }, () => U1) }, "data.mentions"],
    ["a mention of nobody", { mentions: [U1, "me"] }, "data.mentions.1"],
  ] as const)("%s: told by name and place", ([, change, path], { expect }) => {
    const refused = send(change);
    expect(refused).toMatchObject({ ok: false, fault: { name: "INVALID_INPUT", fields: [{ path }] } });
    expect(refused).toMatchObject({ send: { clientMsgId: "c-1", conversationId: DIRECT } });
  });

  it.for([
    ["no key", { clientMsgId: undefined }],
    ["an empty key", { clientMsgId: "" }],
    ["a key of 129", { clientMsgId: "x".repeat(129) }],
    ["half a character as key", { clientMsgId: "\ud800" }],
    ["a number as key", { clientMsgId: 7 }],
    ["no conversation", { conversationId: undefined }],
    ["an object as conversation", { conversationId: { toString: "x" } }],
  ] as const)("%s: not told by name, since it has none", ([, change], { expect }) => {
    const refused = send(change);
    expect(refused).toMatchObject({ ok: false, fault: { name: "INVALID_INPUT" } });
    expect(refused).not.toHaveProperty("send");
  });

  it.for([
    ["a key of 65", { clientMsgId: "x".repeat(65) }],
    ["a key with a slash", { clientMsgId: "a/b" }],
    ["a key with a line end", { clientMsgId: "a\n" }],
    ["a conversation with a slash", { conversationId: "group_/../x" }],
    ["a conversation of another form", { conversationId: U1 }],
    ["a lower-case id", { conversationId: GROUP.toLowerCase() }],
    ["an id with a letter that is none of them", { conversationId: `group_${U1.slice(0, 25)}U` }],
    ["an id above 128 bits", { conversationId: `group_8${U1.slice(1)}` }],
    ["an id with something behind", { conversationId: `${WORLD}\n` }],
  ] as const)("%s: told by the names that the sender waits for", ([, change], { expect }) => {
    expect(send(change)).toMatchObject({
      ok: false,
      fault: { name: "INVALID_INPUT" },
      send: { clientMsgId: "c-1", conversationId: DIRECT, ...change },
    });
  });
});

describe("frames that are refused", () => {
  it.for([
    ["nothing", ""],
    ["half an object", '{"type":"ping"'],
    ["two objects", "{}{}"],
    ["null", "null"],
    ["a number", "1e999"],
    ["a string", '"ping"'],
    ["an array", "[]"],
    ["deep brackets", "[".repeat(60_000)],
    ["a deep object", `{"type":"typing","data":${'{"a":'.repeat(9_000)}1${"}".repeat(9_000)}}`],
    ["no type", "{}"],
    ["an unknown type", '{"type":"shout"}'],
    ["a type of the server", '{"type":"new-message","data":{}}'],
    ["a type in capitals", '{"type":"PING"}'],
    ["a type from the prototype", '{"type":"constructor"}'],
    ["__proto__ as type", '{"type":"__proto__","data":{}}'],
    ["an inherited type", '{"__proto__":{"type":"ping"}}'],
    ["an array as type", '{"type":["ping"]}'],
    ["no data", '{"type":"typing"}'],
    ["null data", '{"type":"typing","data":null}'],
    ["data by inheritance", `{"type":"typing","data":{"__proto__":{"conversationId":"${WORLD}"}}}`],
    ["a negative sequence", `{"type":"mark-read","data":{"conversationId":"${WORLD}","seqId":-1}}`],
    ["a broken sequence", `{"type":"mark-read","data":{"conversationId":"${WORLD}","seqId":1.5}}`],
    ["a huge sequence", `{"type":"mark-read","data":{"conversationId":"${WORLD}","seqId":1e300}}`],
    ["an unsafe sequence", `{"type":"mark-read","data":{"conversationId":"${WORLD}","seqId":9007199254740992}}`],
    ["a sequence as text", `{"type":"mark-read","data":{"conversationId":"${WORLD}","seqId":"1"}}`],
    ["heads as an array", '{"type":"sync","data":{"heads":[]}}'],
    ["heads of another key", '{"type":"sync","data":{"heads":{"constructor":1}}}'],
    ["a negative head", `{"type":"sync","data":{"heads":{"${WORLD}":-1}}}`],
    ["a cursor with spaces", '{"type":"sync","data":{"heads":{},"cursor":"a b"}}'],
    ["a subscription to nothing", '{"type":"subscribe","data":{}}'],
    ["presence of too many", JSON.stringify({ type: "subscribe", data: { presence: Array(501).fill(U1) } })],
    ["a number as id", '{"type":"ping","id":7}'],
    ["an id of 65", `{"type":"ping","id":"${"x".repeat(65)}"}`],
    ["an id with a lone surrogate", String.raw`{"type":"ping","id":"\ud800"}`],
  ] as const)("%s", ([, frame], { expect }) => {
    const refused = parseClientFrame(frame);
    expect(refused).toMatchObject({ ok: false, fault: { name: "INVALID_INPUT" } });
    expect(refused.ok || refused.fault.fields?.length).toBeGreaterThanOrEqual(1);
    expect(refused).not.toHaveProperty("ref");
    expect(refused).not.toHaveProperty("send");
  });

  it("a binary one", ({ expect }) => {
    expect(parseClientFrame(new TextEncoder().encode(PING_TEXT).buffer as ArrayBuffer)).toMatchObject({
      ok: false,
      fault: { name: "INVALID_INPUT" },
    });
  });

  it("with their id, when it is a good one", ({ expect }) => {
    expect(parse({ type: "typing", id: "7", data: {} })).toMatchObject({ ok: false, ref: "7" });
    expect(parse({ type: "shout", id: "7" })).toMatchObject({ ok: false, ref: "7" });
    expect(parse({ type: "send-message", id: "7", data: { ...text, content: "" } })).toMatchObject({
      ok: false,
      ref: "7",
      send: { clientMsgId: "c-1", conversationId: DIRECT },
    });
  });

  it("when they pollute nothing", ({ expect }) => {
    parseClientFrame('{"type":"sync","data":{"heads":{"__proto__":{"seqId":1}},"__proto__":{"polluted":1}}}');
    parseClientFrame('{"type":"typing","data":{"constructor":{"prototype":{"polluted":1}}}}');
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    const parsed = parseClientFrame('{"type":"sync","data":{"heads":{"__proto__":{"seqId":1}}}}');
    expect(parsed).toEqual({ ok: true, value: { type: "sync", data: { heads: {} } } });
  });
});

describe("size", () => {
  /** A frame of exactly so many bytes, filled with a character in a field that is ignored. */
  function frameOf(bytes: number, char: string): string {
    const frame = (filling: string) => `{"type":"ping","filling":"${filling}"}`;
    const width = new TextEncoder().encode(char).length;
    const room = bytes - frame("").length;
    return frame(char.repeat(Math.floor(room / width)) + "x".repeat(room % width));
  }

  it.for(["x", "é", "€", "😀"])("is counted in bytes of UTF-8: %s", (char, { expect }) => {
    expect(parseClientFrame(frameOf(FRAME_LIMIT_BYTES, char)).ok).toBe(true);
    expect(parseClientFrame(frameOf(FRAME_LIMIT_BYTES + 1, char))).toEqual({
      ok: false,
      fault: { name: "PAYLOAD_TOO_LARGE" },
      unreadable: true,
    });
  });

  it("may be set", ({ expect }) => {
    expect(parseClientFrame(frameOf(1024, "é"), 1024).ok).toBe(true);
    expect(parseClientFrame(frameOf(1025, "é"), 1024).ok).toBe(false);
    expect(parseClientFrame(frameOf(FRAME_LIMIT_BYTES + 1, "é"), 2 * FRAME_LIMIT_BYTES).ok).toBe(true);
  });

  it("counts as TextEncoder does", ({ expect }) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.integer({ min: 0, max: 60 }), (filling, limit) => {
        const bytes = new TextEncoder().encode(filling).length;
        const result = parseClientFrame(filling, limit);
        expect(!result.ok && result.fault.name === "PAYLOAD_TOO_LARGE").toBe(bytes > limit);
      }),
    );
  });
});

describe("whatever a client sends", () => {
  const types = [...Object.keys(CLIENT_FRAMES), "__proto__", "constructor", "toString", "hasOwnProperty"];
  const anything = fc.jsonValue({ maxDepth: 4 });
  /** Nearly right: the keys that a frame has, with anything behind them. */
  const data = fc.dictionary(
    fc.constantFrom("conversationId", "content", "messageType", "heads", "seqId", "presence", "mentions", "__proto__"),
    fc.oneof(anything, fc.constantFrom(DIRECT, GROUP, WORLD, U1, "text", "image", "\ud800", -1, 1e300, [], [U1])),
  );

  it("is answered, never thrown at", ({ expect }) => {
    const frames = fc.oneof(
      fc.string({ unit: "binary" }),
      anything.map((value) => JSON.stringify(value)),
      fc
        .record({ type: fc.constantFrom(...types), id: anything, data: fc.oneof(data, anything) })
        .map((value) => JSON.stringify(value)),
      // Cut somewhere.
      fc
        .tuple(data, fc.nat(80))
        .map(([value, end]) => JSON.stringify({ type: "send-message", data: value }).slice(0, end)),
    );
    fc.assert(
      fc.property(frames, (frame) => {
        const parsed = parseClientFrame(frame);
        if (parsed.ok) {
          // What has passed is good for JSON and says the same again.
          expect(parseClientFrame(JSON.stringify(parsed.value))).toEqual(parsed);
        } else {
          expect(["INVALID_INPUT", "PAYLOAD_TOO_LARGE"]).toContain(parsed.fault.name);
          expect(JSON.stringify(parsed).length).toBeLessThan(4_000);
          expect(JSON.stringify(parsed).isWellFormed()).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("is kept unchanged when it is text with something to see", ({ expect }) => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1, maxLength: 200 }), (content) => {
        const parsed = send({ content });
        expect(parsed.ok).toBe(content.isWellFormed() && /\S/.test(content));
        if (parsed.ok) {
          expect(parsed.value.data).toEqual({ ...text, content });
        }
      }),
    );
  });
});
