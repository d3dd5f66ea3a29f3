/** A MySQL as one end of a copy, through PlanetScale's protocol as the Worker itself. */
import type { Client } from "@planetscale/database";
import { planetscaleClient, withoutStatement } from "../../src/repo/planetscale.ts";
import { StartError } from "../start/errors.ts";
import { applyMysqlMigrations } from "../start/mysqlMigrations.ts";
import { type Cell, PAGE_ROWS, type Row, type Side, type Table } from "./side.ts";

/** UTF-16 units of one statement's rows; `max_allowed_packet` of MariaDB is 16 MiB. */
const STATEMENT_CHARS = 1_000_000;

/**
 * With all migrations applied.
 * @param url as PLANETSCALE_URL is
 * @throws StartError when it does not answer, or refuses
 */
export async function mysqlSide(url: string): Promise<Side> {
  const away = await applyMysqlMigrations(url);
  if (away !== undefined) {
    throw new StartError(away);
  }
  const client = planetscaleClient(url);
  return {
    name: `MySQL at ${new URL(url).host}`,
    engine: "planetscale",
    async count({ name }) {
      const [row] = await ask(client, `select count(*) from ${name}`);
      return Number(row?.[0]);
    },
    pages: (table) => pages(client, table),
    async insert({ name, columns }, rows) {
      for (const chunk of chunks(rows)) {
        const places = chunk.map(() => "(?)").join(", ");
        await ask(client, `insert into ${name} (${columns.join(", ")}) values ${places}`, chunk);
      }
    },
    async empty({ name }) {
      await ask(client, `truncate table ${name}`);
    },
    close: () => Promise.resolve(),
  };
}

async function* pages(client: Client, { name, columns, primaryKey }: Table): AsyncGenerator<Row[]> {
  const places = primaryKey.map((column) => columns.indexOf(column));
  let after: Cell[] | undefined;
  for (;;) {
    const [where, values] = after === undefined ? ["", []] : behind(primaryKey, after);
    const rows = await ask(
      client,
      `select ${columns.join(", ")} from ${name}${where} order by ${primaryKey.join(", ")} limit ${PAGE_ROWS}`,
      values,
    );
    if (rows.length > 0) {
      yield rows;
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE_ROWS) {
      return;
    }
    after = places.map((place) => last[place] ?? null);
  }
}

/** As `(a, b) > (x, y)`, which MariaDB would not look up in an index. */
function behind(columns: readonly string[], after: readonly Cell[]): [string, Cell[]] {
  const values: Cell[] = [];
  const parts = columns.map((column, i) => {
    const equal = columns.slice(0, i).map((before, k) => {
      values.push(after[k] ?? null);
      return `${before} = ?`;
    });
    values.push(after[i] ?? null);
    return `(${[...equal, `${column} > ?`].join(" and ")})`;
  });
  return [` where ${parts.join(" or ")}`, values];
}

function* chunks(rows: readonly Row[]): Generator<Row[]> {
  let chunk: Row[] = [];
  let chars = 0;
  for (const row of rows) {
    const length = row.reduce<number>((sum, cell) => sum + (typeof cell === "string" ? cell.length : 16), 0);
    if (chunk.length > 0 && chars + length > STATEMENT_CHARS) {
      yield chunk;
      [chunk, chars] = [[], 0];
    }
    chunk.push(row);
    chars += length;
  }
  if (chunk.length > 0) {
    yield chunk;
  }
}

/** @throws Error without the statement's values, which users have written */
async function ask(client: Client, statement: string, values: readonly unknown[] = []): Promise<Row[]> {
  try {
    const { rows } = await client.execute<Cell[]>(statement, [...values], { as: "array" });
    return rows;
  } catch (error) {
    throw withoutStatement(error);
  }
}
