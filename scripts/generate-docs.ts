/**
 * Makes docs/asyncapi.yaml and docs/errors.md from the schemas and tables of src/protocol/. With `--check` nothing is
 * written: what would be is compared with what is there, and a difference ends with exit code 1.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { asyncApiYaml } from "./generate-docs/asyncapi.ts";
import { errorsPage } from "./generate-docs/errorsPage.ts";

/** Stands in the first line of every file made here; runs without anything built. */
const COMMAND = "node scripts/generate-docs.ts";

const root = fileURLToPath(new URL("..", import.meta.url));

const files = [
  { path: `${root}docs/asyncapi.yaml`, text: asyncApiYaml(COMMAND) },
  { path: `${root}docs/errors.md`, text: errorsPage(COMMAND) },
];

async function present(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch {
    // Not there yet, or not readable: either way it has to be made.
    return undefined;
  }
}

const check = process.argv.includes("--check");
for (const { path, text } of files) {
  const name = relative(root, path);
  if ((await present(path)) === text) {
    continue;
  }
  if (check) {
    console.error(`${name} does not fit src/protocol/. Repair: ${COMMAND}`);
    process.exitCode = 1;
  } else {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
    console.log(`wrote ${name}`);
  }
}
