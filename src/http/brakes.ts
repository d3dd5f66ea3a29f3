/**
 * Brakes against guessing and mass registration, by the client's address. They use the rate-limit binding (permissive,
 * counted per location: a brake, not a quota). Addresses come from `CF-Connecting-IP`; without that header, as in a local
 * run, there is no address limit. Exact limits of a user are in the user's object.
 */
import { err, ok, type Result } from "../protocol/errors.ts";
import { describeError, log } from "../telemetry/log.ts";

/** The bindings count by the minute, so a minute is a time that holds. */
const PERIOD_MS = 60_000;

export interface Brakes {
  /** Before an account is made. */
  registration(address: string | undefined): Promise<Result<void>>;
  /** Before a password is checked. */
  login(address: string | undefined, name: string): Promise<Result<void>>;
  /** After a wrong one. */
  failedLogin(address: string | undefined, name: string): Promise<void>;
}

/** Bindings of wrangler.toml; a deployment may leave them out and then has no brake. */
type BrakeEnv = { RL_REGISTER?: RateLimit; RL_LOGIN?: RateLimit };

/**
 * The brakes of this environment. Ten failed log-ins a minute for an address and name (WIRE "Limits"): the binding can only
 * count and compare in one step, so an attempt counts once, a failure once more, and RL_LOGIN in wrangler.toml ends at 20.
 */
export function brakesOf(env: BrakeEnv): Brakes {
  return {
    registration: (address) => take(env.RL_REGISTER, address, "register"),
    login: (address, name) => take(env.RL_LOGIN, address, nameKey(name)),
    failedLogin: async (address, name) => {
      await take(env.RL_LOGIN, address, nameKey(name));
    },
  };
}

/** Names are unique without case, so "Alice" and "ALICE" share a counter. */
function nameKey(name: string): string {
  return `login ${name.toLowerCase()}`;
}

async function take(limiter: RateLimit | undefined, address: string | undefined, what: string): Promise<Result<void>> {
  if (limiter === undefined || address === undefined) {
    return ok(undefined);
  }
  try {
    const { success } = await limiter.limit({ key: `${what} ${address}` });
    return success ? ok(undefined) : err({ name: "RATE_LIMITED", retryAfterMs: PERIOD_MS });
  } catch (error) {
    // A broken brake must not lock everybody out.
    log("warn", "the rate limit binding failed", { error: describeError(error) });
    return ok(undefined);
  }
}
