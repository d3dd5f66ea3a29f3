/** Copies all of SQL from one database to another, exactly. */
import { StartError } from "../start/errors.ts";
import { noteRowsIn, refuseCopyOfOld } from "../start/rowsIn.ts";
import { isFresh, type Side, TABLES } from "./side.ts";

/**
 * Row by row as they are. Nobody may write meanwhile, on either side.
 * @param replace removes what the target has; without, one that has anything is refused
 * @param say a line for whoever reads the terminal
 * @throws StartError when the target has rows, or other ones than the source afterwards; and when a source that has none would replace
 *   rows: that is a wrong address, or the wrong direction
 */
export async function copyAll(from: Side, to: Side, replace: boolean, say: (line: string) => void): Promise<void> {
  refuseOldRows(from, to);
  if (!(await isFresh(to))) {
    if (!replace) {
      throw new StartError(`${to.name} has rows already: --replace removes them first.`);
    }
    if (await isFresh(from)) {
      throw new StartError(
        `${from.name} has no rows, and ${to.name} has: nothing was copied. Are the two the right way round?`,
      );
    }
  }
  noteBegun(from, to);
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
  noteDone(from, to);
}

/** `npm start` has noted whether the state folder or MySQL has the rows that count. */
function refuseOldRows(from: Side, to: Side): void {
  const folder = from.stateFolder ?? (from.engine === "planetscale" ? to.stateFolder : undefined);
  if (folder !== undefined) {
    refuseCopyOfOld(folder, from.engine);
  }
}

/** A copy that breaks off leaves a target that no server starts on. */
function noteBegun(from: Side, to: Side): void {
  const folder = from.stateFolder ?? to.stateFolder;
  if (folder !== undefined && from.engine !== to.engine) {
    noteRowsIn(folder, [from.engine]);
  }
}

function noteDone(from: Side, to: Side): void {
  if (from.stateFolder !== undefined && to.engine === "planetscale") {
    noteRowsIn(from.stateFolder, ["d1", "planetscale"]);
  }
  if (to.stateFolder !== undefined) {
    noteRowsIn(to.stateFolder, from.engine === "d1" ? ["d1"] : ["d1", "planetscale"]);
  }
}
