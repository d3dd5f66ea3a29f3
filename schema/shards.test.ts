import { readFileSync } from "node:fs";
import { getTableName } from "drizzle-orm";
import { getTableConfig } from "drizzle-orm/mysql-core";
import { describe, it } from "vitest";
import * as schema from "./mysql.ts";
import { routeOf, shardKeys, type Reach } from "./shards.ts";

const keys = shardKeys();
const LOOKUP = "conversation_members_by_user";
const read = (file: string): string => readFileSync(new URL(file, import.meta.url), "utf8");

describe("vschema.json", () => {
  it("has every table once, and places rows by a column that is never empty", ({ expect }) => {
    const tables = Object.values(schema);
    // The lookup is Vitess' own.
    expect([...keys.keys()].toSorted()).toEqual([...tables.map(getTableName), LOOKUP].toSorted());
    for (const table of tables) {
      const { name, columns } = getTableConfig(table);
      const key = keys.get(name)?.key ?? null;
      const column = columns.find((one) => one.name === key);
      expect(key === null || column?.notNull, name).toBe(true);
      // All of a conversation is in one place, and nothing else is spread.
      expect(key, name).toBe(columns.some((one) => one.name === "conversation_id") ? "conversation_id" : null);
    }
  });
});

describe("the lookup of a user's conversations", () => {
  it("is asked by the user, has a row for each membership, and columns of the same types", ({ expect }) => {
    const vschema = JSON.parse(read("vschema.json")) as {
      gochat_rooms: { vindexes: Record<string, { owner?: string; params?: Record<string, string> }> };
    };
    const { owner, params } = vschema.gochat_rooms.vindexes["members_by_user"] ?? {};
    expect(params).toEqual({ table: `gochat.${LOOKUP}`, from: "user_id,conversation_id", to: "keyspace_id" });
    expect(keys.get("conversation_members")?.lookups).toEqual(["user_id"]);
    const { name, columns } = getTableConfig(schema.conversationMembers);
    expect(owner).toBe(name);
    const made = read("vitess.sql");
    for (const column of ["user_id", "conversation_id"]) {
      const type = columns.find((one) => one.name === column)?.getSQLType() ?? "no such column";
      expect(made).toContain(`\`${column}\` ${type} NOT NULL`);
    }
    expect(made).toContain(`CREATE TABLE \`${LOOKUP}\``);
    expect(made).toContain("PRIMARY KEY(`user_id`,`conversation_id`)");
  });
});

describe("a statement's shards", () => {
  const cases: [Reach, string][] = [
    ["one", "select * from messages where conversation_id = 'a' and seq_id < 9 order by seq_id desc limit 50"],
    ["one", "select * from `messages` where (`messages`.`conversation_id` = 'a' and `messages`.`seq_id` in (1, 2))"],
    ["some", "select * from messages where conversation_id in ('a', 'b')"],
    ["one", "select * from messages where conversation_id in ('a')"],
    ["all", "select * from messages where seq_id < 9"],
    ["all", "select * from messages where conversation_id = 'a' or seq_id = 9"],
    ["all", "select * from messages where conversation_id <> 'a'"],
    ["all", "select * from messages where conversation_id > 'a'"],
    ["all", "select * from messages where conversation_id not in ('a')"],
    ["all", "select * from messages where message_id = 'a' and conversation_id = sender_id"],
    ["all", "select * from messages where (conversation_id, seq_id) in (('a', 1), ('b', 2))"],
    ["all", "select * from messages where conversation_id in (select conversation_id from messages)"],
    ["one", "select * from users where username_lower >= 'a'"],
    [
      "one",
      "select m.* from messages m join conversation_members c on c.conversation_id = m.conversation_id where m.conversation_id = 'a'",
    ],
    [
      "all",
      "select m.* from messages m join conversation_members c on c.user_id = m.sender_id where m.conversation_id = 'a'",
    ],
    ["all", "select * from messages where conversation_id = 'a' union all select * from messages"],
    ["all", "select * from (select * from messages) m"],
    [
      "all",
      "select * from conversations c where c.conversation_id = 'a' and exists (select 1 from messages where seq_id = 1)",
    ],
    ["one", "insert into messages (conversation_id, seq_id) values ('a', 1), ('a', 2)"],
    [
      "some",
      "insert into messages (conversation_id, seq_id) values ('a', 1), ('b', 2) on duplicate key update seq_id = values(seq_id)",
    ],
    ["one", "insert into conversations (conversation_id, name) values ('a', default)"],
    ["all", "insert into messages (conversation_id, seq_id) select conversation_id, seq_id from messages"],
    ["one", "update messages set content = null where conversation_id = 'a' and seq_id = 1"],
    ["all", "update messages set content = null where seq_id = 1"],
    [
      "one",
      "delete from message_edits where conversation_id in ('a') and (conversation_id, message_id) in (('a', 'b'))",
    ],
    ["all", "delete from message_edits where message_id = 'a'"],
    ["some", "select conversation_id from conversation_members where user_id = 'u' and removed_at is null"],
    ["one", "select role from conversation_members where user_id = 'u' and conversation_id = 'a'"],
    ["all", "select conversation_id from conversation_members where user_id > 'u'"],
    ["all", "select conversation_id from conversation_members where user_id = 'u' or removed_at is null"],
    ["all", "select seq_id from user_read_pointers where user_id = 'u'"],
    [
      "some",
      "select c.* from (select conversation_id, pinned from conversation_members where user_id = 'u' union all select 'w', 0) k join conversations c on c.conversation_id = k.conversation_id order by k.pinned limit 9",
    ],
    [
      "all",
      "select c.* from (select conversation_id from conversation_members where pinned = 1) k join conversations c on c.conversation_id = k.conversation_id",
    ],
    [
      "all",
      "select c.* from (select user_id as conversation_id from conversation_members where user_id = 'u') k join conversations c on c.conversation_id = k.conversation_id",
    ],
    [
      "all",
      "select c.* from (select conversation_id from conversation_members where user_id = 'u') k join conversations c on c.owner_id = k.conversation_id",
    ],
    [
      "some",
      "select m.* from conversation_members k join messages m on m.conversation_id = k.conversation_id where k.user_id = 'u'",
    ],
  ];
  it.for(cases)("%s: %s", ([reach, statement], { expect }) => {
    expect(routeOf(statement, keys).reach).toBe(reach);
  });

  it("cannot be told of tables that no keyspace has, or of a text that is no statement", ({ expect }) => {
    expect(() => routeOf("select * from nothing", keys)).toThrow(/no keyspace/);
    expect(() => routeOf("selec", keys)).toThrow(/./);
  });

  it("are in two places where spread tables meet others", ({ expect }) => {
    const meeting = "select * from users u join messages m on m.sender_id = u.user_id where m.conversation_id = 'a'";
    expect(routeOf(meeting, keys)).toEqual({ reach: "one", table: "messages", mixed: true });
    expect(routeOf("select * from users", keys).mixed).toBe(false);
  });
});
