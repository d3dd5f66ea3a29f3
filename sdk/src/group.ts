/** What owner and admins do with a group, and the way in. */
import type { Chat } from "./chat.ts";
import type { ConversationHandle, Page } from "./conversation.ts";
import type {
  ConversationAnswer,
  ConversationChangeBody,
  Invite,
  InviteBody,
  JoinPendingAnswer,
  JoinRequest,
  List,
  Member,
} from "./protocol.ts";

/** Where an invite led to. */
export type Joined =
  | { status: "joined"; conversation: ConversationHandle }
  /** Somebody has to approve; a `conversation` event of kind `joined` says that they have. */
  | { status: "pending"; requestId?: string };

/** Changes of one group. All of it is REST: it rejects with a `ChatError` when it is refused or nobody answers. */
export class Group {
  readonly #chat: Chat;
  readonly #path: string;

  constructor(chat: Chat, conversationId: string) {
    this.#chat = chat;
    this.#path = `/conversations/${encodeURIComponent(conversationId)}`;
  }

  /** Absent leaves a field as it is, `null` empties it. */
  update(change: ConversationChangeBody): Promise<ConversationAnswer> {
    return this.#chat.call("PATCH", this.#path, change);
  }

  /** Ends the group for everybody; for its owner. */
  async dismiss(): Promise<void> {
    await this.#chat.call("DELETE", this.#path);
  }

  /** 1 member, 2 admin; an owner is made by `transfer`. */
  setRole(userId: string, role: 1 | 2): Promise<Member> {
    return this.#chat.call("PUT", this.#member(userId), { role });
  }

  /** @param mutedUntil epoch milliseconds */
  mute(userId: string, mutedUntil: number): Promise<Member> {
    return this.#chat.call("PUT", this.#member(userId), { mutedUntil });
  }

  unmute(userId: string): Promise<Member> {
    return this.#chat.call("PUT", this.#member(userId), { mutedUntil: null });
  }

  /** Makes another member the owner; the old one is an admin from then on. */
  transfer(userId: string): Promise<ConversationAnswer> {
    return this.#chat.call("POST", `${this.#path}/transfer`, { userId });
  }

  /** A link that lets people in; its `code` is for `chat.groups.join`. */
  invite(wish: InviteBody = {}): Promise<Invite> {
    return this.#chat.call("POST", `${this.#path}/invites`, wish);
  }

  /** Links that still let somebody in. */
  invites(page: Page = {}): Promise<List<Invite>> {
    return this.#chat.call("GET", `${this.#path}/invites`, undefined, page);
  }

  async revokeInvite(code: string): Promise<void> {
    await this.#chat.call("DELETE", `${this.#path}/invites/${encodeURIComponent(code)}`);
  }

  /** Who waits for a decision. */
  joinRequests(page: Page = {}): Promise<List<JoinRequest>> {
    return this.#chat.call("GET", `${this.#path}/join-requests`, undefined, page);
  }

  accept(requestId: string): Promise<JoinRequest> {
    return this.#decide(requestId, "accept");
  }

  reject(requestId: string): Promise<JoinRequest> {
    return this.#decide(requestId, "reject");
  }

  #decide(requestId: string, action: "accept" | "reject"): Promise<JoinRequest> {
    return this.#chat.call("PUT", `${this.#path}/join-requests/${encodeURIComponent(requestId)}`, { action });
  }

  #member(userId: string): string {
    return `${this.#path}/members/${encodeURIComponent(userId)}`;
  }
}

export class Groups {
  readonly #chat: Chat;
  readonly #add: (conversation: ConversationAnswer) => void;

  /** @param add takes a group into the list */
  constructor(chat: Chat, add: (conversation: ConversationAnswer) => void) {
    this.#chat = chat;
    this.#add = add;
  }

  /** Comes in by an invite, or asks to. Again, for a member, changes nothing. */
  async join(code: string): Promise<Joined> {
    const answer = await this.#chat.call<ConversationAnswer | JoinPendingAnswer>(
      "POST",
      `/invites/${encodeURIComponent(code)}/join`,
    );
    if ("status" in answer) {
      return answer;
    }
    this.#add(answer);
    return { status: "joined", conversation: this.#chat.conversation(answer.conversationId) };
  }
}
