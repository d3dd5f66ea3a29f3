/** One seed: people, faults, healing, comparison. */
import { conclude } from "./ending.ts";
import { noFaults, type FaultCounts } from "./faults.ts";
import { Violation } from "./kernel.ts";
import { NO_PLANT, type Plant } from "./plants.ts";
import { Sim } from "./sim.ts";
import { Workload } from "./workload.ts";

export type SeedResult = {
  seed: number;
  /** Sends that were asked for; fewer were made when the run broke off. */
  wanted: number;
  sends: number;
  acks: number;
  refused: number;
  events: number;
  /** Virtual seconds. */
  seconds: number;
  trace: string;
  hits: FaultCounts;
  failure?: { oracle: string; detail: string; event: number; history: string[] };
};

/** More than any seed needs; a run that passes it goes round in circles. */
const EVENTS_PER_SEND = 3_000;

export type RunOptions = { plant?: Plant; verbose?: boolean; listener?: (line: string) => void };

export function runSeed(seed: number, sends: number, options: RunOptions = {}): SeedResult {
  const plant = options.plant ?? NO_PLANT;
  const uproot = plant.install?.();
  const sim = new Sim(seed, plant);
  const { kernel } = sim;
  const workload = new Workload(sim, sends);
  let failure: SeedResult["failure"];
  try {
    kernel.verbose = options.verbose === true;
    kernel.listener = options.listener;
    workload.setUp();
    while (kernel.foreground > 0) {
      kernel.step();
    }
    workload.begin();
    while (!workload.done) {
      kernel.step();
      if (kernel.events > 100_000 + sends * EVENTS_PER_SEND) {
        throw new Violation("the system gets on", `${kernel.events} events for ${sends} sends`);
      }
    }
    const end = kernel.now + workload.aftermathUs;
    while (kernel.now < end) {
      kernel.step();
    }
    conclude(sim);
  } catch (error) {
    const known = error instanceof Violation;
    failure = {
      oracle: known ? error.oracle : "the core does not throw",
      detail: known ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error),
      event: kernel.events,
      history: kernel.history(),
    };
  }
  uproot?.();
  return {
    seed,
    wanted: sends,
    sends: sim.ledger.submissions.size,
    acks: sim.ledger.acks,
    refused: sim.ledger.failures,
    events: kernel.events,
    seconds: kernel.now / 1_000_000,
    trace: kernel.trace,
    hits: { ...noFaults(), ...sim.hits },
    ...(failure === undefined ? {} : { failure }),
  };
}
