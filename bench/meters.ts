/** Reads what the machine says about itself: memory and processor time of processes, cost of an fsync, versions. */
import { execFileSync } from "node:child_process";
import { closeSync, fsyncSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";

const KIB = 1024;
const GIB = KIB ** 3;
/** Linux counts processor time in ticks of 10 ms (USER_HZ, proc_pid_stat(5)) on every platform that Node runs on. */
const TICK_S = 0.01;
const FSYNC_SAMPLES = 300;
/** One page of SQLite. */
const FSYNC_BYTES = 4 * KIB;

/** Resident memory of a process, in bytes. */
export function residentBytes(pid: number): number {
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Number(kib) * KIB;
}

/** Processor time of a process since it began, user and system, in seconds. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_S;
}

/** Processor time of everything that runs on the machine since it booted, in seconds. */
export function machineCpuSeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = (
    readFileSync("/proc/stat", "utf8").split("\n")[0] ?? ""
  )
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) * TICK_S;
}

export interface FsyncCost {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** What it costs to have one page on disk in this folder: every durable acknowledgement waits for at least one. */
export function fsyncCost(folder: string): FsyncCost {
  const path = join(folder, "fsync.probe");
  const file = openSync(path, "w");
  const page = Buffer.alloc(FSYNC_BYTES, 1);
  const tookMs: number[] = [];
  for (let i = 0; i < FSYNC_SAMPLES; i++) {
    const begun = performance.now();
    writeSync(file, page);
    fsyncSync(file);
    tookMs.push(performance.now() - begun);
  }
  closeSync(file);
  rmSync(path);
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.floor(FSYNC_SAMPLES * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

export interface Machine {
  readonly cores: number;
  readonly processor: string;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly node: string;
  readonly workerd: string;
  readonly miniflare: string;
  readonly ws: string;
  /** Short hash; with "+" when the work tree has changes that are not committed. */
  readonly commit: string;
}

export function describeMachine(root: string): Machine {
  const require = createRequire(join(root, "package.json"));
  const requireOfMiniflare = createRequire(require.resolve("miniflare"));
  const [processor] = cpus();
  return {
    cores: cpus().length,
    processor: processor?.model ?? "unknown",
    memoryGib: totalmem() / GIB,
    kernel: release(),
    node: process.versions.node,
    workerd: versionOf(requireOfMiniflare, "workerd"),
    miniflare: versionOf(require, "miniflare"),
    ws: versionOf(require, "ws"),
    commit: `${git(root, "rev-parse", "--short", "HEAD")}${git(root, "status", "--porcelain", "--", "src", "sdk/src") === "" ? "" : "+"}`,
  };
}

function versionOf(require: NodeJS.Require, name: string): string {
  const manifest: unknown = require(`${name}/package.json`);
  return manifest instanceof Object && "version" in manifest ? String(manifest.version) : "unknown";
}

function git(root: string, ...command: string[]): string {
  try {
    return execFileSync("git", command, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown"; // A tree without its history.
  }
}
