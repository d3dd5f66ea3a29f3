/**
 * Breakers: one for each dependency and isolate. A dependency that fails or hangs is left alone for a while, so that users
 * get the degraded answer at once instead of after a time limit, and it gets a chance to come back.
 *
 * State is plain data of the isolate. No call ever waits for another one's promise, which may belong to a request that is gone.
 */
import {
  circuitBreaker,
  CircuitState,
  ConsecutiveBreaker,
  CountBreaker,
  handleWhen,
  type CircuitBreakerPolicy,
  type IBreaker,
} from "cockatiel";
import { systemClock } from "../platform/clock.ts";
import { disturbed, type Dependency } from "../platform/faults.ts";
import { log } from "./log.ts";

export type BreakerState = "closed" | "half-open" | "open";

/** The dependency did not answer in time, or its breaker is open and it was not asked at all. */
export class DependencyDown extends Error {
  override readonly name = "DependencyDown";
  readonly dependency: Dependency;

  constructor(dependency: Dependency, why: "no answer in time" | "breaker open") {
    super(`${dependency}: ${why}`);
    this.dependency = dependency;
  }
}

export type BreakerOptions = {
  /** A call without an answer after this time has failed. */
  readonly limitMs: number;
  /** Is this error the dependency's, or the caller's own (a violated constraint)? */
  readonly isOutage: (error: unknown) => boolean;
};

/** Opens after 5 failures in a row, which shows a dead dependency at once … */
const FAILURES_IN_A_ROW = 5;
/** … or when half of the last 20 calls failed, which shows one that answers only now and then. One odd failure changes nothing. */
const WINDOW_CALLS = 20;
const FAILED_SHARE = 0.5;
/** Then one call is let through to see whether it is back: the advice of `UNAVAILABLE` has the same time. */
export const OPEN_MS = 2_000;
/** The call that probes may belong to a request that ended without a word: after its limit and this, another one may. */
const PROBE_LOST_MS = 1_000;

/** Opens when any of several would. */
class EitherBreaker implements IBreaker {
  readonly #breakers: readonly IBreaker[];
  /** Only for breakers that are stored, which ours are not. */
  state: unknown;

  constructor(breakers: readonly IBreaker[]) {
    this.#breakers = breakers;
  }

  success(state: CircuitState): void {
    this.#breakers.forEach((breaker) => breaker.success(state));
  }

  failure(state: CircuitState): boolean {
    return this.#breakers.map((breaker) => breaker.failure(state)).some(Boolean);
  }
}

export class Breaker {
  readonly dependency: Dependency;
  readonly #options: BreakerOptions;
  #policy: CircuitBreakerPolicy;
  /** Until when the probe has to be back, epoch milliseconds. */
  #probeUntil = 0;

  constructor(dependency: Dependency, options: BreakerOptions) {
    this.dependency = dependency;
    this.#options = options;
    this.#policy = this.#newPolicy();
  }

  get state(): BreakerState {
    switch (this.#policy.state) {
      case CircuitState.Closed:
        return "closed";
      case CircuitState.HalfOpen:
        return "half-open";
      default:
        return "open";
    }
  }

  /**
   * Makes the call, if the dependency is not known to be down.
   * @param limitMs where the usual limit does not fit
   * @throws DependencyDown when it was not asked or did not answer in time; else what the call throws
   */
  async run<T>(call: () => PromiseLike<T>, limitMs: number = this.#options.limitMs): Promise<T> {
    if (this.#policy.state === CircuitState.HalfOpen) {
      if (systemClock.now() < this.#probeUntil) {
        throw new DependencyDown(this.dependency, "breaker open");
      }
      this.reset();
    }
    const mayProbe = this.#policy.state === CircuitState.Open;
    if (mayProbe) {
      this.#probeUntil = systemClock.now() + limitMs + PROBE_LOST_MS;
    }
    let asked = false;
    try {
      return await this.#policy.execute(() => {
        asked = true;
        return within(limitMs, this.dependency, disturbed(this.dependency, call));
      });
    } catch (error) {
      throw asked ? error : new DependencyDown(this.dependency, "breaker open");
    }
  }

  /** As after a start: closed, nothing remembered. */
  reset(): void {
    this.#policy = this.#newPolicy();
  }

  #newPolicy(): CircuitBreakerPolicy {
    const { isOutage } = this.#options;
    const policy = circuitBreaker(
      handleWhen((error) => error instanceof DependencyDown || isOutage(error)),
      {
        halfOpenAfter: OPEN_MS,
        breaker: new EitherBreaker([
          new ConsecutiveBreaker(FAILURES_IN_A_ROW),
          new CountBreaker({ threshold: FAILED_SHARE, size: WINDOW_CALLS }),
        ]),
      },
    );
    policy.onBreak(() => log("error", "a breaker opened", { dependency: this.dependency }));
    policy.onReset(() => log("info", "a breaker closed", { dependency: this.dependency }));
    return policy;
  }
}

/** The answer, or DependencyDown after the limit. What comes later is nobody's any more. */
export function within<T>(limitMs: number, dependency: Dependency, work: PromiseLike<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new DependencyDown(dependency, "no answer in time")), limitMs);
    work.then(
      (value) => {
        clearTimeout(late);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(late);
        reject(error);
      },
    );
  });
}

const breakers = new Map<Dependency, Breaker>();

/** The breaker of this dependency, made by the one module that wraps it. */
export function breakerFor(dependency: Dependency, options: BreakerOptions): Breaker {
  const breaker = new Breaker(dependency, options);
  breakers.set(dependency, breaker);
  return breaker;
}

/** State of each breaker of this isolate. */
export function breakerStates(): { dependency: Dependency; state: BreakerState }[] {
  return [...breakers.values()].map(({ dependency, state }) => ({ dependency, state }));
}

/** All as after a start; for tests, which share an isolate. */
export function resetBreakers(): void {
  breakers.forEach((breaker) => breaker.reset());
}
