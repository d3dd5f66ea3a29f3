/**
 * What moving to Kafka, MySQL and Redis costs a sender, and what `UPSTREAM=topic` gives one room that very many send into. The
 * embedded engines are measured in the same run.
 */
import type { AckResult } from "../load/acks.ts";
import type { LoadCommand, LoadResult } from "../load/protocol.ts";
import { Loader } from "../loader.ts";
import type { Plan } from "../plan.ts";
import type { Series } from "../series.ts";
import { type OurServer, quiet } from "../targets.ts";
import { missingForEngines, SETUPS, type SetupName, withServer } from "./setups.ts";

/** The workload's name in the series. */
export function workloadOf(setup: SetupName, what: "direct" | "hot"): string {
  return `${what} on ${setup}`;
}

/** Adds the repetitions to `series`; what cannot be measured here goes to `failures`. */
export async function measureEngines(plan: Plan, series: Series<AckResult>, failures: string[]): Promise<void> {
  const missing = missingForEngines();
  if (missing !== undefined) {
    failures.push(`engines: ${missing.split("\n")[0]}`);
    return;
  }
  for (const name of SETUPS) {
    await withServer(name, (server) => measureOne(name, server, plan, series));
  }
}

async function measureOne(name: SetupName, server: OurServer, plan: Plan, series: Series<AckResult>): Promise<void> {
  const { conversations: span, hotSenders, repetitions } = plan;
  const loader = new Loader(server);
  const run = async (command: LoadCommand): Promise<LoadResult> => {
    await quiet(server);
    return await loader.run(command);
  };
  try {
    await run({ do: "prepare", members: 2, pairs: 1, groups: [] });
    await run({ do: "guests", count: hotSenders });
    const commands = {
      direct: { do: "direct", span },
      hot: { do: "hot", senders: hotSenders, span },
    } as const;
    // Kafka and the others count as other work here, so no repetition can be told to be undisturbed.
    for (let turn = 1; turn <= repetitions; turn++) {
      for (const what of ["direct", "hot"] as const) {
        const result = await run(commands[what]);
        if (result.kind === "acks") {
          series.add(workloadOf(name, what), "ours", result);
          console.log(`[${turn}] ${workloadOf(name, what)}: ${headline(result)}`);
        }
      }
    }
  } finally {
    loader.stop();
  }
}

function headline({ acksPerSecond, ack, sent, acked, refused, load }: AckResult): string {
  const cores = [load.server, load.client, load.others].map((value) => value.toFixed(2)).join(", ");
  return `${acksPerSecond.toFixed(0)} acks/s, P50 ${ack.p50Ms.toFixed(2)} ms, P99 ${ack.p99Ms.toFixed(2)} ms; sent ${sent}, acked ${acked}, refused ${refused} [cores: server, client, others ${cores}]`;
}
