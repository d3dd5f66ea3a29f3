/** The same server on the embedded engines, and on Kafka, MariaDB and Redis behind a bridge. */
import { freePort } from "../../scripts/services/freePort.ts";
import { missingForServices, startServices } from "../../scripts/services/index.ts";
import { ServerEngines } from "../../test/services/support/engines.ts";
import { OurServer } from "../targets.ts";

/** `topic`: sends go onto the bus first (`UPSTREAM`). */
export const SETUPS = ["embedded", "engines", "engines, topic"] as const;
export type SetupName = (typeof SETUPS)[number];

export { missingForServices as missingForEngines };

/** A server of this kind for as long as `work` takes, and where it needs them, a Kafka, a MariaDB and a Redis of its own. */
export async function withServer(name: SetupName, work: (server: OurServer) => Promise<void>): Promise<void> {
  if (name === "embedded") {
    await serve({}, undefined, work);
    return;
  }
  const services = await startServices(console.log);
  try {
    // Where the bridge looks for them.
    Object.assign(process.env, services.env);
    const engines = await ServerEngines.make(await freePort());
    try {
      const UPSTREAM = name === "engines, topic" ? "topic" : "direct";
      await serve({ ...engines.env, UPSTREAM }, engines.port, work);
    } finally {
      await engines.dispose();
    }
  } finally {
    await services.dispose();
  }
}

async function serve(
  settings: Readonly<Record<string, string>>,
  port: number | undefined,
  work: (server: OurServer) => Promise<void>,
): Promise<void> {
  const server = await OurServer.start(settings, port);
  try {
    await work(server);
  } finally {
    await server.dispose();
  }
}
