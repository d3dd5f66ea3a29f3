/** The load process: a client of one server, in a process of its own, told by the benchmark what to do. */
import { BareDriver } from "./bare.ts";
import { OursDriver } from "./ours.ts";
import type { LoadDriver, LoadReply, LoadRequest } from "./protocol.ts";

const driver: LoadDriver = process.argv[2] === "bare" ? new BareDriver() : new OursDriver();

process.on("message", (request: LoadRequest) => {
  void answer(request).then((reply) => process.send?.(reply));
});
process.on("disconnect", () => process.exit(0));

async function answer({ id, command, where }: LoadRequest): Promise<LoadReply> {
  try {
    return { id, result: await driver.run(command, where) };
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
