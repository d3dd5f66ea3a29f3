/** A conversation with a message that is going to change, and every place where copies of it lie. */
import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { embeddedCache } from "../../../src/cache/embedded.ts";
import { CACHE_KEYS } from "../../../src/cache/types.ts";
import { MessageList, SyncAnswer, type AuthAnswer } from "../../../src/protocol/rest.ts";
import type { Message } from "../../../src/protocol/things.ts";
import { eventually, roomStub } from "./harness.ts";
import { as, expectStatus, register } from "./http.ts";

/** The text of the message. */
export const SECRET = "what nobody should read any more";

/** Who is in it; the message is the sender's, and `path` its address. */
export type Talk = {
  owner: AuthAnswer;
  sender: AuthAnswer;
  reader: AuthAnswer;
  id: string;
  message: Message;
  path: string;
};

/** A group of three, and a message in it that one of them regrets. */
export async function talk(): Promise<Talk> {
  const [owner, sender, reader] = [await register(), await register(), await register()];
  const memberIds = [sender.user.userId, reader.user.userId];
  const group = { type: 2, name: "Group", memberIds };
  const { conversationId: id } = await expectStatus<{ conversationId: string }>(
    201,
    as(owner, "POST", "/api/conversations", group),
  );
  const body = { clientMsgId: "first", messageType: "text", content: SECRET };
  const message = await expectStatus<Message>(201, as(sender, "POST", `/api/conversations/${id}/messages`, body));
  return { owner, sender, reader, id, message, path: `/api/conversations/${id}/messages/${message.messageId}` };
}

/** The conversation's messages, as this person gets them. */
export async function historyOf(person: AuthAnswer, id: string): Promise<Message[]> {
  const page = await expectStatus(200, as(person, "GET", `/api/conversations/${id}/messages`));
  return MessageList.parse(page).items;
}

/** What this person has missed since these heads. */
export async function syncOf(person: AuthAnswer, heads: object): Promise<SyncAnswer> {
  const query = encodeURIComponent(JSON.stringify(heads));
  return SyncAnswer.parse(await expectStatus(200, as(person, "GET", `/api/sync?heads=${query}`)));
}

/** Whatever SQL, the cache and the room's own disk hold about a conversation. */
export async function copiesOf(id: string): Promise<string> {
  const cache = embeddedCache(env, 1);
  const hot = await cache.pipeline([["ZRANGE", CACHE_KEYS.hotMessages(id), 0, -1]]);
  const tables = ["messages", "message_edits", "message_reactions"];
  const rows = await Promise.all(
    tables.map((table) => env.DB.prepare(`SELECT * FROM ${table} WHERE conversation_id = ?`).bind(id).all()),
  );
  const disk = await runInDurableObject(roomStub(id), (_room, state) =>
    ["messages", "edits", "outbox"].map((table) => state.storage.sql.exec(`SELECT * FROM ${table}`).toArray()),
  );
  return JSON.stringify([hot, rows.map(({ results }) => results), disk]);
}

/** Changes and events that nobody has confirmed. */
export async function outboxRows(id: string): Promise<number> {
  return (await roomStub(id).inspect())?.outbox ?? 0;
}

/** Waits until nothing of the conversation's changes is left to be done. */
export async function settledOf(id: string): Promise<void> {
  await eventually("an empty outbox", async () => (await outboxRows(id)) === 0);
}
