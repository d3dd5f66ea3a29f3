/** Users, friends and friend requests. */
import type { Chat } from "./chat.ts";
import type { Page } from "./conversation.ts";
import type { Block, Friend, FriendRequestAnswer, FriendRequestItem, List, User } from "./protocol.ts";

export class Friends {
  readonly #chat: Chat;

  constructor(chat: Chat) {
    this.#chat = chat;
  }

  list(page: Page = {}): Promise<List<Friend>> {
    return this.#chat.call("GET", "/friends", undefined, page);
  }

  /** A crossing request accepts: look at the answer's `status`. */
  request(targetUserId: string, message?: string): Promise<FriendRequestAnswer> {
    return this.#chat.call("POST", "/friends/requests", {
      targetUserId,
      ...(message === undefined ? {} : { message }),
    });
  }

  requests(
    query: { direction?: "incoming" | "outgoing"; status?: "pending" | "accepted" | "rejected" } & Page = {},
  ): Promise<List<FriendRequestItem>> {
    return this.#chat.call("GET", "/friends/requests", undefined, query);
  }

  /** The answer holds the direct conversation that it made. */
  accept(requestId: string): Promise<FriendRequestAnswer> {
    return this.#decide(requestId, "accept");
  }

  reject(requestId: string): Promise<FriendRequestAnswer> {
    return this.#decide(requestId, "reject");
  }

  async remove(userId: string): Promise<void> {
    await this.#chat.call("DELETE", `/friends/${encodeURIComponent(userId)}`);
  }

  /** Ends a friendship if there is one; nothing of that user comes here any more, and they are not told. */
  async block(userId: string): Promise<void> {
    await this.#chat.call("PUT", `/blocks/${encodeURIComponent(userId)}`);
  }

  /** What the block has ended does not come back by itself. */
  async unblock(userId: string): Promise<void> {
    await this.#chat.call("DELETE", `/blocks/${encodeURIComponent(userId)}`);
  }

  /** Whom one has blocked. */
  blocked(page: Page = {}): Promise<List<Block>> {
    return this.#chat.call("GET", "/blocks", undefined, page);
  }

  #decide(requestId: string, action: "accept" | "reject"): Promise<FriendRequestAnswer> {
    return this.#chat.call("PUT", `/friends/requests/${encodeURIComponent(requestId)}`, { action });
  }
}

export class Users {
  readonly #chat: Chat;

  constructor(chat: Chat) {
    this.#chat = chat;
  }

  get(userId: string): Promise<User> {
    return this.#chat.call("GET", `/users/${encodeURIComponent(userId)}`);
  }

  /** By the beginning of user name or display name. */
  search(q: string, page: Page = {}): Promise<List<User>> {
    return this.#chat.call("GET", "/users", undefined, { q, ...page });
  }
}
