/**
 * The only place where adapters read the wall clock; the core in src/domain gets `now` as a parameter.
 * On deployed Workers the clock stands still between I/O: it tells when something happened, never how long CPU took.
 */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
}

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
};
