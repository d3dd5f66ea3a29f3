/**
 * Telling processes apart. A process id alone is no identity, since ids are used again; with the time at which the
 * process began it is one. On Linux everything is read from /proc; elsewhere `ps` is asked.
 */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const GONE_AFTER_KILL_MS = 5_000;
const POLL_MS = 10;

export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal only for the same process, also across reboots. */
  readonly began: string;
}

/** `undefined` when there is no such process, or only its unreaped remains. */
export function identify(pid: number): ProcessIdentity | undefined {
  const began = process.platform === "linux" ? beganOnLinux(pid) : beganByPs(pid);
  return began === undefined ? undefined : { pid, began };
}

/** Does exactly this process still run? */
export function isRunning(identity: ProcessIdentity): boolean {
  return identify(identity.pid)?.began === identity.began;
}

/** Is the process the Workers runtime? */
export function isWorkerd(pid: number): boolean {
  if (process.platform === "linux") {
    return readProc(`/proc/${pid}/comm`)?.trim() === "workerd";
  }
  return /(?:^|\/)workerd$/.test(ps(pid, "comm") ?? "");
}

/**
 * Running workerd processes that have `name=value` in their environment, whoever started them. Empty where there is no
 * /proc, and without those of other users, whose environment cannot be read.
 */
export function workerdsWithVariable(name: string, value: string): ProcessIdentity[] {
  if (process.platform !== "linux") {
    return [];
  }
  const wanted = `${name}=${value}`;
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .filter((pid) => isWorkerd(pid) && readProc(`/proc/${pid}/environ`)?.split("\0").includes(wanted))
    .flatMap((pid) => identify(pid) ?? []);
}

/** Kills the process and waits until it is gone. `false` when it is still there after some seconds. */
export async function killAndWait(identity: ProcessIdentity): Promise<boolean> {
  const deadline = performance.now() + GONE_AFTER_KILL_MS;
  while (isRunning(identity)) {
    if (performance.now() > deadline) {
      return false;
    }
    try {
      process.kill(identity.pid, "SIGKILL");
    } catch {
      // It ended in between, or is not ours to kill: the loop finds out which.
    }
    await sleep(POLL_MS);
  }
  return true;
}

function beganOnLinux(pid: number): string | undefined {
  const stat = readProc(`/proc/${pid}/stat`);
  if (stat === undefined) {
    return undefined;
  }
  // The second field is the command in parentheses and may itself hold blanks and parentheses (proc_pid_stat(5)).
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, startTicks] = [fields[0], fields[19]];
  if (state === "Z" || state === "X") {
    return undefined;
  }
  // Ticks count from the boot, so the boot is part of the identity.
  return `${readProc("/proc/sys/kernel/random/boot_id")?.trim()}:${startTicks}`;
}

function beganByPs(pid: number): string | undefined {
  return ps(pid, "stat")?.startsWith("Z") ? undefined : ps(pid, "lstart");
}

function ps(pid: number, column: string): string | undefined {
  try {
    const text = execFileSync("ps", ["-p", String(pid), "-o", `${column}=`], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return text.trim() || undefined;
  } catch {
    return undefined; // ps exits with 1 when there is no such process.
  }
}

function readProc(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // Gone meanwhile, or another user's.
  }
}
