import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "vitest";
import { freePort } from "../support/server.ts";

const ROOT = join(import.meta.dirname, "../..");
const READY_LIMIT_MS = 40_000;

it("npm run dev serves the same Worker through wrangler dev, offline, and ends at SIGTERM", async ({ expect }) => {
  const data = mkdtempSync(join(tmpdir(), "gochat-dev-"));
  const port = await freePort();
  const dev = spawn(process.execPath, [join(ROOT, "scripts/dev.ts")], {
    cwd: ROOT,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PORT: String(port), GOCHAT_DATA: data },
  });
  let output = "";
  dev.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  dev.stderr.setEncoding("utf8").on("data", (text: string) => (output += text));
  try {
    const health = () => fetch(`http://127.0.0.1:${port}/health`).then((answer) => answer.status, String);
    await expect.poll(health, { timeout: READY_LIMIT_MS, message: "the dev server answers" }).toBe(200);
    expect(output).not.toMatch(/ENOTFOUND|Missing required secrets|Unexpected fields/);
    const ended = once(dev, "exit");
    dev.kill("SIGTERM");
    await ended;
    await expect.poll(health).not.toBe(200);
  } finally {
    try {
      process.kill(-(dev.pid ?? 0), "SIGKILL");
    } catch {
      // Everybody is gone, as it should be.
    }
    rmSync(data, { recursive: true, force: true, maxRetries: 5 });
  }
});
