/** Why an address cannot be listened on, for whoever has set it. */

/** A sentence with what to do; `undefined` when it was something else. */
export function whyNotListening(error: unknown, { host, port }: { host: string; port: number }): string | undefined {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "EADDRINUSE":
      return `Port ${port} on ${host} is in use by another program: end that one, or set BRIDGE_PORT to another.`;
    case "EACCES":
      return `Port ${port} on ${host} may not be opened by this user: set BRIDGE_PORT to one above 1023.`;
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return `BRIDGE_HOST is ${host}, which is no address of this machine.`;
    default:
      return undefined;
  }
}
