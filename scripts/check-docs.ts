/**
 * `npm run docs:links`: does every relative link of every Markdown file lead to a file, and every `#anchor` to a heading
 * of it? And does the reference name what the code has: each table on its page, each setting with the others?
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = join(import.meta.dirname, "..");
/** What is installed, built or run is not ours to check; neither are folders that begin with a dot. */
const SKIPPED = new Set(["node_modules", "dist"]);

/** Names that a page must have in backquotes, as a pattern over the source finds them. */
const MENTIONS: [page: string, source: string, name: RegExp][] = [
  ["docs/storage-schema.md", "src/objects", /CREATE TABLE (\w+)/g],
  ["docs/storage-schema.md", "src/platform/objectSchema.ts", /CREATE TABLE (\w+)/g],
  ["docs/storage-schema.md", "schema/sqlite.ts", /sqliteTable\(\s*"(\w+)"/g],
  ["docs/storage-schema.md", "src/cache/types.ts", /[`"]([a-z_]+:[a-z]*:?)/g],
  ["docs/operations.md", "src/platform/settings.ts", /^ {2}([A-Z][A-Z_]+): /gm],
  ["docs/operations.md", "scripts/start/settings.ts", /environment\["([A-Z_]+)"\]/g],
];

const anchorsOf = new Map<string, Set<string>>();
const problems = [...filesBelow(ROOT, ".md").flatMap(brokenLinks), ...MENTIONS.flatMap(missingNames)];
for (const problem of problems) {
  console.error(problem);
}
console.log(problems.length === 0 ? "links and names of the documents are good" : `${problems.length} to repair`);
process.exitCode = problems.length === 0 ? 0 : 1;

function filesBelow(path: string, ending: string): string[] {
  if (!statSync(path).isDirectory()) {
    return [path];
  }
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !entry.name.startsWith(".") && !SKIPPED.has(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(path, entry.name), ending) : [join(path, entry.name)]))
    .filter((file) => file.endsWith(ending));
}

function brokenLinks(file: string): string[] {
  const name = relative(ROOT, file);
  return linksIn(proseOf(file)).flatMap((link) => {
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : resolve(dirname(file), decodeURI(path));
    if (!target.startsWith(ROOT) || !exists(target)) {
      return [`${name}: ${link} leads nowhere`];
    }
    return anchor === undefined || headingsOf(target).has(anchor) ? [] : [`${name}: ${link} names no heading there`];
  });
}

/** Targets of `[text](target)` and of `[name]: target`, without those that have a scheme. */
function linksIn(text: string): string[] {
  const found = [...text.matchAll(/\]\(<?([^)\s>]+)/g), ...text.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)];
  return found.map((match) => match[1] ?? "").filter((link) => !/^[a-z][a-z+.-]*:/i.test(link));
}

/** A Markdown file without its code, where brackets are no links and `#` begins no heading. */
function proseOf(file: string): string {
  return readFileSync(file, "utf8")
    .replaceAll(/^ *(```|~~~).*?^ *\1/gms, "")
    .replaceAll(/`[^`\n]*`/g, (code) => code.slice(1, -1).replaceAll(/[[\]()]/g, ""));
}

/** Anchors as GitHub makes them: lower case, no punctuation, `-` for blanks, a number for the second of a name. */
function headingsOf(file: string): Set<string> {
  const before = anchorsOf.get(file);
  if (before !== undefined) {
    return before;
  }
  const anchors = new Set<string>();
  for (const [, title = ""] of proseOf(file).matchAll(/^#{1,6}\s+(.+?)\s*$/gm)) {
    const slug = title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
      .replaceAll(/\s/g, "-");
    let anchor = slug;
    for (let n = 1; anchors.has(anchor); n++) {
      anchor = `${slug}-${n}`;
    }
    anchors.add(anchor);
  }
  anchorsOf.set(file, anchors);
  return anchors;
}

function missingNames([page, source, name]: (typeof MENTIONS)[number]): string[] {
  const text = exists(join(ROOT, page)) ? readFileSync(join(ROOT, page), "utf8") : "";
  const sources = filesBelow(join(ROOT, source), ".ts").filter((file) => !file.endsWith(".test.ts"));
  const names = sources.flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(name)].map((match) => match[1] ?? ""),
  );
  return [...new Set(names)]
    .filter((one) => !text.includes(`\`${one}`))
    .map((one) => `${page}: says nothing of ${one}`);
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
