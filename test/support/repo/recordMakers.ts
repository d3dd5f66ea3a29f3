/** Records of rooms, for tests of what SQL makes of them. */
import type {
  ConversationState,
  InviteState,
  MemberState,
  RoomRecord,
  StoredMessage,
} from "../../../src/domain/records.ts";
import { newId } from "../../../src/platform/ids.ts";

export const NOW = 1_700_000_000_000;

export function groupId(): string {
  return `group_${newId(NOW)}`;
}

export function state(conversationId: string, over: Partial<ConversationState> = {}): ConversationState {
  return {
    conversationId,
    type: 2,
    name: "Group",
    ownerId: "owner",
    memberCount: 1,
    maxMembers: 500,
    joinApproval: false,
    muteAll: false,
    version: 1,
    createdAt: NOW,
    updatedAt: NOW,
    ...over,
  };
}

export function conversation(logId: number, of: ConversationState, headSeqId = 0): RoomRecord {
  return { kind: "conversation", conversationId: of.conversationId, logId, conversation: of, headSeqId };
}

export function member(
  conversationId: string,
  logId: number,
  userId: string,
  over: Partial<MemberState> = {},
): RoomRecord {
  const joined = { userId, role: 1 as const, joinedAt: NOW, readSeqId: 0, ...over };
  return { kind: "member", conversationId, logId, member: joined };
}

export function removed(conversationId: string, logId: number, userId: string): RoomRecord {
  return { kind: "memberRemoved", conversationId, logId, userId, removedAt: NOW + logId };
}

export function message(conversationId: string, seqId: number, over: Partial<StoredMessage> = {}): StoredMessage {
  return {
    messageId: `m-${conversationId}-${seqId}`,
    conversationId,
    seqId,
    senderId: "owner",
    messageType: "text",
    content: `text ${seqId}`,
    createdAt: NOW + seqId,
    clientMsgId: `c-${seqId}`,
    ...over,
  };
}

export function sent(logId: number, of: StoredMessage): RoomRecord {
  return { kind: "message", conversationId: of.conversationId, logId, message: of };
}

export function invite(conversationId: string, logId: number, over: Partial<InviteState>): RoomRecord {
  const made = { createdBy: "owner", createdAt: NOW, expiresAt: NOW + 1_000, maxUses: 5, uses: 0 };
  const code = `code-${conversationId}`;
  return { kind: "invite", conversationId, logId, invite: { code, conversationId, ...made, ...over } };
}

export function asked(conversationId: string, logId: number, status: "pending" | "accepted"): RoomRecord {
  const request = { requestId: `r-${conversationId}`, conversationId, userId: "late", status, createdAt: NOW };
  const decided = status === "pending" ? {} : { decidedBy: "owner" };
  return { kind: "joinRequest", conversationId, logId, request: { ...request, ...decided, updatedAt: NOW + logId } };
}

/** Deterministic shuffles, so that a failure repeats. */
export function shuffled<T>(items: readonly T[], seed: number): T[] {
  const out = [...items];
  let x = seed * 2654435761 + 1;
  for (let i = out.length - 1; i > 0; i--) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    const j = x % (i + 1);
    [out[i], out[j]] = [out[j] as T, out[i] as T];
  }
  return out;
}
