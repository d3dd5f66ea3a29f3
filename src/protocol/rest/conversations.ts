/** REST of conversations, members, invites. Source: DESIGN section 4, WIRE "Friends and conversations". */
import * as z from "zod";
import { INVITE_USES_LIMIT, USER_IDS_LIMIT } from "../limits.ts";
import { ConversationId, Count, InviteCode, RequestId, TimeMs, UserId, WebUrl } from "../primitives.ts";
import {
  Announcement,
  Conversation,
  GroupName,
  Invite,
  JoinRequest,
  listOf,
  ListItem,
  MaxMembers,
  Member,
  Role,
} from "../things.ts";
import { PageQuery } from "./accounts.ts";

// ---- conversations

const NewDirect = z.object({ type: z.literal(1), memberIds: z.array(UserId).min(1).max(1) });
const NewGroup = z.object({
  type: z.literal(2),
  name: GroupName.optional(),
  memberIds: z.array(UserId).max(USER_IDS_LIMIT).meta({ description: "The others; the creator owns the group" }),
  announcement: Announcement.optional(),
  maxMembers: MaxMembers.optional(),
  joinApproval: z.boolean().optional(),
});

/** Nobody makes a world room, so type 3 is not among them. */
export const ConversationBody = z
  .discriminatedUnion("type", [NewDirect, NewGroup])
  .meta({ id: "ConversationBody", description: "A direct conversation with a friend, or a group" });
export type ConversationBody = z.infer<typeof ConversationBody>;

/** Absent leaves a field as it is, `null` empties it. */
export const ConversationChangeBody = z
  .object({
    name: GroupName.optional(),
    avatarUrl: WebUrl.nullable().optional(),
    announcement: Announcement.nullable().optional(),
    joinApproval: z.boolean().optional(),
    muteAll: z.boolean().optional(),
    maxMembers: MaxMembers.optional(),
  })
  .meta({ id: "ConversationChangeBody" });
export type ConversationChangeBody = z.infer<typeof ConversationChangeBody>;

export const ConversationParams = z.object({ id: ConversationId });

export const ConversationList = listOf(ListItem, "ConversationList");
export type ConversationList = z.infer<typeof ConversationList>;

/** One member's own settings of a conversation. */
export const SettingsBody = z
  .object({ muted: z.boolean().optional(), pinned: z.boolean().optional() })
  .meta({ id: "SettingsBody" });
export type SettingsBody = z.infer<typeof SettingsBody>;
export const SettingsAnswer = z.object({ muted: z.boolean(), pinned: z.boolean() }).meta({ id: "SettingsAnswer" });
export type SettingsAnswer = z.infer<typeof SettingsAnswer>;

// ---- members

export const MembersQuery = PageQuery;
export const MemberParams = ConversationParams.extend({ userId: UserId });
export const MemberList = listOf(Member, "MemberList");
export type MemberList = z.infer<typeof MemberList>;

export const AddMembersBody = z
  .object({ userIds: z.array(UserId).min(1).max(USER_IDS_LIMIT) })
  .meta({ id: "AddMembersBody" });
export type AddMembersBody = z.infer<typeof AddMembersBody>;

export const AddMembersAnswer = z
  .object({
    added: z.array(Member),
    failed: z.array(z.object({ userId: UserId, code: z.int().meta({ description: "Of the table of errors" }) })),
  })
  .meta({ id: "AddMembersAnswer" });
export type AddMembersAnswer = z.infer<typeof AddMembersAnswer>;

/** An owner is made by transfer, not here. `mutedUntil: null` ends a mute. */
export const MemberChangeBody = z
  .object({
    role: z
      .literal([1, 2])
      .meta({ type: "integer", enum: [1, 2] })
      .optional(),
    mutedUntil: TimeMs.nullable().optional(),
  })
  .refine((body) => body.role !== undefined || body.mutedUntil !== undefined, {
    error: "must have a role or mutedUntil",
  })
  .meta({ id: "MemberChangeBody", anyOf: [{ required: ["role"] }, { required: ["mutedUntil"] }] });
export type MemberChangeBody = z.infer<typeof MemberChangeBody>;

export const TransferBody = z.object({ userId: UserId }).meta({ id: "TransferBody" });
export type TransferBody = z.infer<typeof TransferBody>;

// ---- invites and join requests

/** How far in the future `expiresAt` may be is a matter of the clock, so the handler decides it. */
export const InviteBody = z
  .object({ expiresAt: TimeMs.optional(), maxUses: z.int().min(1).max(INVITE_USES_LIMIT).optional() })
  .meta({ id: "InviteBody" });
export type InviteBody = z.infer<typeof InviteBody>;
export const InviteParams = z.object({ code: InviteCode });
export const ConversationInviteParams = ConversationParams.extend({ code: InviteCode });
export const InviteList = listOf(Invite, "InviteList");
export type InviteList = z.infer<typeof InviteList>;

/** 202 of a join that somebody has to approve. */
export const JoinPendingAnswer = z
  .object({ status: z.literal("pending"), requestId: RequestId.optional() })
  .meta({ id: "JoinPendingAnswer" });
export type JoinPendingAnswer = z.infer<typeof JoinPendingAnswer>;

export const JoinRequestParams = ConversationParams.extend({ requestId: RequestId });
export const JoinRequestList = listOf(JoinRequest, "JoinRequestList");
export type JoinRequestList = z.infer<typeof JoinRequestList>;

/** What a conversation looks like to the member who asks for it alone. */
export const ConversationAnswer = Conversation.extend({
  role: Role.optional(),
  readSeqId: Count.optional(),
  unreadCount: Count.optional(),
}).meta({ id: "ConversationAnswer" });
export type ConversationAnswer = z.infer<typeof ConversationAnswer>;

/** 200 of a join. */
export const JoinAnswer = ConversationAnswer;
export type JoinAnswer = ConversationAnswer;
