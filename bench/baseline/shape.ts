/**
 * The shape of ours and nothing in it: an object for each user that holds the user's socket, an object for each
 * conversation that writes one row a message and then calls every member's object, one flight at a time. No account,
 * rule, order between members, resend, presence, cache or SQL. What it reaches is what an object for each user costs on
 * this machine; what ours reaches less is the price of everything else.
 */
import { DurableObject } from "cloudflare:workers";
import { accept } from "./accept.ts";
import type { BaselineEnv } from "./worker.ts";

/** One user's socket. Sends go to the room one flight at a time; the next carries what came meanwhile. */
export class Person extends DurableObject<BaselineEnv> {
  #room = "";
  #waiting: string[] = [];
  #isFlying = false;

  override async fetch(request: Request): Promise<Response> {
    this.#room = new URL(request.url).searchParams.get("room") ?? "";
    const name = this.ctx.id.name ?? "";
    // oxlint-disable-next-line no-restricted-properties -- the baseline is a Worker of its own, without our stubs
    await this.env.ROOMS.getByName(this.#room).join(name);
    return accept(this.ctx);
  }

  override async webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): Promise<void> {
    this.#waiting.push(typeof message === "string" ? message : "");
    if (this.#isFlying) {
      return;
    }
    this.#isFlying = true;
    while (this.#waiting.length > 0) {
      const bodies = this.#waiting;
      this.#waiting = [];
      // oxlint-disable-next-line no-restricted-properties -- as above
      const rows = await this.env.ROOMS.getByName(this.#room).append(bodies, this.ctx.id.name ?? "");
      for (const n of rows) {
        socket.send(`{"type":"row","n":${n}}`);
      }
    }
    this.#isFlying = false;
  }

  deliver(frame: string): number {
    const sockets = this.ctx.getWebSockets();
    for (const socket of sockets) {
      socket.send(frame);
    }
    return sockets.length;
  }
}

/** One conversation: a row a message, then a round to all members; the next round carries what came meanwhile. */
export class Room extends DurableObject<BaselineEnv> {
  readonly #members = new Set<string>();
  #waiting: string[] = [];
  #isDelivering = false;

  constructor(ctx: DurableObjectState, env: BaselineEnv) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, body TEXT NOT NULL)");
  }

  join(name: string): void {
    this.#members.add(name);
  }

  append(bodies: string[], sender: string): number[] {
    const rows = bodies.map(
      (body) =>
        this.ctx.storage.sql.exec<{ n: number }>("INSERT INTO rows (body) VALUES (?) RETURNING n", body).one().n,
    );
    this.#waiting.push(...bodies);
    if (!this.#isDelivering) {
      this.#isDelivering = true;
      // After the answer, as ours: acknowledgements leave before the round begins.
      setTimeout(() => void this.#deliver(sender), 0);
    }
    return rows;
  }

  async #deliver(sender: string): Promise<void> {
    while (this.#waiting.length > 0) {
      const frame = this.#waiting.splice(0).join("\n");
      const readers = [...this.#members].filter((name) => name !== sender);
      // oxlint-disable-next-line no-restricted-properties -- the baseline is a Worker of its own, without our stubs
      await Promise.all(readers.map((name) => this.env.PERSONS.getByName(name).deliver(frame)));
    }
    this.#isDelivering = false;
  }
}
