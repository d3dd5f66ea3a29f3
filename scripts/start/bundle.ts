/** The Worker as one module, built in memory the way wrangler builds it for the edge. */
import { build, stop } from "esbuild";
import { StartError } from "./errors.ts";

/** Throws a `StartError` with the compiler's messages when the source does not build. */
export async function bundleWorker(entry: string): Promise<string> {
  try {
    const result = await build({
      entryPoints: [entry],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2024",
      // What wrangler takes as well: packages that have a variant for Workers give that one.
      platform: "browser",
      conditions: ["workerd", "worker", "browser"],
      external: ["node:*", "cloudflare:*"],
      loader: { ".txt": "text", ".html": "text", ".sql": "text" },
      define: { "process.env.NODE_ENV": '"production"' },
      logLevel: "silent",
    });
    return result.outputFiles.map((file) => file.text).join("\n");
  } catch (error) {
    throw new StartError(`The Worker does not build: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await stop(); // Otherwise esbuild's service process stays as long as we do.
  }
}
