/** REST of messages: history, read pointers, edits, reactions, attachments, search, sync. Source: WIRE "Messages". */
import * as z from "zod";
import { Heads } from "../frames.ts";
import { FILE_NAME_LIMIT_CODE_POINTS, MESSAGES_DEFAULT, MESSAGES_LIMIT } from "../limits.ts";
import {
  AttachmentKey,
  ConversationId,
  Count,
  Cursor,
  Emoji,
  lineText,
  MessageId,
  pageLimit,
  queryNumber,
  SeqId,
  UserId,
} from "../primitives.ts";
import { Content, degraded, Edit, listOf, Message } from "../things.ts";
import { PageQuery, SearchText } from "./accounts.ts";
import { ConversationParams } from "./conversations.ts";

/** `before` and `after` are exclusive sequences; neither: the newest. */
export const MessagesQuery = z.object({
  before: queryNumber(0).optional().meta({ description: "Only below this sequence" }),
  after: queryNumber(0).optional().meta({ description: "Only above this sequence" }),
  cursor: queryNumber(0).optional().meta({
    description: "`nextCursor` of the page before: in place of `after` where that is given, else of `before`",
  }),
  limit: pageLimit(MESSAGES_DEFAULT, MESSAGES_LIMIT),
});
export type MessagesQuery = z.infer<typeof MessagesQuery>;
export const MessageParams = ConversationParams.extend({ messageId: MessageId });

/**
 * Always ascending. `nextCursor` is the sequence where the next page begins, towards newer messages when `after` (exclusive)
 * was given, else towards older ones: it may be given as `cursor`, or as that bound.
 */
export const MessageList = listOf(Message, "MessageList");
export type MessageList = z.infer<typeof MessageList>;

export const ReadBody = z.object({ seqId: SeqId }).meta({ id: "ReadBody" });
export type ReadBody = z.infer<typeof ReadBody>;
export const ReadAnswer = z.object({ unreadCount: Count, readSeqId: SeqId }).meta({ id: "ReadAnswer" });
export type ReadAnswer = z.infer<typeof ReadAnswer>;

export const Readers = z
  .object({
    readCount: Count,
    unreadCount: Count,
    read: z.array(UserId).optional(),
    unread: z.array(UserId).optional(),
  })
  .meta({ id: "Readers", description: "Only the counts in a conversation of more than 500 members" });
export type Readers = z.infer<typeof Readers>;

/** The content must fit the type that the message has. */
export const EditBody = z.object({ content: Content }).meta({ id: "EditBody" });
export type EditBody = z.infer<typeof EditBody>;
export const EditList = listOf(Edit, "EditList");
export type EditList = z.infer<typeof EditList>;

export const ReactionParams = MessageParams.extend({ emoji: Emoji });
export const ReactionAnswer = z
  .object({ emoji: z.string(), count: Count, mine: z.boolean() })
  .meta({ id: "ReactionAnswer" });
export type ReactionAnswer = z.infer<typeof ReactionAnswer>;

export const AttachmentQuery = z.object({
  conversationId: ConversationId,
  name: lineText(FILE_NAME_LIMIT_CODE_POINTS),
});
export type AttachmentQuery = z.infer<typeof AttachmentQuery>;
export const AttachmentParams = z.object({ key: AttachmentKey });
export const AttachmentAnswer = z
  .object({
    key: AttachmentKey,
    name: z.string(),
    size: Count.meta({ description: "Bytes" }),
    mimeType: z.string().meta({ description: "Found in the content, not in the name" }),
    width: Count.optional(),
    height: Count.optional(),
  })
  .meta({ id: "AttachmentAnswer" });
export type AttachmentAnswer = z.infer<typeof AttachmentAnswer>;

export const MessageSearchQuery = PageQuery.extend({ q: SearchText, conversationId: ConversationId.optional() });
export type MessageSearchQuery = z.infer<typeof MessageSearchQuery>;
export const MessageSearchAnswer = listOf(Message, "MessageSearchAnswer");
export type MessageSearchAnswer = z.infer<typeof MessageSearchAnswer>;

/** The heads come as URL-encoded JSON. */
const HeadsText = z
  .string()
  .default("{}")
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: "custom", message: "must be JSON" });
      return z.NEVER;
    }
  })
  .pipe(Heads)
  .meta({ type: "string", description: "JSON: {conversationId: seqId | {seqId, version}}" });

export const SyncQuery = z.object({ heads: HeadsText, cursor: Cursor.optional() });
export type SyncQuery = z.infer<typeof SyncQuery>;
export { SyncResult as SyncAnswer } from "../things.ts";

/** `{}` with the mark of an answer made while a dependency was down. */
export const EmptyAnswer = z.object({ degraded }).meta({ id: "EmptyAnswer" });
