/** Drives our server: accounts and conversations through the SDK, then the workloads on open sockets. */
import { befriend, createGroup, newGuest, register, type User } from "./accounts.ts";
import { WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { measureAcks } from "./acks.ts";
import { measureGroup } from "./group.ts";
import { bodyOf, type Delivered, FrameMemo, IGNORE, type Line, numberIn } from "./lines.ts";
import { inPool } from "./pool.ts";
import type { LoadCommand, LoadDriver, LoadResult, Where } from "./protocol.ts";
import { closeSocket, type TappedSocket } from "./sockets.ts";
import { measureStorm } from "./storm.ts";
import { measureWorld } from "./world.ts";

const CONNECT_AT_ONCE = 100;
/** A registration costs the server some 50 ms of scrypt, so more at once only queue up. */
const REGISTER_AT_ONCE = 4;
/** New accounts stand in line for one row, the members of the world: more of them at once are no sooner done, and on MySQL some give up. */
const GUESTS_AT_ONCE = 16;

/** A user's line into the one conversation that is measured. */
type UserLine = Line & { conversationId: string };

/** A connected user. */
interface Member {
  readonly user: User;
  readonly line: UserLine;
}

/** Between text and its own `clientMsgId`: one run's messages never meet those of another. */
let runs = 0;

export class OursDriver implements LoadDriver {
  #members: Member[] = [];
  #directs: string[] = [];
  readonly #groups = new Map<number, string>();
  #guests: User[] = [];
  readonly #idle: TappedSocket[] = [];
  readonly #memo = new FrameMemo<Delivered>(readMessages);

  async run(command: LoadCommand, where: Where): Promise<LoadResult> {
    const { url, workerdPid } = where;
    runs += 1;
    switch (command.do) {
      case "prepare":
        await this.#prepare(url, command);
        return { kind: "done" };
      case "guests":
        this.#guests = await inPool(Array.from({ length: command.count }), GUESTS_AT_ONCE, () => newGuest(url));
        return { kind: "done" };
      case "direct":
        return await measureAcks(this.#pairs(1), command.span, workerdPid);
      case "pairs":
        return await measureAcks(this.#pairs(command.pairs), command.span, workerdPid);
      case "group": {
        const [sender, ...readers] = this.#in(this.#groups.get(command.size) ?? "", command.size);
        if (sender === undefined) {
          throw new Error("there are no members");
        }
        return await measureGroup(sender, readers, command.inFlight, command.span, workerdPid, true);
      }
      case "world":
        return await this.#world(command, where);
      case "hot":
        return await this.#hot(command, where);
      case "storm": {
        const opens = this.#guests.slice(0, command.count).map((guest) => async () => {
          this.#idle.push(await guest.openSession());
        });
        return await measureStorm(opens, command.atOnce, workerdPid);
      }
      case "closeAll":
        await inPool(this.#members.splice(0), CONNECT_AT_ONCE, ({ user }) => user.chat.close());
        await inPool(this.#idle.splice(0), CONNECT_AT_ONCE, closeSocket);
        return { kind: "done" };
    }
  }

  async #prepare(url: string, wish: { members: number; pairs: number; groups: number[] }): Promise<void> {
    const numbers = Array.from({ length: wish.members }, (_, index) => index);
    const users = await inPool(numbers, REGISTER_AT_ONCE, (index) => register(url, `bench_${index}`));
    this.#directs = await inPool(numbers.slice(0, wish.pairs), CONNECT_AT_ONCE, (pair) =>
      befriend(at(users, 2 * pair), at(users, 2 * pair + 1)),
    );
    for (const size of wish.groups) {
      this.#groups.set(size, await createGroup(users.slice(0, size)));
    }
    this.#members = await inPool(users, CONNECT_AT_ONCE, async (user) => {
      return { user, line: this.#lineOf(await user.connect()) };
    });
  }

  #pairs(count: number): { from: Line; to: Line }[] {
    return this.#directs.slice(0, count).map((conversationId, pair) => {
      const [from, to] = [at(this.#members, 2 * pair).line, at(this.#members, 2 * pair + 1).line];
      from.conversationId = conversationId;
      to.conversationId = conversationId;
      return { from, to };
    });
  }

  #in(conversationId: string, count: number): Line[] {
    return this.#members.slice(0, count).map(({ line }) => {
      line.conversationId = conversationId;
      return line;
    });
  }

  /** Guests read through room sockets; other guests send through their own. */
  async #world(command: Extract<LoadCommand, { do: "world" }>, { workerdPid }: Where): Promise<LoadResult> {
    const sockets: TappedSocket[] = [];
    const readers = await inPool(
      Array.from({ length: command.readers }, (_, index) => at(this.#guests, index % this.#guests.length)),
      CONNECT_AT_ONCE,
      async (guest) => {
        const socket = await guest.openWorld();
        sockets.push(socket);
        const line: Line = { ...IGNORE, send: () => {} };
        socket.tap = (bytes) => {
          if (startsWith(bytes, "new-message")) {
            line.onDelivered(this.#memo.read(bytes));
          }
          return true;
        };
        return line;
      },
    );
    const senders = await this.#worldSenders(command.senders, sockets);
    try {
      const span = { ...command.span, patienceMs: command.patienceMs };
      return await measureWorld(senders, readers, command.rate, span, workerdPid, true);
    } finally {
      await inPool(sockets, CONNECT_AT_ONCE, closeSocket);
    }
  }

  /** What the room itself bears, since nothing of it goes to a reader. */
  async #hot(command: Extract<LoadCommand, { do: "hot" }>, { workerdPid }: Where): Promise<LoadResult> {
    const sockets: TappedSocket[] = [];
    try {
      const senders = await this.#worldSenders(command.senders, sockets);
      return await measureAcks(
        senders.map((from) => ({ from, to: undefined })),
        command.span,
        workerdPid,
      );
    } finally {
      await inPool(sockets, CONNECT_AT_ONCE, closeSocket);
    }
  }

  /** Guests with a socket of their own, which is put into `sockets`. */
  #worldSenders(count: number, sockets: TappedSocket[]): Promise<Line[]> {
    return inPool(this.#guests.slice(0, count), CONNECT_AT_ONCE, async (guest) => {
      const socket = await guest.openSession();
      sockets.push(socket);
      // As the SDK does when it has a room socket: the user's own socket stays free of the room.
      socket.send(JSON.stringify({ type: "unsubscribe", data: { conversationId: WORLD_ROOM_ID } }));
      const line = this.#lineOf(socket);
      line.conversationId = WORLD_ROOM_ID;
      return line;
    });
  }

  #lineOf(socket: TappedSocket): UserLine {
    const line: UserLine = {
      ...IGNORE,
      conversationId: "",
      send: (number) => {
        const { conversationId } = line;
        const data = { clientMsgId: `${runs}-${number}`, conversationId, messageType: "text", content: bodyOf(number) };
        socket.send(JSON.stringify({ type: "send-message", data }));
      },
    };
    socket.tap = (bytes) => {
      if (startsWith(bytes, "new-message")) {
        line.onDelivered(this.#memo.read(bytes));
        return true;
      }
      return startsWith(bytes, "message-") && hear(line, bytes.toString("utf8"));
    };
    return line;
  }
}

/** Answers to sends; true when it was one. */
function hear(line: Line, text: string): boolean {
  const { type, data } = JSON.parse(text) as {
    type: string;
    data: { clientMsgId?: string; status?: string; seqId?: number; error?: unknown };
  };
  const [run, number] = data.clientMsgId?.split("-").map(Number) ?? [];
  if (run !== runs || number === undefined) {
    return false;
  }
  switch (type) {
    case "message-ack":
      // The bus has it (`sending`) is not yet the acknowledgement that a sender waits for.
      if (data.status === "sent") {
        line.onAck(number, data.seqId ?? 0);
      }
      return true;
    case "message-confirmed":
      line.onConfirmed(number);
      return true;
    case "message-error":
      line.onRefused(number, JSON.stringify(data.error));
      return true;
    default:
      return false;
  }
}

const TYPE_AT = '{"type":"'.length;

/** Whether a frame's type begins so; the server writes the type first. */
function startsWith(bytes: Buffer, type: string): boolean {
  return bytes.toString("latin1", TYPE_AT, TYPE_AT + type.length) === type;
}

function readMessages(text: string): Delivered {
  const { data } = JSON.parse(text) as {
    data: { message?: { seqId: number; content: string }; messages?: { seqId: number; content: string }[] };
  };
  const messages = data.messages ?? (data.message === undefined ? [] : [data.message]);
  return {
    places: messages.map((message) => message.seqId),
    numbers: messages.map((message) => numberIn(message.content)),
  };
}

function at<T>(items: readonly T[], index: number): T {
  const item = items[index];
  if (item === undefined) {
    throw new Error(`there is no number ${index} among ${items.length}`);
  }
  return item;
}
