/** A script of this repository as its npm script runs it, until it ends by itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

const SCRIPTS = join(import.meta.dirname, "../../../scripts");

export interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * @param script below scripts/
 * @param env all that it gets besides PATH: settings of whoever runs the tests are none of its
 */
export async function runScript(
  script: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", join(SCRIPTS, script), ...args], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [stdout, stderr, [status]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number | null]>,
  ]);
  return { status, stdout, stderr };
}

/** It ended with 1, and told why on the error output: this one line, and nothing else. */
export function refusal(line: string): Ended {
  return { status: 1, stdout: "", stderr: `${line}\n` };
}
