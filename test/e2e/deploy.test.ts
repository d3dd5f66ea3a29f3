import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
/** Scripts of 10 MB are refused on older plans; ours is far from it, and loads within the second that Workers have. */
const SCRIPT_LIMIT_BYTES = 3_000_000;

it("could be deployed: the bundle builds and wrangler.toml holds nothing that wrangler does not know", ({ expect }) => {
  const outDir = mkdtempSync(join(tmpdir(), "gochat-deploy-"));
  try {
    const wrangler = join(ROOT, "node_modules/wrangler/bin/wrangler.js");
    const run = spawnSync(process.execPath, [wrangler, "deploy", "--dry-run", "--outdir", outDir], {
      cwd: ROOT,
      encoding: "utf8",
      env: { ...process.env, WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" },
    });
    const output = run.stdout + run.stderr;
    expect(run.status, output).toBe(0);
    // An unknown key is only a warning for wrangler, and then silently without effect.
    expect(output).not.toContain("Unexpected fields");
    expect(output).not.toMatch(/warning/i);
    for (const binding of ["ROOMS", "SESSIONS", "SHARDS", "CACHE_STORE", "DB", "FILES", "Q_PERSIST"]) {
      expect(output).toContain(`env.${binding}`);
    }
    expect(statSync(join(outDir, "worker.js")).size).toBeLessThan(SCRIPT_LIMIT_BYTES);
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
});
