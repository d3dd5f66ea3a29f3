/** How each row of the table about frames is asked, and how its answer is found. */
import type { ErrorName } from "../../../src/protocol/errors.ts";
import { openSocket, upgradeStatus, type Frame, type RawSocket } from "../support/raw.ts";
import type { Kind, Stage } from "./stage.ts";
import type { Actor } from "./table.ts";
import { uniqueName } from "../../support/names.ts";

type DataOf = (stage: Stage, actor: Actor, conversationId: string) => unknown;

const send =
  (messageType: "text" | "system"): DataOf =>
  (_stage, _actor, conversationId) => ({
    clientMsgId: uniqueName("m"),
    conversationId,
    messageType,
    content: "hello",
  });
const inConversation: DataOf = (_stage, _actor, conversationId) => ({ conversationId });
const read: DataOf = (_stage, _actor, conversationId) => ({ conversationId, seqId: 1 });
const presence: DataOf = (stage) => ({ presence: [stage.id("peer")] });
const heads: DataOf = () => ({ heads: {} });

/** By the case of a row: where, and with which data. By the type alone where there is one case. */
const DATA: Record<string, DataOf> = {
  ping: () => undefined,
  "send-message": send("text"),
  "mark-read": read,
  typing: inConversation,
  sync: heads,
  subscribe: inConversation,
  unsubscribe: inConversation,
};

const ROOM_SOCKET = "/ws/rooms/world_chat_room";

async function conversationOf(stage: Stage, actor: Actor, where: string): Promise<string> {
  switch (where) {
    case "group":
    case "all muted": {
      const kind: Kind = where === "group" ? "plain" : where;
      return (await stage.group(kind)).id;
    }
    case "direct":
      return stage.direct(actor).id;
    default:
      return "world_chat_room";
  }
}

/** One socket for each actor and path; the answers to frames, found by the frames' ids. */
export class Sockets {
  readonly #stage: Stage;
  readonly #open = new Map<string, Promise<RawSocket | ErrorName>>();
  /** Frames that nothing has answered: an error for one of them may still be on its way. */
  readonly #silent: { name: string; actor: Actor; id: string; socket: RawSocket }[] = [];
  #count = 0;

  constructor(stage: Stage) {
    this.#stage = stage;
  }

  /** `ok`, or the error's name. */
  async ask(name: string, actor: Actor): Promise<string> {
    const [type = "", detail = ""] = name.split(" · ");
    const onRoomSocket = detail === "room socket";
    const socket = await this.#socketOf(actor, onRoomSocket ? ROOM_SOCKET : "/ws");
    if (typeof socket === "string") {
      return socket;
    }
    const [first = "", second = ""] = detail.split(", ");
    const data = first === "system" ? send("system") : detail.startsWith("presence") ? presence : DATA[type];
    if (data === undefined) {
      throw new Error(`nothing says how to send a frame of type ${type}`);
    }
    const conversationId = await conversationOf(this.#stage, actor, second === "" ? first : second);
    const id = this.#send(socket, type, data(this.#stage, actor, conversationId));
    // What succeeds without a word is followed by something that answers late: a whole sync, or on a room socket a ping.
    const isSilent = !onRoomSocket && !["ping", "send-message", "sync"].includes(type);
    const fence = isSilent ? this.#send(socket, "sync", { heads: {} }) : id;
    await socket.until(`an answer to ${name} of ${actor}`, () => answered(socket, id) || answered(socket, fence));
    const error = errorOf(socket, id);
    if (isSilent && error === undefined) {
      this.#silent.push({ name, actor, id, socket });
    }
    return error ?? "ok";
  }

  /** Frames that seemed to be taken and were refused later, or that closed their socket. */
  lateRefusals(): string[] {
    return this.#silent.flatMap(({ name, actor, id, socket }) => {
      const error = errorOf(socket, id) ?? (socket.closed === undefined ? undefined : "closed");
      return error === undefined ? [] : [`${name}, ${actor}: ${error}`];
    });
  }

  async close(): Promise<void> {
    for (const socket of await Promise.all(this.#open.values())) {
      if (typeof socket !== "string") {
        socket.close();
      }
    }
  }

  #send(socket: RawSocket, type: string, data: unknown): string {
    this.#count += 1;
    const id = `frame-${this.#count}`;
    socket.sendFrame({ type, id, ...(data === undefined ? {} : { data }) });
    return id;
  }

  #socketOf(actor: Actor, path: string): Promise<RawSocket | ErrorName> {
    const key = `${actor} ${path}`;
    const before = this.#open.get(key) ?? openAs(this.#stage, actor, path);
    this.#open.set(key, before);
    return before;
  }
}

/** An open socket, or the error's name of the refused upgrade. */
async function openAs(stage: Stage, actor: Actor, path: string): Promise<RawSocket | ErrorName> {
  const { token, headers } = stage.credentials(actor);
  const asked = { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) };
  const { status, body } = await upgradeStatus(stage.server, { path, protocols: ["gochat.v1"], headers: asked });
  if (status !== 101) {
    return (JSON.parse(body) as { error: { name: ErrorName } }).error.name;
  }
  return openSocket(stage.server, token ?? "", path);
}

function answered(socket: RawSocket, id: string): boolean {
  return socket.frames.some((frame) => refOf(frame) === id);
}

function refOf(frame: Frame): unknown {
  return frame.ref ?? frame.data?.["ref"];
}

function errorOf(socket: RawSocket, id: string): string | undefined {
  const frame = socket.frames.find((one) => refOf(one) === id && ["error", "message-error"].includes(one.type));
  return (frame?.data?.["error"] as { name: string } | undefined)?.name;
}
