/** Everybody who stands in the table of rights, what they are to each other, and groups that are made anew once somebody has changed one. */
import type { TestServer } from "../../support/server.ts";
import { writeSql } from "../../support/sql.ts";
import { befriend, call, register, toUser, type Answer, type Call, type RawUser } from "../support/raw.ts";
import { ACTORS, type Actor } from "./table.ts";
import { uniqueName } from "../../support/names.ts";

export const ADMIN_KEY = "the key of the table of rights";
export const PASSWORD = "a good password";

/** Limits are other tests' business. */
export const SETTINGS = {
  GOCHAT_ADMIN_KEY: ADMIN_KEY,
  ...Object.fromEntries(
    ["SENDS", "WORLD_SENDS", "REQUESTS"].flatMap((name) => [
      [`LIMIT_${name}_PER_SECOND`, "1000000"],
      [`LIMIT_${name}_BURST`, "1000000"],
    ]),
  ),
  LIMIT_DEVICES_PER_KIND: "1000",
  LIMIT_BAD_FRAMES: "10000",
};

/** Users in the wings: nobody asks as one of them. */
const EXTRAS = ["peer", "asker", "spare", "quiet", "victim"] as const;
type Extra = (typeof EXTRAS)[number];
type Role = Actor | Extra;

/** In each group from its beginning; `owner` makes it. */
const MEMBERS = ["admin", "member", "muted", "removed", "blocked", "peer"] as const;
const FRIENDS_OF_PEER = ["member", "muted", "admin", "owner", "removed", "banned", "blocked"] as const;
const HOUR_MS = 3_600_000;

export type Account = RawUser & { readonly username: string };

/** A conversation, with messages of those who were there; of whoever was not, `member` stands in. */
export interface Place {
  readonly id: string;
  messageOf(role: Role): string;
  /** Another one, which nothing else is done to. */
  recallableOf(role: Role): string;
}

/** `all muted` and `approval` have that setting; the others have none. */
export type Kind = "plain" | "all muted" | "approval";

export class Stage {
  readonly server: TestServer;
  /** A letter that nothing will come of when it is replayed. */
  readonly letterId = "a-letter-of-the-rights";
  readonly #accounts = new Map<Role, Account>();
  readonly #directs = new Map<Actor, Place>();
  readonly #groups = new Map<Kind, Promise<Place>>();
  #world: Place | undefined;
  /** Signed in and not used: a log-in costs 130 ms of CPU. */
  readonly #spares = new Map<Actor, Account>();

  constructor(server: TestServer) {
    this.server = server;
  }

  static async build(server: TestServer): Promise<Stage> {
    const stage = new Stage(server);
    const registered = [...ACTORS.filter((actor) => !["nobody", "guest", "key"].includes(actor)), ...EXTRAS];
    for (const role of registered) {
      // One after the other: a password costs 130 ms of CPU, and the last of many at once would wait for all of them.
      await stage.#register(role);
    }
    await stage.renew("guest");
    await stage.#prepareSql();
    await stage.renew("sysadmin");
    await Promise.all(FRIENDS_OF_PEER.map((role) => stage.#befriendPeer(role)));
    stage.#world = await stage.#place("world_chat_room", ["peer"]);
    await stage.must("DELETE", `/api/friends/${stage.id("peer")}`, "removed");
    await stage.must("PUT", `/api/blocks/${stage.id("blocked")}`, "peer");
    await stage.must("POST", `/api/admin/users/${stage.id("banned")}/ban`, "key");
    return stage;
  }

  /** Undefined for those who have none. */
  account(role: Role): Account | undefined {
    return this.#accounts.get(role);
  }

  id(role: Role): string {
    return this.#accounts.get(role)?.userId ?? this.id("member");
  }

  /** Signed in with an account of their own, so that they can have friends and devices. */
  isUser(actor: Actor): boolean {
    return !["nobody", "guest", "banned", "key"].includes(actor);
  }

  /** What proves who asks. */
  credentials(role: Role): Call {
    const token = this.#accounts.get(role)?.token;
    return role === "key" ? { headers: { "x-admin-key": ADMIN_KEY } } : token === undefined ? {} : { token };
  }

  /** The direct conversation with `peer`: one's own, or that of `member`. */
  direct(actor: Actor): Place {
    return made(this.#directs.get(actor) ?? this.#directs.get("member"));
  }

  get world(): Place {
    return made(this.#world);
  }

  /** A group that nobody has changed yet. */
  group(kind: Kind = "plain"): Promise<Place> {
    const before = this.#groups.get(kind) ?? this.#newGroup(kind);
    this.#groups.set(kind, before);
    return before;
  }

  /** The next to ask for a group gets another one. */
  spoiled(): void {
    this.#groups.clear();
  }

  async invite(group: Place): Promise<string> {
    return String((await this.must("POST", `/api/conversations/${group.id}/invites`, "owner", {}))["code"]);
  }

  /** Two who are friends afterwards, whatever they were. */
  async befriend(a: Role, b: Role): Promise<void> {
    const [from, to] = [this.#accounts.get(a), this.#accounts.get(b)];
    const known = await call(this.server, "GET", "/api/friends?limit=100", this.credentials(a));
    if (from !== undefined && to !== undefined && !known.text.includes(to.userId)) {
      await befriend(this.server, from, to);
    }
  }

  /** A request that waits, of `from` to `to`. */
  async asked(from: Role, to: Role): Promise<string> {
    const body = { targetUserId: this.id(to) };
    return String((await this.must("POST", "/api/friends/requests", from, body))["requestId"]);
  }

  /** Another device of the same user; a guest has no password, so it is another guest. */
  async anotherDevice(actor: Actor): Promise<Account | undefined> {
    const account = this.#accounts.get(actor);
    if (account === undefined || actor === "banned") {
      return account;
    }
    const spare = this.#spares.get(actor);
    if (spare !== undefined) {
      this.#spares.delete(actor);
      return spare;
    }
    if (actor === "guest") {
      return { ...toUser(await call(this.server, "POST", "/api/auth/guest")), username: "guest" };
    }
    const body = { username: account.username, password: PASSWORD };
    return { ...toUser(await call(this.server, "POST", "/api/auth/login", { body })), username: account.username };
  }

  /** Signs in again who was signed out. */
  async renew(actor: Actor): Promise<void> {
    const before = this.#accounts.get(actor);
    const next =
      actor === "guest"
        ? { ...toUser(await call(this.server, "POST", "/api/auth/guest")), username: "guest" }
        : before === undefined
          ? undefined
          : await this.anotherDevice(actor);
    if (next !== undefined) {
      this.#accounts.set(actor, next);
    }
  }

  /** A session for whoever needs another device next. */
  keep(actor: Actor, answer: Answer): void {
    this.#spares.set(actor, { ...toUser(answer), username: this.#accounts.get(actor)?.username ?? "" });
  }

  /** The account goes on with these tokens. */
  refreshed(actor: Actor, answer: Answer): void {
    this.#accounts.set(actor, { ...toUser(answer), username: this.#accounts.get(actor)?.username ?? "" });
  }

  /** A call that is part of the scene and has to succeed. */
  async must(method: string, path: string, as: Role, body?: unknown): Promise<Record<string, unknown>> {
    const answer = await call(this.server, method, path, {
      ...this.credentials(as),
      ...(body === undefined ? {} : { body }),
    });
    if (answer.status >= 300) {
      throw new Error(`the scene: ${as}: ${method} ${path}: ${answer.status} ${answer.text}`);
    }
    return answer.json ?? {};
  }

  async #register(role: Role): Promise<void> {
    const username = uniqueName(role);
    this.#accounts.set(role, { ...(await register(this.server, { username, password: PASSWORD })), username });
  }

  async #befriendPeer(role: (typeof FRIENDS_OF_PEER)[number]): Promise<void> {
    const [from, to] = [this.#accounts.get(role), this.#accounts.get("peer")];
    if (from === undefined || to === undefined) {
      throw new Error(`${role} has no account`);
    }
    this.#directs.set(role, await this.#place(await befriend(this.server, from, to), [role, "peer"]));
  }

  /** Everybody says something, twice. */
  async #place(id: string, roles: readonly Role[]): Promise<Place> {
    const path = `/api/conversations/${id}/messages`;
    const says = async (role: Role, content: string): Promise<[Role, string]> => {
      const sent = await this.must("POST", path, role, { clientMsgId: uniqueName("m"), messageType: "text", content });
      return [role, String(sent["messageId"])];
    };
    const said = (content: string): Promise<[Role, string][]> => Promise.all(roles.map((role) => says(role, content)));
    const [messages, recallable] = [new Map(await said("hello")), new Map(await said("again"))];
    const of = (found: ReadonlyMap<Role, string>, role: Role): string =>
      made(found.get(role) ?? found.get("member") ?? found.get("peer"));
    return { id, messageOf: (role) => of(messages, role), recallableOf: (role) => of(recallable, role) };
  }

  async #newGroup(kind: Kind): Promise<Place> {
    const memberIds = MEMBERS.map((role) => this.id(role));
    const wish = { type: 2, name: "rights", memberIds, joinApproval: kind === "approval" };
    const id = String((await this.must("POST", "/api/conversations", "owner", wish))["conversationId"]);
    const place = await this.#place(id, ["owner", ...MEMBERS]);
    const path = `/api/conversations/${id}`;
    const mutedUntil = Date.now() + HOUR_MS;
    await Promise.all([
      this.must("PUT", `${path}/members/${this.id("admin")}`, "owner", { role: 2 }),
      this.must("PUT", `${path}/members/${this.id("muted")}`, "owner", { mutedUntil }),
      this.must("DELETE", `${path}/members/${this.id("removed")}`, "owner"),
      kind === "all muted" ? this.must("PATCH", path, "owner", { muteAll: true }) : undefined,
    ]);
    return place;
  }

  /** What no route does: an operator makes the admin, and a consumer would have to fail for a dead letter. */
  async #prepareSql(): Promise<void> {
    await writeSql(this.server, "UPDATE users SET role = 'admin' WHERE user_id = ?", this.id("sysadmin"));
    const columns = "letter_id, queue, message_id, body, created_at";
    const letter = [this.letterId, "gochat-user-events", this.letterId, "{}", Date.now()];
    await writeSql(this.server, `INSERT INTO dead_letters (${columns}) VALUES (?, ?, ?, ?, ?)`, ...letter);
  }
}

function made<T>(thing: T | undefined): T {
  if (thing === undefined) {
    throw new Error("the scene is not complete");
  }
  return thing;
}
