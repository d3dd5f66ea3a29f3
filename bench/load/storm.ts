/** Workload: many users connect at the same time, so many at once, until each has heard the server's first word. */
import { Latencies, type Latency, type Load, LoadMeter } from "./measures.ts";
import { inPool } from "./pool.ts";

export interface StormResult {
  readonly kind: "storm";
  readonly sockets: number;
  readonly atOnce: number;
  readonly failed: number;
  readonly totalMs: number;
  readonly perSocket: Latency;
  readonly load: Load;
}

export async function measureStorm(
  opens: readonly (() => Promise<unknown>)[],
  atOnce: number,
  serverPid: number,
): Promise<StormResult> {
  const perSocket = new Latencies();
  const meter = new LoadMeter(serverPid);
  const begun = performance.now();
  let failed = 0;
  await inPool(opens, atOnce, async (open) => {
    const openedAt = performance.now();
    try {
      await open();
      perSocket.record(performance.now() - openedAt);
    } catch (error) {
      failed += 1;
      console.error(`not connected: ${error instanceof Error ? error.message : String(error)}`);
    }
  });
  const totalMs = performance.now() - begun;
  return {
    kind: "storm",
    sockets: opens.length,
    atOnce,
    failed,
    totalMs,
    perSocket: perSocket.summary(),
    load: meter.read(),
  };
}
