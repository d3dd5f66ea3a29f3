/** Where the servers are that `npm run test:services` has started. */
import { once } from "node:events";
import { connect } from "node:net";

export type ServiceVariable = "KAFKA_BROKERS" | "MYSQL_URL" | "REDIS_URL";

/** @throws Error when the tests were not started by `npm run test:services` */
export function serviceUrl(name: ServiceVariable): string {
  const value = process.env[name];
  if (value === undefined || value === "") {
    throw new Error(`${name} is not set: these tests run with \`npm run test:services\`, which starts the servers`);
  }
  return value;
}

export function serviceAddress(name: ServiceVariable): { host: string; port: number } {
  const text = serviceUrl(name);
  const url = new URL(text.includes("://") ? text : `tcp://${text}`);
  return { host: url.hostname, port: Number(url.port) };
}

/** The first bytes that a server answers. */
export async function firstAnswer({ host, port }: { host: string; port: number }, ask: Buffer): Promise<Buffer> {
  const socket = connect(port, host);
  try {
    await once(socket, "connect");
    socket.write(ask);
    const [bytes] = await once(socket, "data");
    return bytes instanceof Buffer ? bytes : Buffer.alloc(0);
  } finally {
    socket.destroy();
  }
}
