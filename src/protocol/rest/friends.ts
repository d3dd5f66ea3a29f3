/** REST of friendship and blocks. Source: DESIGN section 4, WIRE "Friends and conversations". */
import * as z from "zod";
import { RequestId, TimeMs, UserId } from "../primitives.ts";
import { Conversation, FriendRequest, FriendRequestMessage, listOf, User } from "../things.ts";
import { PageQuery } from "./accounts.ts";

export const FriendRequestBody = z
  .object({ targetUserId: UserId, message: FriendRequestMessage.optional() })
  .meta({ id: "FriendRequestBody" });
export type FriendRequestBody = z.infer<typeof FriendRequestBody>;

/** Of friend requests and join requests. */
export const DecisionBody = z.object({ action: z.enum(["accept", "reject"]) }).meta({ id: "DecisionBody" });
export type DecisionBody = z.infer<typeof DecisionBody>;

export const FriendRequestsQuery = PageQuery.extend({
  direction: z.enum(["incoming", "outgoing"]).default("incoming"),
  status: z.enum(["pending", "accepted", "rejected"]).optional(),
});
export type FriendRequestsQuery = z.infer<typeof FriendRequestsQuery>;
export const FriendRequestParams = z.object({ id: RequestId });
/** Path parameters of a friend or a blocked user. */
export const OtherUserParams = z.object({ userId: UserId });

/** The request; once accepted, with the direct conversation that it made. */
export const FriendRequestAnswer = FriendRequest.extend({ conversation: Conversation.optional() }).meta({
  id: "FriendRequestAnswer",
});
export type FriendRequestAnswer = z.infer<typeof FriendRequestAnswer>;

/** The other side's profile stands beside each. */
export const FriendRequestItem = FriendRequest.extend({ user: User.optional() }).meta({ id: "FriendRequestItem" });
export type FriendRequestItem = z.infer<typeof FriendRequestItem>;
export const FriendRequestList = listOf(FriendRequestItem, "FriendRequestList");
export type FriendRequestList = z.infer<typeof FriendRequestList>;

export const Friend = z
  .object({ user: User, since: TimeMs, online: z.boolean().optional(), lastSeenAt: TimeMs.optional() })
  .meta({ id: "Friend", description: "`online` is absent when presence is not known; `lastSeenAt` while online" });
export type Friend = z.infer<typeof Friend>;
export const FriendList = listOf(Friend, "FriendList");
export type FriendList = z.infer<typeof FriendList>;

export const Block = z
  .object({ user: User, since: TimeMs })
  .meta({ id: "Block", description: "A user one has blocked" });
export type Block = z.infer<typeof Block>;
export const BlockList = listOf(Block, "BlockList");
export type BlockList = z.infer<typeof BlockList>;
