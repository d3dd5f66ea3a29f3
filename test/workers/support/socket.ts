/** A device's socket as a test holds it: opened through the object's `fetch`, frames kept in order. */
import { env } from "cloudflare:workers";
import { newId } from "../../../src/platform/ids.ts";
import { sessionOf, shardAt } from "../../../src/platform/stubs.ts";
import type { ClientFrame, ServerFrame, ServerFrameOf, ServerFrameType } from "../../../src/protocol/frames.ts";
import { Watchers } from "../../support/watchers.ts";
import { signIn } from "./harness.ts";

/** Longer than anything in these tests takes; a test that waits for what never comes says what it saw instead. */
const PATIENCE_MS = 15_000;

export class TestSocket {
  readonly frames: ServerFrame[] = [];
  /** Set when the server (or the test) has closed the socket. */
  closed: { code: number; reason: string } | undefined;
  readonly #socket: WebSocket;
  readonly #watchers = new Watchers();
  /** How many frames of each type `next` has handed out. */
  readonly #read = new Map<string, number>();

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", (event) => {
      this.frames.push(JSON.parse(String(event.data)) as ServerFrame);
      this.#watchers.changed();
    });
    socket.addEventListener("close", (event) => {
      this.closed = { code: event.code, reason: event.reason };
      this.#watchers.changed();
    });
    socket.accept();
  }

  send(frame: ClientFrame): void {
    this.#socket.send(JSON.stringify(frame));
  }

  /** Anything at all, as a hostile client would. */
  sendRaw(data: string | ArrayBuffer): void {
    this.#socket.send(data);
  }

  close(code = 1000): void {
    this.#socket.close(code, "done");
  }

  all<Type extends ServerFrameType>(type: Type): ServerFrameOf<Type>[] {
    // TypeScript does not follow a generic discriminant.
    return this.frames.filter((frame) => frame.type === type) as ServerFrameOf<Type>[];
  }

  /** The next frame of this type that was not handed out before. */
  async next<Type extends ServerFrameType>(type: Type): Promise<ServerFrameOf<Type>> {
    const index = this.#read.get(type) ?? 0;
    this.#read.set(type, index + 1);
    await this.until(`frame ${type} number ${index + 1}`, () => this.all(type).length > index);
    const frame = this.all(type)[index];
    if (frame === undefined) {
      throw new Error("unreachable: it was counted");
    }
    return frame;
  }

  /** Waits for a condition on this socket, looked at whenever something arrives. */
  async until(what: string, check: () => boolean): Promise<void> {
    await this.#watchers.until(what, check, {
      patienceMs: PATIENCE_MS,
      seen: () => `closed ${JSON.stringify(this.closed)}, frames: ${this.frames.map((frame) => frame.type).join(" ")}`,
    });
  }

  /** Sequences of all messages that were pushed here, in order of arrival. */
  pushed(conversationId?: string): number[] {
    return this.frames
      .flatMap((frame) =>
        frame.type === "new-message" ? [frame.data.message] : frame.type === "new-messages" ? frame.data.messages : [],
      )
      .filter((message) => conversationId === undefined || message.conversationId === conversationId)
      .map((message) => message.seqId);
  }

  async untilClosed(): Promise<{ code: number; reason: string }> {
    await this.until("the close", () => this.closed !== undefined);
    return this.closed ?? { code: 0, reason: "" };
  }

  /**
   * Everything that the server sent before it answered this: proves that something did not come. The ping differs from
   * the fixed bytes, so the object itself answers it, after what it did before.
   */
  async settle(): Promise<void> {
    const before = this.all("pong").length;
    this.sendRaw(`{"type":"ping","id":"${newId(Date.now())}"}`);
    await this.until("pong", () => this.all("pong").length > before);
  }
}

function opened(response: Response): TestSocket {
  const socket = response.webSocket;
  if (response.status !== 101 || socket === null) {
    throw new Error(`no upgrade: ${response.status}`);
  }
  return new TestSocket(socket);
}

/** The upgrade as the gateway forwards it, after it has checked the token. */
export async function upgrade(userId: string, deviceId: string, headers: Record<string, string> = {}) {
  return await sessionOf(env, userId).fetch(
    new Request("http://gateway/ws", {
      headers: {
        Upgrade: "websocket",
        "x-gochat-device": deviceId,
        // Newer than any sign-in: the clock of a test stands still between its calls.
        "x-gochat-issued-at": String(Date.now() + 3_600_000),
        "x-gochat-guest": "0",
        "x-gochat-role": "user",
        ...headers,
      },
    }),
  );
}

/** A socket of a signed-in device; without one, the user signs in. Waits for `connected`. */
export async function connect(userId: string, deviceId?: string): Promise<TestSocket> {
  const socket = opened(await upgrade(userId, deviceId ?? (await signIn(userId)).deviceId));
  await socket.next("connected");
  return socket;
}

/** A passive socket of a big room's shard. */
export async function connectShard(conversationId: string, shard: number, since?: number): Promise<TestSocket> {
  const query = since === undefined ? "" : `?since=${since}`;
  const request = new Request(`http://gateway/ws/rooms/${conversationId}${query}`, {
    headers: { Upgrade: "websocket", "x-gochat-user": "reader" },
  });
  return opened(await shardAt(env, conversationId, shard).fetch(request));
}
