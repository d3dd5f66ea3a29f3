/** How MySQL says what dialects say differently. */
import { and, eq, getTableColumns, inArray, Param, sql, type SQL, type SQLWrapper } from "drizzle-orm";
import type { SQLiteTable } from "drizzle-orm/sqlite-core";
import * as tables from "../../schema/mysql.ts";
import type { Builders, Dialect, Statement, Tables } from "./database.ts";

/** The schemas are equal (schema/equal.test.ts): what TypeScript says of the tables of one holds for the other. */
export const mysqlTables = tables as unknown as Tables;

/** MySQL's words, those that MariaDB knows as well. Statements are plain enough for Vitess to route. */
export const mysqlDialect: Dialect = {
  list: (values) => sql`(${new Param(values.length === 0 ? null : values)})`,
  greatest: (a, b) => sql`greatest(${a}, ${b})`,
  // MySQL 8 would rather have an alias of the row, which MariaDB does not know.
  incoming: (column) => sql`values(${sql.identifier(column.name)})`,
  // Not INSERT IGNORE, which would cut what is too long as well.
  keepFirst: (insert, [key]) =>
    upserting(insert, sql`${sql.identifier(key.name)} = values(${sql.identifier(key.name)})`),
  upsert: (table, insert, { set, where }) => upserting(insert, assignments(table, set, where)),
  mergeJson: (base, patch) => sql`json_merge_patch(${base}, ${patch})`,
  // CAST('true' AS JSON) is not known to MariaDB.
  jsonBoolean: (condition) => sql`json_extract(if(${condition}, 'true', 'false'), '$')`,
  newest: newestByGroup,
};

/** The builder of an insert has no such ending in the types of the other dialect; as SQL it runs like any statement. */
function upserting(insert: SQLWrapper, set: SQL): Statement {
  return sql`${insert.getSQL()} on duplicate key update ${set}` as unknown as Statement;
}

function assignments(table: SQLiteTable, set: Readonly<Record<string, SQL>>, where: SQL | undefined): SQL {
  const names = new Map(Object.entries(getTableColumns(table)).map(([property, column]) => [property, column.name]));
  const parts = Object.entries(set).map(([property, value]) => {
    const column = sql.identifier(names.get(property) ?? property);
    return sql`${column} = ${where === undefined ? value : sql`if(${where}, ${value}, ${column})`}`;
  });
  return sql.join(parts, sql`, `);
}

/** The index answers `max` of each group with one look-up. Both sides name the shards. */
function newestByGroup(db: Builders, conversationIds: readonly string[]) {
  const { messages } = mysqlTables;
  const ids = mysqlDialect.list(conversationIds);
  const ends = db
    .select({ conversationId: messages.conversationId, seqId: sql<number>`max(${messages.seqId})`.as("newest") })
    .from(messages)
    .where(inArray(messages.conversationId, ids))
    .groupBy(messages.conversationId)
    .as("ends");
  return db
    .select(getTableColumns(messages))
    .from(messages)
    .innerJoin(ends, and(eq(ends.conversationId, messages.conversationId), eq(ends.seqId, messages.seqId)))
    .where(inArray(messages.conversationId, ids));
}
