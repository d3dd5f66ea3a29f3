/** What SQL and the cache have in common: an answer after their own time, none while they are down. */
import type { Peer, Reply } from "./net.ts";
import type { Sim } from "./sim.ts";

/** Runs an operation of a backing service after its own time; refuses while the service is down. */
export function serve<T>(
  sim: Sim,
  peer: Peer,
  down: "sqlDown" | "cacheDown",
  us: number,
  work: () => T,
  reply: Reply<T>,
): void {
  sim.kernel.after(us, "serve", peer.name, () => {
    if (sim.isDown(down)) {
      reply("failed");
    } else {
      reply(work());
    }
  });
}
