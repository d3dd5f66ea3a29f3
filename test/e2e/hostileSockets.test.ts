import { afterAll, afterEach, beforeAll, describe, it, vi } from "vitest";
import { WebSocket } from "ws";
import { ERRORS, type ErrorName } from "../../src/protocol/errors.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { befriend, openSocket, register, type Frame, type RawSocket, type RawUser } from "./support/raw.ts";

/** Rates are another suite's subject: here a hostile client is met at full speed. */
const NO_RATES = {
  LIMIT_SENDS_PER_SECOND: "100000",
  LIMIT_SENDS_BURST: "100000",
  LIMIT_REQUESTS_PER_SECOND: "100000",
  LIMIT_REQUESTS_BURST: "100000",
};

let server: TestServer;
let mallory: RawUser;
let victim: RawUser;
let conversationId: string;
let witness: RawSocket;
let head = 0;
let hostile: RawSocket;

beforeAll(async () => {
  server = await startServer({ env: NO_RATES });
  [mallory, victim] = [await register(server), await register(server)];
  conversationId = await befriend(server, mallory, victim);
  witness = await openSocket(server, victim.token);
});
afterAll(() => server?.dispose());

/** After whatever was done: nothing was stored, and everybody else is served as if nothing had been. */
afterEach(async ({ expect }) => {
  hostile?.close();
  head += 1;
  const clientMsgId = `witness-${head}`;
  witness.sendFrame({
    type: "send-message",
    data: { clientMsgId, conversationId, messageType: "text", content: `message ${head}` },
  });
  const ack = await witness.next("message-ack", "message-error");
  expect(ack.data).toMatchObject({ clientMsgId, status: "sent", seqId: head });
  expect(witness.closed).toBeUndefined();
});

type WireError = { code: number; name: ErrorName; retry: string; requestId: string };

/** The error of an answer, checked against the table. */
function errorOf(frame: Frame): WireError {
  const error = frame.data?.["error"] as WireError | undefined;
  const row = error === undefined ? undefined : ERRORS[error.name];
  if (error === undefined || row === undefined || row.code !== error.code || row.retry !== error.retry) {
    throw new Error(`not an error of the table: ${JSON.stringify(frame)}`);
  }
  if (error.name === "INTERNAL" || error.name === "UNAVAILABLE" || error.requestId === "") {
    throw new Error(`our own mistake: ${JSON.stringify(frame)}`);
  }
  return error;
}

async function answerTo(data: string | Uint8Array): Promise<WireError> {
  hostile.send(data);
  return errorOf(await hostile.next("error", "message-error", "message-ack", "pong", "sync-result"));
}

/** Sends each on sockets that have not yet used up their patience. */
async function allRefused(frames: readonly (string | Uint8Array)[]): Promise<WireError[]> {
  const errors: WireError[] = [];
  for (const [index, frame] of frames.entries()) {
    if (index % 15 === 0) {
      hostile?.close();
      hostile = await openSocket(server, mallory.token);
    }
    errors.push(await answerTo(frame));
  }
  if (hostile.closed !== undefined) {
    throw new Error(`closed: ${JSON.stringify(hostile.closed)}`);
  }
  return errors;
}

const names = (errors: readonly WireError[]): ErrorName[] => [...new Set(errors.map((error) => error.name))];

/** A good send with some fields replaced; the id is in the text as JSON, so that escapes reach the server as they are. */
function sendWith(fields: Record<string, unknown>): string {
  const data = { clientMsgId: "k", conversationId, messageType: "text", content: "x", ...fields };
  return JSON.stringify({ type: "send-message", data });
}

const DEEP = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;

describe("frames that are none", () => {
  it("not JSON, not an object, no type", async ({ expect }) => {
    const frames = [
      "",
      " ",
      "{",
      "}",
      "null",
      "true",
      "123",
      '"text"',
      "[]",
      "[{}]",
      "{}",
      "undefined",
      "NaN",
      "{'type':'ping'}",
      '{"type":"ping"',
      '{"type":"ping"}}',
      '\ufeff{"type":"ping"}',
      "\u0000",
      "<xml/>",
      '{"type":null}',
      '{"type":1}',
      '{"type":["ping"]}',
      '{"type":{"toString":"ping"}}',
      DEEP,
      `{"type":"ping","data":${DEEP}`,
    ];
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("of unknown types, names from the prototype among them", async ({ expect }) => {
    const types = ["unknown", "", "PING", "send-message ", "new-message", "connected", "message-ack"];
    const prototype = ["__proto__", "constructor", "toString", "hasOwnProperty", "prototype", "valueOf"];
    const frames = [...types, ...prototype].map((type) => JSON.stringify({ type, data: {} }));
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("binary, be it valid JSON", async ({ expect }) => {
    const good = sendWith({ clientMsgId: "binary" });
    const frames = [Buffer.from(good), Buffer.from('{"type":"ping"}'), Buffer.alloc(0), Buffer.alloc(1_000, 0xff)];
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("longer than 64 KiB, counted in bytes", async ({ expect }) => {
    const pad = (bytes: number, char: string): string => {
      const frame = JSON.stringify({ type: "ping", pad: "" });
      return JSON.stringify({ type: "ping", pad: char.repeat((bytes - frame.length) / Buffer.byteLength(char)) });
    };
    const [limit, far] = [64 * 1024, 4 * 1024 * 1024];
    const frames = [pad(limit + 1, "x"), pad(limit + 200, "é"), pad(far, "x"), pad(far, "😀")];
    expect(names(await allRefused(frames))).toEqual(["PAYLOAD_TOO_LARGE"]);
    hostile.send(pad(limit, "x"));
    await hostile.next("pong");
  });

  it("so large that the runtime refuses them: that socket closes, typed, the object lives on", async ({ expect }) => {
    const other = await openSocket(server, mallory.token);
    hostile = await openSocket(server, mallory.token);
    hostile.send(Buffer.alloc(33 * 1024 * 1024, 0x20));
    // The server has said good-bye and reads no more, so the rest of the frame will never be gone.
    const { socket } = hostile;
    await vi.waitUntil(() => socket.readyState === WebSocket.CLOSING, { timeout: 10_000, interval: 20 });
    socket.terminate();
    // The runtime's own close code; no code of ours is behind it.
    expect((await hostile.untilClosed()).code).toBe(1009);
    other.send('{"type":"ping" }');
    await other.next("pong");
    other.close();
  });
});

describe("sends", () => {
  it("with fields of wrong types, or none", async ({ expect }) => {
    const wrong = [null, true, 0, 1.5, "", [], {}, ["x"], { length: 1 }];
    const frames = ["clientMsgId", "conversationId", "messageType", "content"].flatMap((field) =>
      wrong.map((value) => sendWith({ [field]: value })),
    );
    frames.push(sendWith({ replyTo: 1 }), sendWith({ mentions: "x" }), sendWith({ mentions: [1] }));
    frames.push('{"type":"send-message"}', '{"type":"send-message","data":null}', '{"type":"send-message","data":[]}');
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("with texts that are none, too long, or no Unicode", async ({ expect }) => {
    const good = sendWith({ content: "PLACE" });
    const texts = [" \t\n", "\u2003\u3000", "x".repeat(8_001), "😀".repeat(8_001)];
    const escaped = ["\\ud800", "x\\udc00x", "\\ud800\\ud800", "\\udc00\\ud800", "a\\ud83dz"];
    const frames = [
      ...texts.map((text) => good.replace("PLACE", text)),
      ...escaped.map((text) => good.replace("PLACE", text)),
    ].map((frame) => frame.replaceAll("\t", "\\t").replaceAll("\n", "\\n"));
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("into conversations that are none, or not theirs", async ({ expect }) => {
    const outsider = await register(server);
    const ids = [
      "../../admin",
      "a/b",
      "world_chat_room/",
      "world_chat_room%00",
      "WORLD_CHAT_ROOM",
      " world_chat_room",
      "__proto__",
      "group_",
      `group_${"Z".repeat(26)}`,
      `group_${"0".repeat(25)}`,
      `single_${mallory.userId}`,
      `single_${mallory.userId}_${victim.userId}_x`,
      "x".repeat(10_000),
      "\u0000",
    ];
    expect(names(await allRefused(ids.map((id) => sendWith({ conversationId: id }))))).toEqual(["INVALID_INPUT"]);
    const foreign = [
      `group_${outsider.userId}`,
      `single_${[outsider.userId, victim.userId].toSorted().join("_")}`,
      `single_${victim.userId}_${victim.userId}`,
    ];
    const errors = await allRefused(foreign.map((id) => sendWith({ conversationId: id })));
    expect(names(errors)).toEqual(["CONVERSATION_NOT_FOUND"]);
  });

  it("with keys, replies, mentions and types that are not allowed", async ({ expect }) => {
    const refused = [
      { clientMsgId: "x".repeat(65) },
      { clientMsgId: "a b" },
      { clientMsgId: "a/b" },
      { clientMsgId: "é" },
      { clientMsgId: "a\u0000" },
      { replyTo: "../1" },
      { replyTo: "x".repeat(26) },
      { mentions: ["__proto__"] },
      { mentions: Array.from({ length: 51 }, () => victim.userId) },
      { messageType: "image", content: "x" },
      { messageType: "image", content: { key: "../../x", width: 1, height: 1, size: 1, mimeType: "image/png" } },
      { messageType: "image", content: { key: "k", width: -1, height: 1, size: 1, mimeType: "image/png" } },
      { messageType: "image", content: { key: "k", width: 1e300, height: 1, size: 1, mimeType: "image/png" } },
      { messageType: "file", content: { key: "k", name: "\ud800", size: 1, mimeType: "x" } },
      { messageType: "html", content: "<b>" },
    ];
    expect(names(await allRefused(refused.map(sendWith)))).toEqual(["INVALID_INPUT"]);
    const others = await allRefused([
      sendWith({ messageType: "system", content: "I am the system" }),
      sendWith({ replyTo: "01JZZZZZZZZZZZZZZZZZZZZZZZ" }),
    ]);
    expect(others.map((error) => error.name)).toEqual(["PERMISSION_DENIED", "MESSAGE_NOT_FOUND"]);
  });

  it("with keys that would change a prototype: nothing is polluted, the fields are not taken", async ({ expect }) => {
    hostile = await openSocket(server, mallory.token);
    // Unknown fields are ignored, so this is a good ping with strange company.
    hostile.send('{"type":"ping","__proto__":{"type":"send-message"},"constructor":{"prototype":{"polluted":1}}}');
    await hostile.next("pong");
    expect((await answerTo('{"__proto__":{"type":"ping"}}')).name).toBe("INVALID_INPUT");
    // A head of a conversation that cannot be is nobody's head.
    hostile.send('{"type":"sync","data":{"heads":{"__proto__":1,"constructor":1}}}');
    hostile.send('{"type":"sync","data":{"heads":{"__proto__":{"seqId":1,"version":1}}}}');
    expect((await hostile.next("error", "sync-result")).type).toBe("error");
    expect(["error", "sync-result"]).toContain((await hostile.next("error", "sync-result")).type);
    expect((await answerTo('{"type":"sync","data":{"__proto__":{"heads":{}}}}')).name).toBe("INVALID_INPUT");
    const inherited = `{"type":"send-message","data":{"__proto__":${JSON.stringify({ clientMsgId: "k", conversationId, messageType: "text", content: "x" })}}}`;
    expect((await answerTo(inherited)).name).toBe("INVALID_INPUT");
  });
});

describe("other frames", () => {
  it("with numbers that are huge, negative, broken or text", async ({ expect }) => {
    const numbers = ["-1", "1.5", "1e308", "1e999", "-1e999", "9007199254740993", '"1"', "null", "[]", "{}", "true"];
    const frames = numbers.flatMap((n) => [
      `{"type":"mark-read","data":{"conversationId":"${conversationId}","seqId":${n}}}`,
      `{"type":"sync","data":{"heads":{"${conversationId}":${n}}}}`,
    ]);
    frames.push(`{"type":"sync","data":{"heads":{"${conversationId}":{"seqId":1,"version":-1}}}}`);
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("a pointer far beyond the head stands at the head", async ({ expect }) => {
    hostile = await openSocket(server, mallory.token);
    const tab = await openSocket(server, (await register(server)).token);
    tab.close();
    hostile.send(
      `{"type":"mark-read","data":{"conversationId":"${conversationId}","seqId":${Number.MAX_SAFE_INTEGER}},"id":"m"}`,
    );
    hostile.send('{"type":"sync","data":{"heads":{}},"id":"s"}');
    const answer = await hostile.next("sync-result", "error");
    const { conversations } = answer.data as { conversations: { conversation: object; readSeqId: number }[] };
    const mine = conversations.find((item) => JSON.stringify(item.conversation).includes(conversationId));
    expect(mine?.readSeqId).toBeLessThanOrEqual(head);
  });

  it("with too much of something", async ({ expect }) => {
    const heads = Object.fromEntries(
      Array.from({ length: 1_001 }, (_, i) => [`group_${i.toString().padStart(26, "0")}`, 1]),
    );
    const frames = [
      JSON.stringify({ type: "sync", data: { heads } }),
      JSON.stringify({ type: "sync", data: { heads: {}, cursor: "x".repeat(2_000) } }),
      JSON.stringify({ type: "sync", data: { heads: {}, cursor: "../../etc" } }),
      JSON.stringify({ type: "sync", data: { heads: {}, cursor: "bm90LW91cnM" } }),
      JSON.stringify({ type: "sync", data: { heads: [] } }),
      JSON.stringify({ type: "sync", data: { heads: null } }),
      JSON.stringify({ type: "ping", id: "x".repeat(65) }),
      JSON.stringify({ type: "ping", id: 7 }),
      '{"type":"ping","id":"\\ud800"}',
      JSON.stringify({ type: "subscribe", data: {} }),
      JSON.stringify({ type: "subscribe", data: { presence: Array.from({ length: 501 }, () => victim.userId) } }),
      JSON.stringify({ type: "subscribe", data: { conversationId: "a/b" } }),
      JSON.stringify({ type: "typing", data: { conversationId: 1 } }),
    ];
    expect(names(await allRefused(frames))).toEqual(["INVALID_INPUT"]);
  });

  it("about conversations of others", async ({ expect }) => {
    const outsider = await register(server);
    const id = `group_${outsider.userId}`;
    const errors = await allRefused([
      JSON.stringify({ type: "mark-read", data: { conversationId: id, seqId: 1 } }),
      JSON.stringify({ type: "typing", data: { conversationId: id } }),
    ]);
    expect(names(errors)).toEqual(["CONVERSATION_NOT_FOUND"]);
  });

  it("answers with the frame's own id, and names a send that can be named", async ({ expect }) => {
    hostile = await openSocket(server, mallory.token);
    hostile.send('{"type":"typing","data":{},"id":"mine"}');
    expect((await hostile.next("error")).data).toMatchObject({ ref: "mine", error: { name: "INVALID_INPUT" } });
    hostile.send(sendWith({ clientMsgId: "named", content: "" }));
    expect((await hostile.next("message-error")).data).toMatchObject({
      clientMsgId: "named",
      conversationId,
      error: { name: "INVALID_INPUT", fields: [{ path: "data.content" }] },
    });
  });
});

describe("persistence", () => {
  it("closes with 4000 after more than twenty bad frames in ten seconds, and only that socket", async ({ expect }) => {
    const other = await openSocket(server, mallory.token);
    hostile = await openSocket(server, mallory.token);
    for (let n = 0; n < 25; n++) {
      hostile.send("{");
    }
    const { code, reason } = await hostile.untilClosed();
    expect(code).toBe(4000);
    expect(reason).toContain("INVALID_INPUT");
    expect(hostile.frames.filter((frame) => frame.type === "error").length).toBeGreaterThanOrEqual(20);
    other.send('{"type":"ping" }');
    await other.next("pong");
    other.close();
    hostile = await openSocket(server, mallory.token);
  });

  it("bears any number of frames that can be read and are refused", async ({ expect }) => {
    const socket = await openSocket(server, mallory.token);
    for (let n = 0; n < 200; n++) {
      socket.send('{"type":"nonsense","data":{}}');
    }
    socket.send('{"type":"ping" , "id":"last"}');
    await expect.poll(() => socket.frames.filter((frame) => frame.type === "error").length).toBeGreaterThanOrEqual(200);
    const errors = socket.frames.filter((frame) => frame.type === "error").map(errorOf);
    expect(names(errors)).toContain("INVALID_INPUT");
    expect(socket.closed).toBeUndefined();
    socket.close();
  });

  it("bears sockets that come and vanish at once, by the hundred", async ({ expect }) => {
    // Fewer at a time than tabs of one device: a tab too many is closed by the server, and workerd ends a connection that
    // it closed before the client said anything only ten seconds later.
    for (let wave = 0; wave < 20; wave++) {
      await Promise.all(
        Array.from({ length: 5 }, async () => {
          const socket = await openSocket(server, mallory.token).catch(() => undefined);
          socket?.send(sendWith({ conversationId: "nowhere" }));
          socket?.close();
        }),
      );
    }
    hostile = await openSocket(server, mallory.token);
    hostile.send('{"type":"ping" }');
    expect((await hostile.next("pong")).type).toBe("pong");
  });
});
