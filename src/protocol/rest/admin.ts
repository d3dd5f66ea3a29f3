/** REST of admins, and health. Source: DESIGN section 4, WIRE "Other". */
import * as z from "zod";
import { ANNOUNCEMENT_LIMIT_CODE_POINTS } from "../limits.ts";
import { ConversationId, Count, EventId, MessageId, proseText, TimeMs, UserId } from "../primitives.ts";
import { Conversation, listOf, Member, SelfUser } from "../things.ts";
import { PageQuery, SearchText } from "./accounts.ts";

const REASON_LIMIT_CODE_POINTS = 500;

export const AdminUsersQuery = PageQuery.extend({ q: SearchText.optional() });
export type AdminUsersQuery = z.infer<typeof AdminUsersQuery>;
export const AdminUserList = listOf(SelfUser, "AdminUserList");
export type AdminUserList = z.infer<typeof AdminUserList>;

/** Of ban, unban and kick; the reason goes to the audit. */
export const AdminActBody = z
  .object({ reason: proseText(REASON_LIMIT_CODE_POINTS).optional() })
  .meta({ id: "AdminActBody" });
export type AdminActBody = z.infer<typeof AdminActBody>;
export const AdminMessageParams = z.object({ id: ConversationId, messageId: MessageId });

export const AdminConversationAnswer = z
  .object({
    conversation: Conversation,
    members: z.array(Member).meta({ description: "The first of them" }),
    persistedSeqId: Count,
    outbox: Count,
  })
  .meta({ id: "AdminConversationAnswer" });
export type AdminConversationAnswer = z.infer<typeof AdminConversationAnswer>;

export const AnnouncementBody = z
  .object({
    text: proseText(ANNOUNCEMENT_LIMIT_CODE_POINTS)
      .refine((text) => /\S/.test(text), { error: "must not be empty" })
      .meta({ minLength: 1 }),
    conversationId: ConversationId.optional().meta({ description: "Absent: to everyone" }),
  })
  .meta({ id: "AnnouncementBody" });
export type AnnouncementBody = z.infer<typeof AnnouncementBody>;
export const AnnouncementAnswer = z.object({ eventId: EventId }).meta({ id: "AnnouncementAnswer" });
export type AnnouncementAnswer = z.infer<typeof AnnouncementAnswer>;

export const DeadLetter = z
  .object({
    id: z.string(),
    topic: z.string(),
    body: z.string().meta({ description: "The record as JSON" }),
    error: z.string().optional(),
    attempts: Count,
    createdAt: TimeMs,
    replayedAt: TimeMs.optional(),
  })
  .meta({ id: "DeadLetter", description: "What a consumer gave up on" });
export type DeadLetter = z.infer<typeof DeadLetter>;
export const DeadLetterList = listOf(DeadLetter, "DeadLetterList");
export type DeadLetterList = z.infer<typeof DeadLetterList>;
export const DeadLetterParams = z.object({ id: z.string().regex(/^[A-Za-z0-9_:.-]{1,128}$/, "is not an id") });

export const AdminState = z
  .object({
    outbox: z.object({ count: Count, oldestAt: TimeMs.nullable() }),
    deadLetters: Count,
    consumers: z.array(
      z.object({
        topic: z.string(),
        handled: Count.meta({ description: "Acknowledged since the first start, by all isolates" }),
        failed: Count.meta({ description: "Answered with a retry" }),
        lag: Count.optional().meta({ description: "Records that wait, where the bus tells" }),
      }),
    ),
    breakers: z
      .record(z.string(), z.enum(["closed", "open", "half-open"]))
      .optional()
      .meta({ description: "The worst state in any isolate" }),
  })
  .meta({ id: "AdminState", description: "Outbox and consumers" });
export type AdminState = z.infer<typeof AdminState>;

export const AuditEntry = z
  .object({
    id: z.string(),
    at: TimeMs,
    actor: z.string().meta({ description: "User id, or `key` for the admin key" }),
    action: z.string(),
    targetId: z.string().optional(),
    reason: z.string().optional(),
    userId: UserId.optional(),
  })
  .meta({ id: "AuditEntry" });
export type AuditEntry = z.infer<typeof AuditEntry>;
export const AuditList = listOf(AuditEntry, "AuditList");
export type AuditList = z.infer<typeof AuditList>;

const Check = z.enum(["ok", "degraded", "down"]);
export const Health = z
  .object({
    status: z.enum(["ok", "degraded"]),
    version: z.string(),
    checks: z.object({ sql: Check, cache: Check, bus: Check }),
    message: z.string().optional().meta({
      description: "Which settings are wrong, never their values; with wrong settings everything else answers 503",
    }),
  })
  .meta({ id: "Health" });
export type Health = z.infer<typeof Health>;
