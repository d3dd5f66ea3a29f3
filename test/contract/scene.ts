/** Who and what is there when the contract is tried: ids for test/contract/hooks.py, and the two who ask. */
import type { TestServer } from "../support/server.ts";
import { befriend, call, register, type RawUser } from "../e2e/support/raw.ts";

export const ADMIN_KEY = "the admin key of the contract";

/** More than a run ends. */
const MORTALS = 12;

/** Ids by kind; what each is used for stands in hooks.py. */
export interface Scene {
  readonly url: string;
  readonly users: string[];
  /** For admins to ban and kick. */
  readonly victims: string[];
  readonly conversations: string[];
  /** Groups that may be dismissed. */
  readonly mortals: string[];
  /** A message of each conversation. */
  readonly messages: Record<string, string>;
  readonly requests: string[];
  readonly codes: string[];
  readonly letters: string[];
}

/** Makes the scene. @returns it, and the token of the user who asks */
export async function makeScene(server: TestServer): Promise<{ scene: Scene; token: string }> {
  const [user, friend, other, victim] = [
    await register(server),
    await register(server),
    await register(server),
    await register(server),
  ];
  const must = async (method: string, path: string, as: RawUser, body: object = {}): Promise<string[]> => {
    const answer = await call(server, method, `/api${path}`, { token: as.token, body });
    if (answer.status >= 300 || answer.json === undefined) {
      throw new Error(`the scene: ${method} ${path}: ${answer.status} ${answer.text}`);
    }
    return ["conversationId", "messageId", "requestId", "code"].map((key) => String(answer.json?.[key]));
  };
  const direct = await befriend(server, user, friend);
  const groupOf = async (owner: RawUser, memberIds: string[]): Promise<string> => {
    const [id = ""] = await must("POST", "/conversations", owner, { type: 2, name: "contract", memberIds });
    return id;
  };
  const own = await groupOf(user, [friend.userId]);
  const foreign = await groupOf(friend, [user.userId, other.userId]);
  const mortals: string[] = [];
  for (let i = 0; i < MORTALS; i++) {
    mortals.push(await groupOf(user, [friend.userId, other.userId]));
  }
  const messages: Record<string, string> = {};
  for (const conversationId of [direct, own, foreign, "world_chat_room"]) {
    const body = { clientMsgId: "contract", messageType: "text", content: "hello" };
    const [, messageId = ""] = await must("POST", `/conversations/${conversationId}/messages`, user, body);
    messages[conversationId] = messageId;
  }
  const [, , asked = ""] = await must("POST", "/friends/requests", other, { targetUserId: user.userId });
  const [, , , open = ""] = await must("POST", `/conversations/${own}/invites`, user);
  const [, , , theirs = ""] = await must("POST", `/conversations/${foreign}/invites`, friend);
  const scene = {
    url: server.url,
    users: [friend.userId, other.userId, user.userId],
    victims: [victim.userId],
    conversations: [own, direct, foreign, "world_chat_room"],
    mortals,
    messages,
    requests: [asked],
    codes: [open, theirs],
    letters: ["a-letter"],
  };
  return { scene, token: user.token };
}
