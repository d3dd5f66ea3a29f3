/** Copies all of SQL from one database to another, exactly. */
import { StartError } from "../start/errors.ts";
import { isFresh, type Side, TABLES } from "./side.ts";

/**
 * Row by row as they are. Nobody may write meanwhile, on either side.
 * @param replace removes what the target has; without, one that has anything is refused
 * @param say a line for whoever reads the terminal
 * @throws StartError when the target has rows, or other ones than the source afterwards
 */
export async function copyAll(from: Side, to: Side, replace: boolean, say: (line: string) => void): Promise<void> {
  if (!replace && !(await isFresh(to))) {
    throw new StartError(`${to.name} has rows already: --replace removes them first.`);
  }
  for (const table of TABLES) {
    await to.empty(table);
    let copied = 0;
    for await (const rows of from.pages(table)) {
      await to.insert(table, rows);
      copied += rows.length;
    }
    const [source, target] = [await from.count(table), await to.count(table)];
    if (source !== copied || target !== copied) {
      throw new StartError(
        `${table.name} has ${source} rows in ${from.name} and ${target} in ${to.name}: somebody has written meanwhile. Stop the servers, and copy again with --replace.`,
      );
    }
    say(`${table.name}: ${copied}`);
  }
}
