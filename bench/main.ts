/** `npm run bench`: measures this server beside the bare platform and writes docs/performance.md. */
import { writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describeMachine, fsyncCost } from "./meters.ts";
import { readOptions } from "./options.ts";
import { writePage } from "./report.ts";
import { runSuites } from "./suites.ts";
import { BareServer, OurServer } from "./targets.ts";

const ROOT = join(import.meta.dirname, "..");

// An interrupted run takes its servers along: those are ended when this process exits, and a signal alone is no exit.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(1));
}

const options = readOptions(process.argv.slice(2), join(ROOT, "docs/performance.md"));
const begun = new Date();
const machine = describeMachine(ROOT);
const fsyncBefore = fsyncCost(tmpdir());
console.log(`commit ${machine.commit}, ${machine.cores} cores, fsync P50 ${fsyncBefore.p50Ms.toFixed(2)} ms`);

const ours = await OurServer.start();
try {
  const bare = await BareServer.start();
  try {
    const results = await runSuites(options, ours, bare);
    const page = writePage({
      options,
      begun,
      machine,
      fsync: { before: fsyncBefore, after: fsyncCost(tmpdir()) },
      results,
    });
    if (options.out === undefined) {
      console.log(`\n${page}`);
    } else {
      writeFileSync(options.out, page);
      console.log(`wrote ${options.out}`);
    }
  } finally {
    await bare.dispose();
  }
} finally {
  await ours.dispose();
}
process.exit(0);
