/**
 * Killing only the Node parent with -9 leaves workerd running: it keeps the port and the databases, and answers. The
 * next start on the same state folder ends it, and only it.
 *
 * A leftover is recognised in two ways, because the parent may be killed at any moment. The record in the state folder
 * names process and start time, but a parent that dies within the few microseconds after the fork has not written it.
 * Therefore each workerd also carries its state folder in its environment, where Linux shows it to us.
 */
import { subscribe } from "node:diagnostics_channel";
import { ChildProcess } from "node:child_process";
import { StartError } from "./errors.ts";
import {
  identify,
  isRunning,
  isWorkerd,
  killAndWait,
  type ProcessIdentity,
  workerdsWithVariable,
} from "./processes.ts";
import type { StateFolder } from "./stateFolder.ts";

/** The variable by which a workerd is known to belong to a state folder. */
const FOLDER_VARIABLE = "GOCHAT_WORKERD_STATE";

/** The running workerd processes of a state folder, given by its real path. Empty where there is no /proc. */
export function workerdsOf(folderPath: string): ProcessIdentity[] {
  return workerdsWithVariable(FOLDER_VARIABLE, folderPath);
}

/**
 * Ends what a killed server left behind. Answers how many processes that were. Must be called with the folder locked:
 * then no living server owns any of them.
 */
export async function endLeftovers(folder: StateFolder): Promise<number> {
  const recorded = folder.workerds.filter((one) => isRunning(one) && isWorkerd(one.pid));
  const marked = workerdsOf(folder.path);
  const leftovers = new Map([...recorded, ...marked].map((one) => [one.pid, one]));
  for (const leftover of leftovers.values()) {
    if (!(await killAndWait(leftover))) {
      throw new StartError(
        `A server that was killed has left workerd (process ${leftover.pid}) behind, and it cannot be ended: end it by hand.`,
      );
    }
  }
  folder.forgetWorkerds();
  return leftovers.size;
}

/** From now on every workerd that this process starts is marked with the folder and recorded in it. */
export function watchForWorkerd(folder: StateFolder): void {
  process.env[FOLDER_VARIABLE] = folder.path;
  // Miniflare starts workerd, again after a crash, and does not tell its process id; Node announces every child.
  subscribe("child_process", (message) => {
    const child = message instanceof Object && "process" in message ? message.process : undefined;
    if (!(child instanceof ChildProcess)) {
      return;
    }
    child.once("spawn", () => {
      const identity = child.pid === undefined ? undefined : identify(child.pid);
      if (identity !== undefined && /workerd/.test(child.spawnfile)) {
        folder.rememberWorkerd(identity);
      }
    });
  });
}
