/**
 * The benchmark's users, made and connected by the SDK. Where thousands of sockets only listen, the SDK's whole client
 * would be measured instead of the server: those are opened here the way the SDK opens them, with the token that it got.
 */
import { type Chat, createChat, type Session, WORLD_ROOM_ID } from "../../sdk/src/index.ts";
import { openSocket, TappedSocket } from "./sockets.ts";

/** Long enough for the server, the same for all. */
const PASSWORD = "correct horse battery staple";
/** Largest number of users in one call. Source: src/protocol/limits.ts. */
const USERS_AT_ONCE = 100;

let users = 0;

/** One user: a client of the SDK, and what it takes to open a socket beside it. */
export class User {
  readonly chat: Chat;
  readonly #url: string;
  #session: Session | undefined;
  #socket: TappedSocket | undefined;

  constructor(url: string) {
    this.#url = url;
    const setSocket = (socket: TappedSocket): void => {
      this.#socket = socket;
    };
    this.chat = createChat({
      url,
      autoConnect: false,
      // The workloads take the messages before the client sees them.
      backlog: 0,
      keepMessages: 0,
      auth: {
        load: () => this.#session,
        save: (session) => {
          this.#session = session;
        },
      },
      WebSocket: class extends TappedSocket {
        constructor(address: string, protocols: string[]) {
          super(address, protocols);
          setSocket(this);
        }
      },
      fetch: fetchFrom(addressOf(users++)),
    });
  }

  get userId(): string {
    return this.#signedIn.user.userId;
  }

  /** Connects the SDK's client, waits until it is in sync, and answers its socket. */
  async connect(): Promise<TappedSocket> {
    this.chat.connect();
    await this.chat.ready();
    if (this.#socket === undefined) {
      throw new Error("the client is ready without a socket");
    }
    return this.#socket;
  }

  /** A socket of this user without a client around it, up to the server's first frame. */
  openSession(): Promise<TappedSocket> {
    return this.#open("/ws");
  }

  /** A reader's socket of the world room. */
  openWorld(): Promise<TappedSocket> {
    return this.#open(`/ws/rooms/${WORLD_ROOM_ID}`);
  }

  /** One REST call without the SDK around it; an answer that is no success throws. */
  async call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(this.#url + path, {
      method,
      headers: { authorization: `Bearer ${this.#signedIn.accessToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = response.status === 204 ? undefined : await response.json();
    if (!response.ok) {
      throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}`);
    }
    return answer;
  }

  #open(path: string): Promise<TappedSocket> {
    const address = this.#url.replace(/^http/, "ws") + path;
    return openSocket(address, ["gochat.v1", `gochat.bearer.${this.#signedIn.accessToken}`]);
  }

  get #signedIn(): Session {
    if (this.#session === undefined) {
      throw new Error("nobody is signed in");
    }
    return this.#session;
  }
}

export async function register(url: string, username: string): Promise<User> {
  const user = new User(url);
  await user.chat.register({ username, password: PASSWORD });
  return user;
}

export async function newGuest(url: string): Promise<User> {
  const user = new User(url);
  await user.chat.guest();
  return user;
}

/** Makes them friends; answers the direct conversation that this makes. */
export async function befriend(one: User, other: User): Promise<string> {
  const request = await one.chat.friends.request(other.userId);
  const { conversation } = await other.chat.friends.accept(request.requestId);
  if (conversation === undefined) {
    throw new Error("a friendship without a conversation");
  }
  return conversation.conversationId;
}

/** A group of these users, owned by the first. */
export async function createGroup(members: readonly User[]): Promise<string> {
  const [owner, ...others] = members;
  if (owner === undefined) {
    throw new Error("a group needs an owner");
  }
  const userIds = others.map((user) => user.userId);
  const group = await owner.chat.createGroup({ name: "bench", memberIds: userIds.slice(0, USERS_AT_ONCE) });
  for (let from = USERS_AT_ONCE; from < userIds.length; from += USERS_AT_ONCE) {
    const { failed } = await group.addMembers(userIds.slice(from, from + USERS_AT_ONCE));
    if (failed.length > 0) {
      throw new Error(`${failed.length} users were not added: ${JSON.stringify(failed[0])}`);
    }
  }
  return group.conversationId;
}

/** Registrations are limited by address, and every user has one of their own. */
function addressOf(user: number): string {
  return `10.${(user >> 16) & 255}.${(user >> 8) & 255}.${user & 255}`;
}

function fetchFrom(address: string): typeof fetch {
  return (input, init) => {
    const headers = new Headers(init?.headers);
    headers.set("CF-Connecting-IP", address);
    return fetch(input, { ...init, headers });
  };
}
