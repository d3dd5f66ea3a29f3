/** Conversations of people, made and read over REST. */
import { ConversationAnswer, ConversationList, type FriendRequestAnswer } from "../../../src/protocol/rest.ts";
import { type ListItem, Message } from "../../../src/protocol/things.ts";
import { as, expectStatus, type Person } from "./http.ts";

/** An id that is well-formed and nobody's. */
export const NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/** Both ask for it; answers their conversation. */
export async function befriend(a: Person, b: Person): Promise<ConversationAnswer> {
  await expectStatus(201, as(a, "POST", "/api/friends/requests", { targetUserId: b.user.userId }));
  const accepted = await expectStatus<FriendRequestAnswer>(
    201,
    as(b, "POST", "/api/friends/requests", { targetUserId: a.user.userId }),
  );
  if (accepted.conversation === undefined) {
    throw new Error("a crossing request made no conversation");
  }
  return accepted.conversation;
}

/** A group of `owner` with these others in it. */
export async function newGroup(owner: Person, ...others: Person[]): Promise<ConversationAnswer> {
  const body = { type: 2, name: "Group", memberIds: others.map((other) => other.user.userId) };
  return ConversationAnswer.strict().parse(await expectStatus(201, as(owner, "POST", "/api/conversations", body)));
}

let keys = 0;

/** One text that has to be accepted. */
export async function send(person: Person, conversationId: string, content: string): Promise<Message> {
  keys += 1;
  const body = { clientMsgId: `c-${keys}`, messageType: "text", content };
  const sent = await expectStatus(201, as(person, "POST", `/api/conversations/${conversationId}/messages`, body));
  return Message.strict().parse(sent);
}

/** One page of a person's conversations. */
export async function listOf(person: Person, query = ""): Promise<ConversationList> {
  return ConversationList.strict().parse(await expectStatus(200, as(person, "GET", `/api/conversations${query}`)));
}

/** A conversation as it stands in a person's list, if it does. */
export async function itemOf(person: Person, conversationId: string): Promise<ListItem | undefined> {
  return (await listOf(person)).items.find((item) => item.conversation.conversationId === conversationId);
}
