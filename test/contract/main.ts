/**
 * `npm run test:contract`: schemathesis asks `npm start` everything that `/openapi.json` describes, and much that it does not allow. No
 * answer may be a 5xx, and each has a status, a type and a body that the document names. Twice: as a user, and with the
 * admin key. It needs Python 3.10 or newer with pip; where there is none, it says so and counts as skipped.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { startServer } from "../support/server.ts";
import { ADMIN_KEY, makeScene, type Scene } from "./scene.ts";

const HERE = import.meta.dirname;
const REQUIREMENTS = join(HERE, "requirements.txt");
const HOOKS = join(HERE, "hooks.py");
/** Not under version control, and gone with the other packages. */
const CACHE = join(HERE, "../../node_modules/.cache/gochat-contract");

const { values: options } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    /** Cases of an operation, beside those that its schema's borders make. */
    examples: { type: "string", default: "5" },
    /** Only operations whose path fits this expression. */
    include: { type: "string" },
  },
});

/** Rates are other tests' business; here they would make every answer a 429. */
const SETTINGS = {
  GOCHAT_ADMIN_KEY: ADMIN_KEY,
  ...Object.fromEntries(
    ["SENDS", "WORLD_SENDS", "REQUESTS"].flatMap((name) => [
      [`LIMIT_${name}_PER_SECOND`, "1000000"],
      [`LIMIT_${name}_BURST`, "1000000"],
    ]),
  ),
  LIMIT_DEVICES_PER_KIND: "1000",
};

/**
 * Not among them: whether whatever fits the document is taken (a cursor of nobody's list fits it), and whether undeclared methods of
 * a path answer 405 (`/friends/requests` fits `/friends/{userId}`); tests of our own know the cases.
 */
const CHECKS = [
  "not_a_server_error",
  "status_code_conformance",
  "content_type_conformance",
  "response_headers_conformance",
  "response_schema_conformance",
  "negative_data_rejection",
  "allow_header_conformance",
];

interface Who {
  readonly name: string;
  readonly asker: { token: string } | { key: string };
  readonly paths: string;
  /** So many operations have to succeed at least once: a run in which nobody is let in would find nothing wrong. */
  readonly least: number;
}

const python = venvPython();
if (typeof python !== "string") {
  console.log(`skipped: ${python.missing}`);
  console.log("0 passed, 0 failed, 1 skipped");
} else {
  const server = await startServer({ env: SETTINGS });
  try {
    const { scene, token } = await makeScene(server);
    const askers: Who[] = [
      { name: "a user", asker: { token }, paths: ".", least: 35 },
      { name: "the admin key", asker: { key: ADMIN_KEY }, paths: "/admin/|^/metrics|^/health", least: 10 },
    ];
    let failed = 0;
    for (const who of askers) {
      console.log(`\n=== as ${who.name}`);
      failed += (await runSchemathesis(python, server.url, who, scene)) === 0 ? 0 : 1;
    }
    console.log(`${askers.length - failed} passed, ${failed} failed`);
    process.exitCode = failed === 0 ? 0 : 1;
  } finally {
    await server.dispose();
  }
}

async function runSchemathesis(interpreter: string, url: string, who: Who, scene: Scene): Promise<number | null> {
  const folder = mkdtempSync(join(tmpdir(), "gochat-contract-"));
  const args = [
    "-m",
    "schemathesis.cli",
    "run",
    `${url}/openapi.json`,
    `--include-path-regex=${options.include ?? who.paths}`,
    `--checks=${CHECKS.join(",")}`,
    "--phases=examples,coverage,fuzzing",
    `--max-examples=${options.examples}`,
    `--seed=${options.seed}`,
    "--generation-database=none",
    // Who asks is a matter of hooks.py, and who may is one of the table of rights.
    "--generation-with-security-parameters=false",
    "--request-timeout=30",
    "--no-shrink",
    "--no-color",
    "--warnings=off",
  ];
  const env = {
    ...process.env,
    SCHEMATHESIS_HOOKS: HOOKS,
    GOCHAT_CONTRACT_SCENE: JSON.stringify({ ...scene, asker: who.asker }),
  };
  const child = spawn(interpreter, args, { cwd: folder, env, stdio: ["ignore", "inherit", "inherit"] });
  const [code] = await once(child, "exit");
  const counted = join(folder, "succeeded");
  const succeeded = existsSync(counted) ? Number(readFileSync(counted, "utf8")) : 0;
  rmSync(folder, { recursive: true, force: true });
  if (options.include === undefined && succeeded < who.least) {
    console.log(`FAILED: only ${succeeded} operations succeeded at least once, and not ${who.least}`);
    return 1;
  }
  return typeof code === "number" ? code : null;
}

/** The interpreter that has schemathesis, installed at first use; or what is missing. */
function venvPython(): string | { missing: string } {
  const version = createHash("sha256").update(readFileSync(REQUIREMENTS)).digest("hex").slice(0, 16);
  const folder = join(CACHE, version);
  const interpreter = join(folder, "bin/python");
  const done = join(folder, "installed");
  if (existsSync(done)) {
    return interpreter;
  }
  const check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";
  if (spawnSync("python3", ["-c", check], { stdio: "ignore" }).status !== 0) {
    return { missing: "Python 3.10 or newer with venv and pip is not installed here." };
  }
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement", REQUIREMENTS];
  for (const [command, args] of [
    ["python3", ["-m", "venv", folder]],
    [interpreter, install],
  ] as const) {
    const { status, stderr } = spawnSync(command, args, { encoding: "utf8" });
    if (status !== 0) {
      return { missing: `schemathesis could not be installed: ${(stderr ?? "").trim().split("\n").at(-1)}` };
    }
  }
  writeFileSync(done, "");
  return interpreter;
}
