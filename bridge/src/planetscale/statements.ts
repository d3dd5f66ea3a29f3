/** What a statement does to the session that it runs in; decided by its first words, comments skipped. */

export type StatementKind =
  /** Opens a transaction; an open one is committed, as MySQL does. */
  | "begin"
  | "commit"
  | "rollback"
  /** Leaves something behind on its connection: variables, locks, temporary tables, prepared statements. */
  | "session"
  /** Cannot be offered over HTTP. */
  | "refused"
  | "plain";

const COMMENT = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|--[ \t][^\n]*(?:\n|$)|#[^\n]*(?:\n|$))/;
const KINDS: readonly (readonly [StatementKind, RegExp])[] = [
  ["begin", /^(?:begin\b|start\s+transaction\b)/i],
  ["commit", /^commit\b/i],
  // `rollback to savepoint` stays inside.
  ["rollback", /^rollback\b(?!\s+(?:work\s+)?to\b)/i],
  // `load data` reads files, `kill` and `shutdown` act on others, `xa` outlives its connection.
  ["refused", /^(?:load\s+(?:data|xml)|kill|shutdown|xa|handler|change|reset|install|uninstall|use)\b/i],
  ["session", /^(?:set|lock|unlock|prepare|execute|deallocate|create\s+(?:or\s+replace\s+)?temporary)\b/i],
];
/** Anywhere in a statement; in the text of a value it is only text. */
const LEAVING = /\b(?:get_lock|release_lock|release_all_locks)\s*\(|@\w+\s*:=/i;
const QUOTED = /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`/gs;

export function kindOf(sql: string): StatementKind {
  const bare = withoutComments(sql);
  const kind = KINDS.find(([, pattern]) => pattern.test(bare))?.[0];
  // Values are taken out only where they matter: a statement may have a megabyte of them.
  return kind ?? (LEAVING.test(bare) && LEAVING.test(bare.replaceAll(QUOTED, "''")) ? "session" : "plain");
}

function withoutComments(sql: string): string {
  let rest = sql;
  for (let found = COMMENT.exec(rest); found; found = COMMENT.exec(rest)) {
    rest = rest.slice(found[0].length);
  }
  return rest;
}
