import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");

const IMPURE: Record<string, { source: string; rule: string }> = {
  platform: { source: 'export { env } from "cloudflare:workers";\n', rule: "eslint(no-restricted-imports)" },
  clock: { source: "export const now = (): number => Date.now();\n", rule: "eslint(no-restricted-globals)" },
  date: { source: "export const then = new Date(0);\n", rule: "eslint(no-restricted-globals)" },
  chance: { source: "export const dice = (): number => Math.random();\n", rule: "eslint(no-restricted-properties)" },
  timeout: { source: "setTimeout(() => {}, 1);\n", rule: "eslint(no-restricted-globals)" },
  interval: { source: "setInterval(() => {}, 1);\n", rule: "eslint(no-restricted-globals)" },
  promise: {
    source: "export const wait = (): unknown => Promise.resolve(1);\n",
    rule: "eslint(no-restricted-globals)",
  },
  async: { source: "export async function f(): unknown {}\n", rule: "gochat(core-is-pure)" },
  asyncArrow: { source: "export const f = async (): unknown => 1;\n", rule: "gochat(core-is-pure)" },
  promiseType: { source: "export type Later = Promise<number>;\n", rule: "gochat(core-is-pure)" },
};

const STUB = 'export const room = (env: Env): unknown => env.ROOMS.getByName("a");\n';
const DISABLED = (reason: string) => `// oxlint-disable-next-line no-var${reason}\nexport var a = 1;\n`;

/** All files of all tests, since one run of oxlint over many costs as much as one over a single file. */
const FILES: Record<string, string> = {
  "src/domain/pure.ts": "export const next = (last: number): number => last + 1;\n",
  "src/domain/impure.test.ts": "export const now = Date.now();\n",
  ...Object.fromEntries(Object.entries(IMPURE).map(([name, { source }]) => [`src/domain/${name}.ts`, source])),
  ...Object.fromEntries(Object.entries(IMPURE).map(([name, { source }]) => [`sdk/src/core/${name}.ts`, source])),
  "src/http/rooms.ts": STUB,
  "src/platform/stubs.ts": STUB,
  "src/protocol/named.ts": 'import { z } from "zod";\nexport const text = z.string();\n',
  "src/protocol/whole.ts": 'import * as z from "zod";\nexport const text = z.string();\n',
  "src/http/bare.ts": DISABLED(""),
  "src/http/reasoned.ts": DISABLED(" -- shown to the test"),
};

const broken = lint(FILES);

describe("lint rules of this repository", () => {
  it("accept a pure core, and tests of it that read the clock", ({ expect }) => {
    expect(broken.get("src/domain/pure.ts")).toBeUndefined();
    expect(broken.get("src/domain/impure.test.ts")).toBeUndefined();
  });

  for (const [name, { rule }] of Object.entries(IMPURE)) {
    it(`refuse in src/domain and in the client's core: ${name}`, ({ expect }) => {
      expect(broken.get(`src/domain/${name}.ts`)).toContain(rule);
      expect(broken.get(`sdk/src/core/${name}.ts`)).toContain(rule);
    });
  }

  it("refuse a stub that is not made in src/platform/stubs.ts", ({ expect }) => {
    expect(broken.get("src/http/rooms.ts")).toContain("eslint(no-restricted-properties)");
    expect(broken.get("src/platform/stubs.ts")).toBeUndefined();
  });

  it("refuse zod by its named export", ({ expect }) => {
    expect(broken.get("src/protocol/named.ts")).toContain("gochat(zod-namespace)");
    expect(broken.get("src/protocol/whole.ts")).toBeUndefined();
  });

  it("refuse to switch a rule off without a reason", ({ expect }) => {
    expect(broken.get("src/http/bare.ts")).toContain("gochat(disable-needs-reason)");
    expect(broken.get("src/http/reasoned.ts")).toBeUndefined();
  });
});

/** The rules that each file breaks. The rules match paths, so the files lie in a folder with our configuration. */
function lint(files: Record<string, string>): Map<string, string[]> {
  const folder = mkdtempSync(join(tmpdir(), "gochat-lint-"));
  const config = {
    extends: [join(ROOT, ".oxlintrc.jsonc")],
    jsPlugins: [join(ROOT, "scripts/lint/plugin.ts")],
  };
  try {
    for (const [path, content] of Object.entries({ ...files, ".oxlintrc.json": JSON.stringify(config) })) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    const run = spawnSync(join(ROOT, "node_modules/.bin/oxlint"), ["--format=json"], { cwd: folder, encoding: "utf8" });
    const report: { diagnostics: { code: string; filename: string }[] } = JSON.parse(run.stdout);
    const rules = new Map<string, string[]>();
    for (const { filename, code } of report.diagnostics) {
      rules.set(filename, [...(rules.get(filename) ?? []), code]);
    }
    return rules;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
