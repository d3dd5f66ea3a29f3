/** Which statements of a run do not name their shards; schema/shards.ts has the rule. */
import { routeOf, shardKeys } from "../../../schema/shards.ts";

export interface ShardReport {
  /** Statements that every shard is asked for, their values left out. */
  readonly scattered: string[];
  /** Statements over tables of two keyspaces. */
  readonly mixed: string[];
  /** How many kinds of statement were about each table that is spread. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Each kind of statement once, whatever its values: the parser takes seconds for thousands of rows. */
export function kindsOf(statements: readonly string[]): string[] {
  return [...new Set(statements.map(kindOf))];
}

export function shardReport(statements: readonly string[]): ShardReport {
  const keys = shardKeys();
  const scattered: string[] = [];
  const mixed: string[] = [];
  const counts = new Map<string, number>();
  for (const statement of kindsOf(statements)) {
    if (!/^(?:select|insert|update|delete)\b/i.test(statement)) {
      continue; // BEGIN, COMMIT, ROLLBACK.
    }
    const route = routeOf(statement, keys);
    if (route.reach === "all") {
      scattered.push(statement);
    }
    if (route.mixed) {
      mixed.push(statement);
    }
    counts.set(route.table, (counts.get(route.table) ?? 0) + 1);
  }
  return { scattered, mixed, counts };
}

/** The statement with one value for all, one row for many, one case for many. A list keeps that it is one. */
export function kindOf(statement: string): string {
  return statement
    .trim()
    .replaceAll(/'(?:[^'\\]|\\.|'')*'/gs, "'x'")
    .replaceAll(/\b\d+\b/g, "1")
    .replaceAll(/\s+/g, " ")
    .replaceAll(/(?<=\(|, )(?:null|default)(?=[,)])/g, "'x'")
    .replaceAll(/(\((?:'x'|1)(?:, (?:'x'|1))*\))(?:, \((?:'x'|1)(?:, (?:'x'|1))*\))+/g, "$1")
    .replaceAll(/\b(in) \((?:'x'|1)(?:, (?:'x'|1))+\)/gi, "$1 ('x', 'x')")
    .replaceAll(/(when 'x' then 1)(?: when 'x' then 1)+/g, "$1");
}
