/** The command line of the benchmark. */
import { parseArgs } from "node:util";
import { type Plan, quickPlan, wholePlan } from "./plan.ts";

export const SUITES = ["direct", "pairs", "groups", "world", "memory", "flows", "persist", "engines"] as const;
export type Suite = (typeof SUITES)[number];

export interface Options {
  readonly suites: readonly Suite[];
  readonly plan: Plan;
  /** The plan is the small one: no figure of it counts. */
  readonly quick: boolean;
  /** File to write the page to; `undefined`: to standard output. */
  readonly out: string | undefined;
}

const HELP = `npm run bench -- [options]
  --only ${SUITES.join(",")}  some of the workloads
  --quick       one short repetition of each with few users; writes nothing
  --reps N      repetitions of each workload, default 3
  --out FILE    where the page goes; default docs/performance.md for a full run, else standard output`;

const REPETITIONS = 3;

/** Reads the command line. Ends the process with the help text when it is wrong or asked for. */
export function readOptions(args: string[], page: string): Options {
  try {
    const { values } = parseArgs({
      args,
      options: {
        only: { type: "string" },
        quick: { type: "boolean", default: false },
        reps: { type: "string" },
        out: { type: "string" },
        help: { type: "boolean", default: false },
      },
    });
    if (values.help) {
      return explain(0);
    }
    const suites = values.only === undefined ? SUITES : values.only.split(",").map(suiteOf);
    const repetitions = Number(values.reps ?? (values.quick ? 1 : REPETITIONS));
    if (!Number.isInteger(repetitions) || repetitions < 1) {
      throw new Error("--reps must be a whole number from 1");
    }
    const whole = suites.length === SUITES.length && !values.quick && repetitions >= REPETITIONS;
    const plan = values.quick ? quickPlan(repetitions) : wholePlan(repetitions);
    return { suites, plan, quick: values.quick, out: values.out ?? (whole ? page : undefined) };
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return explain(1);
  }
}

function explain(exitCode: number): never {
  console.log(HELP);
  process.exit(exitCode);
}

function suiteOf(name: string): Suite {
  const suite = SUITES.find((one) => one === name);
  if (suite === undefined) {
    throw new Error(`there is no workload "${name}"`);
  }
  return suite;
}
