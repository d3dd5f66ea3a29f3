/**
 * Does a statement name the shards that it is about? `schema/vschema.json` says which tables are spread over shards, and by which column; a
 * statement that leaves it open is asked of all of them. A rule over the statement's text, not the planner of Vitess, and
 * stricter than that one: each spread table must be pinned by `key = value` (or IN) in the AND-part of WHERE, by a column that a lookup
 * finds the shards of, or by `key = key` of one that is pinned, be that a selection of its keys.
 */
import { readFileSync } from "node:fs";
import parser from "node-sql-parser/build/mysql.js";

/** By table: how its rows are placed, or `null` where all are in one place. */
export type ShardKeys = ReadonlyMap<string, Placement | null>;

export interface Placement {
  /** The column whose value places a row. */
  readonly key: string;
  /** Columns whose values a lookup table of Vitess finds the shards of. */
  readonly lookups: readonly string[];
}

/** `one`: a single shard. `some`: those of the listed keys. `all`: every shard there is. */
export type Reach = "one" | "some" | "all";

export interface Route {
  readonly reach: Reach;
  /** Of the table that makes it so; empty when no table is spread. */
  readonly table: string;
  /** It touches tables that are spread and tables that are not, which are different servers. */
  readonly mixed: boolean;
}

interface Keyspace {
  readonly tables: Readonly<
    Record<
      string,
      { readonly column_vindexes?: readonly { readonly column?: string; readonly columns?: readonly string[] }[] }
    >
  >;
}

/** What `schema/vschema.json` says: the first vindex of a table places its rows, the others look them up. */
export function shardKeys(): ShardKeys {
  const text = readFileSync(new URL("vschema.json", import.meta.url), "utf8");
  const keyspaces = JSON.parse(text) as Record<string, Keyspace>;
  return new Map(
    Object.values(keyspaces).flatMap(({ tables }) =>
      Object.entries(tables).map(([name, { column_vindexes: vindexes = [] }]) => {
        const [key, ...lookups] = vindexes.flatMap(({ column, columns }) => column ?? columns?.[0] ?? []);
        return [name, key === undefined ? null : { key, lookups }] as const;
      }),
    ),
  );
}

const RANK: Readonly<Record<Reach, number>> = { one: 0, some: 1, all: 2 };

/**
 * @param statement as it is sent, its values in its text: so two rows of one insert can be told apart
 * @throws Error for a text that is no statement, or names a table that no keyspace has
 */
export function routeOf(statement: string, keys: ShardKeys): Route {
  // This parser does not know "default" among values, which Drizzle writes for columns that are left out.
  const text = statement.replaceAll(/\bdefault\b(?=\s*[,)])/g, "null");
  const { ast } = new parser.Parser().parse(text, { database: "MySQL" });
  const found = [ast].flat().flatMap((one) => [...statements(fieldsOf(one), keys)]);
  const spread = found.filter(({ reach }) => reach !== null);
  let worst: { reach: Reach; table: string } = { reach: "one", table: "" };
  for (const { reach, table } of spread) {
    if (reach !== null && RANK[reach] >= RANK[worst.reach]) {
      worst = { reach, table };
    }
  }
  return { ...worst, mixed: spread.length > 0 && spread.length < found.length };
}

/** A node of the parsed statement; the parser's own types leave most of it open. */
type Node = Readonly<Record<string, unknown>>;
/** What is found of one table: `reach` is `null` where it is not spread. */
type Found = { reach: Reach | null; table: string };

interface Source {
  /** None of a selection: what it is made of is found by itself. */
  readonly table: string | undefined;
  /** How the statement calls it. */
  readonly name: string;
  readonly key: string | null;
  readonly lookups: readonly string[];
}

function* statements(ast: Node, keys: ShardKeys): Generator<Found> {
  const isInsert = ast["type"] === "insert" || ast["type"] === "replace";
  if (isInsert) {
    yield* inserted(ast, keys);
  } else {
    const sources = [listOf(ast["from"]), listOf(ast["table"])].flat().flatMap((node) => sourceOf(node, keys));
    const unique = [...new Map(sources.map((source) => [source.name, source])).values()];
    const joins = listOf(ast["from"]).map((node) => node["on"]);
    const pinned = pinnedBy([ast["where"], ...joins].flatMap(conjuncts), unique);
    for (const { table, name, key } of unique) {
      if (table !== undefined) {
        yield { table, reach: key === null ? null : (pinned.get(name) ?? "all") };
      }
    }
  }
  for (const inner of selectsIn(ast)) {
    yield* statements(inner, keys);
  }
}

function* inserted(ast: Node, keys: ShardKeys): Generator<Found> {
  const table = String(listOf(ast["table"])[0]?.["table"]);
  const placement = placementOf(table, keys);
  if (placement === null) {
    yield { table, reach: null };
    return;
  }
  const at = (Array.isArray(ast["columns"]) ? ast["columns"] : []).indexOf(placement.key);
  const values = fieldsOf(ast["values"]);
  const rows = listOf(values["values"] ?? ast["values"]);
  if (at < 0 || rows.length === 0) {
    yield { table, reach: "all" };
    return;
  }
  const shards = new Set(rows.map((row) => JSON.stringify(listOf(row["value"])[at]?.["value"])));
  yield { table, reach: shards.size > 1 ? "some" : "one" };
}

/** Selects inside: FROM (select), IN (select), EXISTS (select), UNION, insert … select. */
function* selectsIn(node: Node): Generator<Node> {
  for (const value of Object.values(node)) {
    for (const part of listOf(value)) {
      const select = fieldsOf(part["ast"])["type"] === "select" ? fieldsOf(part["ast"]) : part;
      if (select["type"] === "select") {
        yield select;
      } else {
        yield* selectsIn(part);
      }
    }
  }
}

function sourceOf(node: Node, keys: ShardKeys): Source[] {
  const { table, as } = node;
  if (typeof table !== "string") {
    const key = keySelectedBy(fieldsOf(fieldsOf(node["expr"])["ast"]), keys);
    return typeof as === "string" && key !== undefined ? [{ table: undefined, name: as, key, lookups: [] }] : [];
  }
  const placement = placementOf(table, keys);
  const [key, lookups] = placement === null ? [null, []] : [placement.key, placement.lookups];
  return [{ table, name: typeof as === "string" ? as : table, key, lookups }];
}

/** The key's name where the first column of a selection is one, as in `(select conversation_id … union all select 'x' …) k`. */
function keySelectedBy(select: Node, keys: ShardKeys): string | undefined {
  const column = listOf(select["columns"])[0];
  if (select["type"] !== "select" || column === undefined || column["as"] !== null) {
    return undefined;
  }
  return (
    keyColumn(
      column["expr"],
      listOf(select["from"]).flatMap((node) => sourceOf(node, keys)),
    )?.key ?? undefined
  );
}

function placementOf(table: string, keys: ShardKeys): Placement | null {
  const placement = keys.get(table);
  if (placement === undefined) {
    throw new Error(`no keyspace of vschema.json has the table ${table}`);
  }
  return placement;
}

function conjuncts(condition: unknown): Node[] {
  const node = fieldsOf(condition);
  return node["type"] === "binary_expr" && String(node["operator"]).toUpperCase() === "AND"
    ? [...conjuncts(node["left"]), ...conjuncts(node["right"])]
    : [node];
}

/** How each source is pinned: by its key, from one to the next over `key = key`, and only then by lookups. */
function pinnedBy(conditions: readonly Node[], sources: readonly Source[]): Map<string, Reach> {
  const pinned = new Map<string, Reach>();
  for (const { table, name } of sources) {
    // Its rows bring their keys along: each names a shard.
    if (table === undefined) {
      pinned.set(name, "some");
    }
  }
  pinByKeys(pinned, conditions, sources);
  for (const { operator, left, right } of conditions) {
    if (operator === "=" && isValue(right)) {
      pin(
        pinned,
        columnOf(left, sources, ({ lookups }, column) => lookups.includes(column)),
        "some",
      );
    }
  }
  pinByKeys(pinned, conditions, sources);
  return pinned;
}

function pinByKeys(pinned: Map<string, Reach>, conditions: readonly Node[], sources: readonly Source[]): void {
  for (let before = -1; before < pinned.size;) {
    before = pinned.size;
    for (const { operator, left, right } of conditions) {
      const [l, r] = [keyColumn(left, sources), keyColumn(right, sources)];
      if (operator === "IN" && l !== undefined) {
        const values = fieldsOf(right)["value"];
        const reach =
          Array.isArray(values) && values.every(isValue) ? (values.length === 1 ? "one" : "some") : undefined;
        pin(pinned, l, reach);
      } else if (operator === "=") {
        pin(pinned, l, isValue(right) ? "one" : r && pinned.get(r.name));
        pin(pinned, r, isValue(left) ? "one" : l && pinned.get(l.name));
      }
    }
  }
}

function pin(pinned: Map<string, Reach>, source: Source | undefined, reach: Reach | undefined): void {
  if (source !== undefined && reach !== undefined && !pinned.has(source.name)) {
    pinned.set(source.name, reach);
  }
}

/** The source whose key this column is. */
function keyColumn(expression: unknown, sources: readonly Source[]): Source | undefined {
  return columnOf(expression, sources, ({ key }, column) => key === column);
}

/** The source that this column is of, among those where it means something. */
function columnOf(
  expression: unknown,
  sources: readonly Source[],
  means: (source: Source, column: string) => boolean,
): Source | undefined {
  const node = fieldsOf(expression);
  if (node["type"] !== "column_ref") {
    return undefined;
  }
  // Quoted names come as { expr: { type, value } } and { type, value }.
  const column = fieldsOf(fieldsOf(node["column"])["expr"])["value"] ?? node["column"];
  const table = fieldsOf(node["table"])["value"] ?? node["table"] ?? undefined;
  return sources.find(
    (source) => typeof column === "string" && means(source, column) && (table === undefined || table === source.name),
  );
}

const VALUES: ReadonlySet<unknown> = new Set([
  "number",
  "bigint",
  "string",
  "single_quote_string",
  "double_quote_string",
]);

function isValue(expression: unknown): boolean {
  return VALUES.has(fieldsOf(expression)["type"]);
}

function fieldsOf(value: unknown): Node {
  return typeof value === "object" && value !== null ? (value as Node) : {};
}

function listOf(value: unknown): Node[] {
  return (Array.isArray(value) ? value : [value]).map(fieldsOf).filter((node) => Object.keys(node).length > 0);
}
