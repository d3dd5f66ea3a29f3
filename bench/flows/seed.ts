/**
 * Fills the SQL of a stopped server up to the size that the flows are measured at. Written straight into D1's file: a
 * million messages through the front door would take half an hour, and what is measured afterwards only reads them.
 */
import { DatabaseSync } from "node:sqlite";
import { d1File } from "../../scripts/start/d1File.ts";

/** What SQL holds afterwards, with what was there before. */
export interface Size {
  readonly users: number;
  readonly groups: number;
  readonly messages: number;
}

const MEMBERS_A_GROUP = 5;
const CONTENT = JSON.stringify("x".repeat(200));
/** Ids that sort before every real one: ULIDs of the first milliseconds of 1970. */
const idOf = (letter: string, n: number): string => `0000000000${letter}${String(n).padStart(15, "0")}`;
const userOf = (n: number): string => idOf("A", n);
const groupOf = (n: number): string => `group_${idOf("B", n)}`;

/** `folder` is the state folder of a server that does not run. */
export function seed(folder: string, size: Size): void {
  const file = d1File(folder);
  if (file === undefined) {
    throw new Error(`no database of a server in ${folder}`);
  }
  const database = new DatabaseSync(file);
  try {
    const count = (table: string): number => {
      const row = database.prepare(`SELECT count(*) AS n FROM ${table}`).get();
      return Number(row?.["n"] ?? 0);
    };
    const [users, groups] = [size.users - count("users"), size.groups - count("conversations")];
    const messages = size.messages - count("messages");
    database.exec("BEGIN");
    const user = database.prepare(
      `INSERT INTO users (user_id, username, username_lower, display_name, display_name_lower, created_at, updated_at)
       VALUES (?, ?, ?, ?, ?, 1, 1)`,
    );
    for (let n = 0; n < users; n++) {
      const name = `seed_${n}`;
      user.run(userOf(n), name, name, name, name);
    }
    const conversation = database.prepare(
      `INSERT INTO conversations (conversation_id, type, name, owner_id, member_count, max_members, head_seq_id, version,
         last_activity_at, created_at, updated_at, log_id) VALUES (?, 2, 'seed', ?, ?, 500, ?, ?, 1, 1, 1, ?)`,
    );
    const member = database.prepare(
      "INSERT INTO conversation_members (conversation_id, user_id, role, joined_at, log_id) VALUES (?, ?, 1, 1, 1)",
    );
    const message = database.prepare(
      `INSERT INTO messages (conversation_id, seq_id, message_id, sender_id, client_msg_id, message_type, content,
         created_at, log_id) VALUES (?, ?, ?, ?, ?, 'text', ?, 1, ?)`,
    );
    let left = messages;
    for (let n = 0; n < groups; n++) {
      const head = Math.ceil(left / (groups - n));
      left -= head;
      const owner = userOf(n % users);
      conversation.run(groupOf(n), owner, MEMBERS_A_GROUP, head, head, head);
      for (let k = 0; k < MEMBERS_A_GROUP; k++) {
        member.run(groupOf(n), userOf((n * MEMBERS_A_GROUP + k) % users));
      }
      for (let seqId = 1; seqId <= head; seqId++) {
        message.run(groupOf(n), seqId, idOf("C", n * 1_000_000 + seqId), owner, `seed-${seqId}`, CONTENT, seqId);
      }
    }
    database.exec("COMMIT");
  } finally {
    database.close();
  }
}
