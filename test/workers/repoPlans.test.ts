import { env } from "cloudflare:workers";
import { describe, it } from "vitest";

describe("D1", () => {
  it("reads by index, whatever is stored", async ({ expect }) => {
    const plan = async (sql: string, ...values: unknown[]): Promise<string> => {
      const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .bind(...values)
        .all<{ detail: string }>();
      return results.map((row) => row.detail).join("\n");
    };
    const members = await plan(
      "SELECT conversation_id, pinned FROM conversation_members WHERE user_id = ? AND removed_at IS NULL",
      "u",
    );
    expect(members).toContain("COVERING INDEX conversation_members_user");
    const list = await plan(
      `SELECT * FROM (SELECT conversation_id, pinned, role FROM conversation_members WHERE user_id = ? AND removed_at IS NULL
          UNION ALL SELECT 'w', coalesce(max(pinned), 0), 1 FROM conversation_members WHERE conversation_id = 'w' AND user_id = ?) k
        JOIN conversations c ON c.conversation_id = k.conversation_id
        LEFT JOIN user_read_pointers p ON p.conversation_id = c.conversation_id AND p.user_id = ?
        ORDER BY k.pinned DESC, c.last_activity_at DESC LIMIT 250`,
      "u",
      "u",
      "u",
    );
    expect(list).toContain("INDEX conversation_members_user (user_id=? AND removed_at=?)");
    expect(list).not.toMatch(/SCAN (conversations|conversation_members|user_read_pointers|c|p)\b/);
    const newest = await plan(
      `SELECT * FROM messages WHERE (conversation_id, seq_id) IN (SELECT j.value, (SELECT max(m.seq_id)
        FROM messages m WHERE m.conversation_id = j.value) FROM json_each(?) j)`,
      "[]",
    );
    expect(newest).not.toMatch(/SCAN (messages|m)\b/);
    const search = await plan(
      `SELECT * FROM users WHERE ((username_lower >= ? AND username_lower < ?) OR (display_name_lower >= ? AND
        display_name_lower < ?)) AND is_guest = 0 ORDER BY username_lower LIMIT 20`,
      "a",
      "b",
      "a",
      "b",
    );
    expect(search).toContain("MULTI-INDEX OR");
  });
});
