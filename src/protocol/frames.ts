/**
 * Frames of the socket, both directions: schemas, types, and the one parser of what clients send.
 * Source: DESIGN section 4 "WebSocket", WIRE "Frames".
 */
import * as z from "zod";
import { err, type Fault } from "./errors.ts";
import { FRAME_ID_LIMIT, FRAME_LIMIT_BYTES, HEADS_LIMIT, USER_IDS_LIMIT } from "./limits.ts";
import {
  ClientMsgId,
  Conversation,
  ConversationId,
  FriendRequest,
  Member,
  Message,
  MessageId,
  RequestId,
  Role,
  SendBody,
  SeqId,
  SyncedConversation,
  TimeMs,
  User,
  UserId,
  WireErrorSchema,
} from "./things.ts";

// ---- client → server

const FrameId = z
  .string()
  .max(FRAME_ID_LIMIT)
  .refine((value) => value.isWellFormed());

export const Heads = z
  .record(
    ConversationId,
    z.union([SeqId, z.object({ seqId: SeqId, version: z.int().min(0).optional() })]),
  )
  .refine((heads) => Object.keys(heads).length <= HEADS_LIMIT, {
    message: `at most ${HEADS_LIMIT} conversations`,
  });

export const SyncRequest = z.object({
  heads: Heads,
  cursor: z.string().max(512).optional(),
});
export type SyncRequest = z.infer<typeof SyncRequest>;

const Subscription = z
  .object({
    conversationId: ConversationId.optional(),
    presence: z.array(UserId).max(USER_IDS_LIMIT).optional(),
  })
  .refine((data) => data.conversationId !== undefined || data.presence !== undefined, {
    message: "conversationId or presence",
  });

const SendFrame = z.intersection(SendBody, z.object({ conversationId: ConversationId }));

/** The data of each client frame, by type. A new frame is one line here and a handler. */
export const CLIENT_FRAMES = {
  "send-message": SendFrame,
  "mark-read": z.object({ conversationId: ConversationId, seqId: SeqId }),
  typing: z.object({ conversationId: ConversationId }),
  sync: SyncRequest,
  subscribe: Subscription,
  unsubscribe: Subscription,
  ping: z.unknown(),
} as const;

export type ClientFrameType = keyof typeof CLIENT_FRAMES;
export type ClientFrame = {
  [Type in ClientFrameType]: {
    type: Type;
    data: z.infer<(typeof CLIENT_FRAMES)[Type]>;
    id?: string;
  };
}[ClientFrameType];

// ---- server → client

const Confirmation = z.object({
  clientMsgId: z.string(),
  conversationId: ConversationId,
  messageId: MessageId,
  seqId: SeqId,
});
const ConversationOnly = z.object({ conversation: Conversation });

/** The data of each server frame, by type. */
export const SERVER_FRAMES = {
  connected: z.object({
    userId: UserId,
    deviceId: z.string(),
    serverTime: TimeMs,
    heartbeatSeconds: z.int().min(1),
  }),
  "message-ack": z.object({
    clientMsgId: z.string(),
    conversationId: ConversationId,
    status: z.enum(["sending", "sent"]),
    messageId: MessageId.optional(),
    seqId: SeqId.optional(),
    createdAt: TimeMs.optional(),
  }),
  "message-confirmed": Confirmation,
  "message-persist-failed": Confirmation,
  "message-error": z.object({
    clientMsgId: z.string(),
    conversationId: z.string(),
    error: WireErrorSchema,
  }),
  "new-message": z.object({ message: Message }),
  "new-messages": z.object({ messages: z.array(Message) }),
  "message-updated": z.object({ message: Message }),
  "message-recalled": z.object({
    conversationId: ConversationId,
    messageId: MessageId,
    seqId: SeqId,
    operatorId: UserId,
  }),
  "message-reaction": z.object({
    conversationId: ConversationId,
    messageId: MessageId,
    seqId: SeqId,
    emoji: z.string(),
    userId: UserId,
    added: z.boolean(),
    count: z.int(),
  }),
  "message-read-receipt": z.object({
    conversationId: ConversationId,
    userId: UserId,
    readSeqId: SeqId,
  }),
  typing: z.object({ conversationId: ConversationId, userId: UserId }),
  "friend-request": z.object({ request: FriendRequest, user: User }),
  "friend-accepted": z.object({ request: FriendRequest, user: User, conversation: Conversation }),
  "friend-rejected": z.object({ requestId: RequestId }),
  "friend-removed": z.object({ userId: UserId }),
  "friend-online": z.object({ userId: UserId }),
  "friend-offline": z.object({ userId: UserId, lastSeenAt: TimeMs }),
  "conversation-created": ConversationOnly,
  "conversation-joined": ConversationOnly,
  "conversation-updated": ConversationOnly,
  "conversation-removed": z.object({
    conversationId: ConversationId,
    reason: z.enum(["removed", "left", "dismissed"]),
  }),
  "member-added": z.object({
    conversationId: ConversationId,
    members: z.array(Member),
    operatorId: UserId,
  }),
  "member-removed": z.object({
    conversationId: ConversationId,
    userId: UserId,
    operatorId: UserId,
  }),
  "role-updated": z.object({ conversationId: ConversationId, role: Role }),
  "member-role-changed": z.object({ conversationId: ConversationId, userId: UserId, role: Role }),
  notification: z.looseObject({ eventId: z.string(), kind: z.string() }),
  "sync-result": z.object({
    conversations: z.array(SyncedConversation),
    removed: z.array(ConversationId),
    nextCursor: z.string().nullable(),
    serverTime: TimeMs,
  }),
  "session-replaced": z.object({}),
  error: z.object({ error: WireErrorSchema, ref: z.string().optional() }),
  pong: z.undefined(),
  room: z.object({ conversationId: ConversationId, headSeqId: SeqId, fromSeqId: SeqId }),
} as const;

export type ServerFrameType = keyof typeof SERVER_FRAMES;
export type ServerFrameOf<Type extends ServerFrameType> = {
  type: Type;
  data: z.infer<(typeof SERVER_FRAMES)[Type]>;
  /** The id of the client frame that this answers. */
  ref?: string;
};
export type ServerFrame = {
  [Type in ServerFrameType]: Type extends "pong" ? { type: "pong" } : ServerFrameOf<Type>;
}[ServerFrameType];

/** The answer to one `sync`. */
export type SyncResult = ServerFrameOf<"sync-result">["data"];

/** The one ping that wakes nobody, and its answer. Source: DESIGN section 4. */
export const PING_TEXT = '{"type":"ping"}';
export const PONG_TEXT = '{"type":"pong"}';

// ---- parsing

export type ParsedFrame =
  | { ok: true; value: ClientFrame }
  | {
      ok: false;
      fault: Fault;
      /** The refused frame's own id, when it had a valid one. */
      ref?: string;
      /** Set for a refused send that names itself: the answer is `message-error`. */
      send?: { clientMsgId: string; conversationId: string };
    };

const encoder = new TextEncoder();

/** Never throws, whatever a client sends. */
export function parseClientFrame(input: string | ArrayBuffer): ParsedFrame {
  if (typeof input !== "string") {
    return err({ name: "INVALID_INPUT", fields: [{ path: "", message: "binary frame" }] });
  }
  // A UTF-16 unit is at most three bytes: only frames near the limit are measured.
  if (
    input.length > FRAME_LIMIT_BYTES ||
    (input.length * 3 > FRAME_LIMIT_BYTES && encoder.encode(input).length > FRAME_LIMIT_BYTES)
  ) {
    return err({ name: "PAYLOAD_TOO_LARGE" });
  }
  let raw: unknown;
  try {
    raw = JSON.parse(input);
  } catch {
    return err({ name: "INVALID_INPUT", fields: [{ path: "", message: "not JSON" }] });
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    return err({ name: "INVALID_INPUT", fields: [{ path: "", message: "not an object" }] });
  }
  const { type, data, id } = raw as Record<string, unknown>;
  const frameId = id === undefined ? undefined : FrameId.safeParse(id);
  const ref = frameId?.success === true ? frameId.data : undefined;
  if (typeof type !== "string" || !Object.hasOwn(CLIENT_FRAMES, type)) {
    return refused([{ path: "type", message: "unknown frame type" }], ref);
  }
  if (frameId?.success === false) {
    return refused([{ path: "id", message: `a string of at most ${FRAME_ID_LIMIT} characters` }]);
  }
  const parsed = CLIENT_FRAMES[type as ClientFrameType].safeParse(data);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => ({
      path: ["data", ...issue.path].join("."),
      message: issue.message,
    }));
    return refused(fields, ref, type === "send-message" ? sendOf(data) : undefined);
  }
  // The key of the table is the type of its data; the union cannot be followed by the compiler.
  const frame = { type, data: parsed.data } as ClientFrame;
  if (ref !== undefined) {
    frame.id = ref;
  }
  return { ok: true, value: frame };
}

/** Field reports in one answer: enough to mend a client, bounded for a hostile one. */
const FIELDS_LIMIT = 10;

function refused(
  fields: { path: string; message: string }[],
  ref?: string,
  send?: { clientMsgId: string; conversationId: string },
): ParsedFrame {
  return {
    ok: false,
    fault: { name: "INVALID_INPUT", fields: fields.slice(0, FIELDS_LIMIT) },
    ...(ref === undefined ? {} : { ref }),
    ...(send === undefined ? {} : { send }),
  };
}

/** A send names itself with two valid strings; anything else is answered by `error`. */
function sendOf(data: unknown): { clientMsgId: string; conversationId: string } | undefined {
  if (typeof data !== "object" || data === null) {
    return undefined;
  }
  const { clientMsgId, conversationId } = data as Record<string, unknown>;
  const key = ClientMsgId.safeParse(clientMsgId);
  return key.success && typeof conversationId === "string" && conversationId.length <= 128 &&
    conversationId.isWellFormed()
    ? { clientMsgId: key.data, conversationId }
    : undefined;
}
