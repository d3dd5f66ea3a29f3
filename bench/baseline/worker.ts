/**
 * What the platform alone can do, in the same workerd: a bare object that writes a row and answers, a bare object that
 * holds the sockets and broadcasts, a bare hibernating socket in an object of its own. No account, no order, no
 * history, no resend: the figures of this Worker are the price of the platform, not of a chat. `shape.ts` beside it has
 * the shape of ours, an object for each user and one for each conversation, and nothing in it.
 */
import { DurableObject } from "cloudflare:workers";
import { accept } from "./accept.ts";
import { Person, Room } from "./shape.ts";

export { Person, Room };

export interface BaselineEnv {
  readonly ROWS: DurableObjectNamespace<RowWriter>;
  readonly BROADCASTERS: DurableObjectNamespace<Broadcaster>;
  readonly LONERS: DurableObjectNamespace<Loner>;
  readonly PERSONS: DurableObjectNamespace<Person>;
  readonly ROOMS: DurableObjectNamespace<Room>;
}

/** Writes each frame as one row and answers; the output gate holds the answer until the row is on disk. */
export class RowWriter extends DurableObject<BaselineEnv> {
  constructor(ctx: DurableObjectState, env: BaselineEnv) {
    super(ctx, env);
    ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, body TEXT NOT NULL)");
  }

  override fetch(): Response {
    return accept(this.ctx);
  }

  override webSocketMessage(socket: WebSocket, message: string | ArrayBuffer): void {
    const { n } = this.ctx.storage.sql
      .exec<{ n: number }>("INSERT INTO rows (body) VALUES (?) RETURNING n", typeof message === "string" ? message : "")
      .one();
    socket.send(`{"type":"row","n":${n}}`);
  }
}

/** Sends each frame on to every other socket. Stores nothing. */
export class Broadcaster extends DurableObject<BaselineEnv> {
  override fetch(): Response {
    return accept(this.ctx);
  }

  override webSocketMessage(sender: WebSocket, message: string | ArrayBuffer): void {
    for (const socket of this.ctx.getWebSockets()) {
      if (socket !== sender) {
        socket.send(message);
      }
    }
  }
}

/** One socket in an object of its own, with a database that it does not use. */
export class Loner extends DurableObject<BaselineEnv> {
  override fetch(): Response {
    return accept(this.ctx);
  }
}

/** `/{kind}/{name}`: a socket of that object. */
export default {
  fetch(request: Request, env: BaselineEnv): Promise<Response> | Response {
    const [, kind, name] = new URL(request.url).pathname.split("/");
    if (request.headers.get("upgrade") !== "websocket" || name === undefined) {
      return new Response("ok");
    }
    switch (kind) {
      case "rows":
        return stub(env.ROWS, name).fetch(request);
      case "broadcast":
        return stub(env.BROADCASTERS, name).fetch(request);
      // `/person/{name}?room={room}`
      case "person":
        return stub(env.PERSONS, name).fetch(request);
      case "alone":
        return stub(env.LONERS, name).fetch(request);
      default:
        return new Response("no such object", { status: 404 });
    }
  },
} satisfies ExportedHandler<BaselineEnv>;

function stub<T extends RowWriter | Broadcaster | Loner | Person>(
  namespace: DurableObjectNamespace<T>,
  name: string,
): DurableObjectStub<T> {
  // oxlint-disable-next-line no-restricted-properties -- the baseline is a Worker of its own, without our stubs
  return namespace.getByName(name);
}
