/**
 * The switch for tests: what a dependency does from now on, in the isolate that answers (with `npm start` there is one). Only
 * there with the setting TEST_FAULTS, which a deployed Worker refuses.
 */
import * as z from "zod";
import { FAULT_MODES, setFault, type Dependency, type FaultMode } from "../platform/faults.ts";
import { invalidInput } from "../protocol/errors.ts";
import { fail, newRouter } from "./context.ts";

export const faults = newRouter();

const mode = z.enum(FAULT_MODES).optional();
const Faults = z.strictObject({ sql: mode, cache: mode, bus: mode });

faults.put("/testing/faults", async (c) => {
  if (!c.get("services").settings.testFaults) {
    return fail(c, { name: "NOT_FOUND" });
  }
  const wish = Faults.safeParse(await c.req.json());
  if (!wish.success) {
    return fail(c, invalidInput(wish.error.issues));
  }
  for (const [dependency, wanted] of Object.entries(wish.data) as [Dependency, FaultMode | undefined][]) {
    if (wanted !== undefined) {
      setFault(dependency, wanted);
    }
  }
  return c.json(wish.data, 200);
});
