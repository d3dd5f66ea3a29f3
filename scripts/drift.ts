/** `npm run drift`: is every generated file what its generator would make now? Says which is not, and exits with 1. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const BIN = join(ROOT, "node_modules/.bin");
const DIALECTS = ["sqlite", "mysql"];

interface Outcome {
  readonly ok: boolean;
  readonly output: string;
}

const checks: [file: string, repair: string, check: () => Outcome][] = [
  ["worker-configuration.d.ts", "npm run types:worker", () => npmRun("types:worker", "--check")],
  ["docs/", "npm run docs:generate", () => npmRun("docs:generate", "--check")],
  ...DIALECTS.map((dialect): (typeof checks)[number] => [
    `schema/migrations/${dialect}`,
    "npm run db:generate",
    () => migrationsFitTheSchema(dialect),
  ]),
];

for (const [file, repair, check] of checks) {
  const { ok, output } = check();
  console.log(ok ? `${file} is up to date` : `${file} is not up to date: ${repair}\n${output}`);
  if (!ok) {
    process.exitCode = 1;
  }
}

/** The script in package.json is the one place that has the options. */
function npmRun(script: string, ...options: string[]): Outcome {
  return outcomeOf("npm", ["run", "--silent", script, "--", ...options]);
}

/** drizzle-kit has no dry run: it generates into a copy, where it must find nothing to write. */
function migrationsFitTheSchema(dialect: string): Outcome {
  const copy = mkdtempSync(join(tmpdir(), "gochat-migrations-"));
  try {
    cpSync(join(ROOT, "schema/migrations", dialect), copy, { recursive: true });
    const before = readdirSync(copy);
    const run = outcomeOf(join(BIN, "drizzle-kit"), [
      "generate",
      `--dialect=${dialect}`,
      `--schema=./schema/${dialect}.ts`,
      `--out=${copy}`,
    ]);
    const made = readdirSync(copy).filter((name) => !before.includes(name));
    return { ok: run.ok && made.length === 0, output: run.output };
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

function outcomeOf(command: string, args: string[]): Outcome {
  const run = spawnSync(command, args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  return { ok: run.status === 0, output: `${run.stdout ?? ""}${run.stderr ?? ""}${run.error?.message ?? ""}` };
}
