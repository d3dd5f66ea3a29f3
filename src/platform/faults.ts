/**
 * Faults made on purpose: what each dependency of this isolate is to do with the next calls. For tests of what users see
 * then; the setting TEST_FAULTS lets a test reach it over HTTP, and only `npm start` accepts that setting.
 */
export const DEPENDENCIES = ["sql", "cache", "bus"] as const;
export type Dependency = (typeof DEPENDENCIES)[number];

/** `fail`: refuses at once. `hang`: never answers. `slow`: answers after `SLOW_MS`. */
export const FAULT_MODES = ["ok", "fail", "hang", "slow"] as const;
export type FaultMode = (typeof FAULT_MODES)[number];

/** Long enough to be seen beside a call that takes a few milliseconds, short of every time limit. */
export const SLOW_MS = 400;

let modes: Record<Dependency, FaultMode> | undefined;

/** From now on this dependency does so; `ok` ends it. */
export function setFault(dependency: Dependency, mode: FaultMode): void {
  modes = { ...(modes ?? { sql: "ok", cache: "ok", bus: "ok" }), [dependency]: mode };
  if (DEPENDENCIES.every((one) => modes?.[one] === "ok")) {
    modes = undefined;
  }
}

/** The call, or what it would be like with the fault that is set. Without faults it costs one comparison. */
export function disturbed<T>(dependency: Dependency, call: () => PromiseLike<T>): PromiseLike<T> {
  switch (modes?.[dependency]) {
    case "fail":
      // The platform's own words, so that everybody takes it for what it stands for.
      return Promise.reject(new Error(`Network connection lost: ${dependency}, on purpose`));
    case "hang":
      return new Promise(() => {});
    case "slow":
      return new Promise((resolve) => setTimeout(resolve, SLOW_MS)).then(call);
    default:
      return call();
  }
}
