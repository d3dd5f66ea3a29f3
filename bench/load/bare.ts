/** Drives the baseline: the same workloads on bare objects. */
import { measureAcks } from "./acks.ts";
import { measureGroup } from "./group.ts";
import { bodyOf, type Delivered, FrameMemo, IGNORE, type Line, numberIn } from "./lines.ts";
import { inPool } from "./pool.ts";
import type { LoadCommand, LoadDriver, LoadResult, Shape, Where } from "./protocol.ts";
import { closeSocket, openSocket, type TappedSocket } from "./sockets.ts";
import { measureStorm } from "./storm.ts";
import { measureWorld } from "./world.ts";

const CONNECT_AT_ONCE = 100;

export class BareDriver implements LoadDriver {
  readonly #open: TappedSocket[] = [];
  readonly #memo = new FrameMemo<Delivered>((text) => {
    const numbers = text.split("\n").map(numberIn);
    return { places: numbers.map((number) => number + 1), numbers };
  });
  /** Objects of one command are not those of another. */
  #turn = 0;

  async run(command: LoadCommand, { url, workerdPid }: Where): Promise<LoadResult> {
    this.#turn += 1;
    switch (command.do) {
      case "prepare":
        return { kind: "done" };
      case "guests":
        // Ours exist on disk when they come; so do these. The first time a database is made, which takes longer than to connect.
        await inPool(guests(command.count), CONNECT_AT_ONCE, (name) => this.#connect(aloneUrl(url, name)));
        await this.#closeAll();
        return { kind: "done" };
      case "direct":
        return await this.#acks(url, 1, command.span, workerdPid, command.shape);
      case "pairs":
        return await this.#acks(url, command.pairs, command.span, workerdPid, command.shape);
      case "group": {
        const { inFlight, span, size, shape } = command;
        const [sender, readers] = await this.#audience(url, size - 1, shape);
        return await this.#closing(measureGroup(sender, readers, inFlight, span, workerdPid, false));
      }
      case "world": {
        const [sender, readers] = await this.#audience(url, command.readers);
        const span = { ...command.span, patienceMs: command.patienceMs };
        return await this.#closing(measureWorld([sender], readers, command.rate, span, workerdPid, false));
      }
      case "hot":
        throw new Error("the bare objects have no rooms that many send into");
      case "storm": {
        const opens = guests(command.count).map((name) => () => this.#connect(aloneUrl(url, name)));
        return await measureStorm(opens, command.atOnce, workerdPid);
      }
      case "closeAll":
        await this.#closeAll();
        return { kind: "done" };
    }
  }

  async #acks(
    url: string,
    count: number,
    span: { warmMs: number; measureMs: number },
    pid: number,
    shape?: Shape,
  ): Promise<LoadResult> {
    const base = socketUrl(url);
    const lines = await inPool(
      Array.from({ length: count }).map((_, index) => index),
      CONNECT_AT_ONCE,
      async (index) => {
        const name = `${this.#turn}-${index}`;
        if (shape === undefined) {
          return this.#rowLine(await this.#connect(`${base}/rows/${name}`));
        }
        // The other side of the conversation, who reads.
        await this.#connect(`${base}/person/${name}-b?room=${name}`);
        return this.#rowLine(await this.#connect(`${base}/person/${name}-a?room=${name}`));
      },
    );
    return await this.#closing(
      measureAcks(
        lines.map((from) => ({ from, to: undefined })),
        span,
        pid,
      ),
    );
  }

  /** A sender and its readers: all sockets of one object, or each of its own. */
  async #audience(url: string, readers: number, shape?: Shape): Promise<[Line, Line[]]> {
    const turn = String(this.#turn);
    const path = (index: number): string =>
      shape === undefined ? `broadcast/${turn}` : `person/${turn}-${index}?room=${turn}`;
    const [sender, ...rest] = await inPool(
      Array.from({ length: readers + 1 }).map((_, index) => index),
      CONNECT_AT_ONCE,
      async (index) => this.#broadcastLine(await this.#connect(`${socketUrl(url)}/${path(index)}`)),
    );
    if (sender === undefined) {
      throw new Error("nobody connected");
    }
    return [sender, rest];
  }

  async #connect(url: string): Promise<TappedSocket> {
    const socket = await openSocket(url);
    this.#open.push(socket);
    return socket;
  }

  #rowLine(socket: TappedSocket): Line {
    let last = 0;
    const line: Line = {
      ...IGNORE,
      send: (number) => {
        last = number;
        socket.send(bodyOf(number));
      },
    };
    // One message is in flight, so an answer is the answer to the last.
    socket.tap = () => {
      line.onAck(last, 0);
      return true;
    };
    return line;
  }

  #broadcastLine(socket: TappedSocket): Line {
    const line: Line = { ...IGNORE, send: (number) => socket.send(bodyOf(number)) };
    socket.tap = (bytes) => {
      line.onDelivered(this.#memo.read(bytes));
      return true;
    };
    return line;
  }

  async #closing(result: Promise<LoadResult>): Promise<LoadResult> {
    try {
      return await result;
    } finally {
      await this.#closeAll();
    }
  }

  async #closeAll(): Promise<void> {
    await inPool(this.#open.splice(0), CONNECT_AT_ONCE, closeSocket);
  }
}

function socketUrl(url: string): string {
  return url.replace(/^http/, "ws");
}

/** Names of objects with one socket each: the counterparts of the guests. */
function guests(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `guest-${index}`);
}

function aloneUrl(url: string, name: string): string {
  return `${socketUrl(url)}/alone/${name}`;
}
