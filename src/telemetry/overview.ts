/** What all isolates together say: how consumers fare, and the worst that any of them knows of a dependency. */
import { metricsOf, type ObjectEnv } from "../platform/stubs.ts";
import type { TopicName } from "../protocol/events.ts";
import { DEPENDENCIES, type Dependency } from "../platform/faults.ts";
import type { BreakerState } from "./breaker.ts";
import { labelled, type Samples } from "./meters.ts";
import { BREAKER_STATE, consumed, consumeFailures } from "./metrics.ts";
import { report } from "./report.ts";

/** Totals since the first start, and how things stand; of this isolate up to now, the others' are up to ten seconds old. */
export type Overview = { totals: Samples; gauges: Samples; isolates: number };

export async function overview(env: ObjectEnv): Promise<Overview> {
  await report(env);
  return metricsOf(env).read();
}

/** Messages of a topic that consumers have answered: acknowledged ones, and ones that they wanted again. */
export function consumedIn({ totals }: Overview, topic: TopicName): { handled: number; failed: number } {
  return {
    handled: totals[labelled(consumed.name, { topic })] ?? 0,
    failed: totals[labelled(consumeFailures.name, { topic })] ?? 0,
  };
}

/** From the worst. */
const STATES: readonly BreakerState[] = ["open", "half-open", "closed"];

/** The worst state of each breaker in any isolate; without those that no isolate has. */
export function breakersIn({ gauges }: Overview): Partial<Record<Dependency, BreakerState>> {
  return Object.fromEntries(
    DEPENDENCIES.flatMap((dependency) => {
      const state = STATES.find((one) => (gauges[labelled(BREAKER_STATE, { dependency, state: one })] ?? 0) > 0);
      return state === undefined ? [] : [[dependency, state]];
    }),
  );
}
