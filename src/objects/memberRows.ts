/** A member as a room's table holds it. */
import type { MemberState } from "../domain/records.ts";

export type MemberColumns = {
  user_id: string;
  role: number;
  joined_at: number;
  muted_until: number | null;
  read_seq_id: number;
};

export function toMember(row: MemberColumns): MemberState {
  return {
    userId: row.user_id,
    role: row.role as MemberState["role"],
    joinedAt: row.joined_at,
    ...(row.muted_until === null ? {} : { mutedUntil: row.muted_until }),
    readSeqId: row.read_seq_id,
  };
}
