/** Takes changed messages of a room out of the cache before their change is answered, as src/objects/HotPurge.ts. */
import { MS } from "./kernel.ts";
import { call, type Peer } from "./net.ts";
import type { Sim } from "./sim.ts";

/** A cache that hangs must not hold up a recall for longer. */
const WAIT_US = 250 * MS;

type Flight = { landed: (() => void)[] };

export class RoomPurge {
  readonly #sim: Sim;
  readonly #room: Peer;
  /** Pipelines that may still bring an old form. */
  #inAir = new Set<Flight>();

  constructor(sim: Sim, room: Peer) {
    this.#sim = sim;
    this.#room = room;
  }

  /** The room died; what is in the air is no longer known here. */
  forget(): void {
    this.#inAir = new Set();
  }

  /** A pipeline with messages has left; what is answered is called when it has landed. */
  left(): () => void {
    const flight: Flight = { landed: [] };
    const inAir = this.#inAir;
    inAir.add(flight);
    return () => {
      inAir.delete(flight);
      flight.landed.forEach((then) => then());
    };
  }

  purge(seqIds: readonly number[], done: () => void): void {
    if (seqIds.length === 0) {
      done();
      return;
    }
    const { life } = this.#room;
    let waiting = true;
    const finish = (): void => {
      if (waiting && this.#room.life === life) {
        waiting = false;
        done();
      }
    };
    const earlier = [...this.#inAir];
    this.#remove(seqIds, () => {
      // What was on its way may have landed in between: what it brought goes as well.
      const left = earlier.filter((flight) => this.#inAir.has(flight));
      if (earlier.length === 0) {
        finish();
      } else if (left.length === 0) {
        this.#remove(seqIds, finish);
      } else {
        let open = left.length;
        left.forEach((flight) =>
          flight.landed.push(() => {
            open -= 1;
            if (open === 0) {
              this.#remove(seqIds, finish);
            }
          }),
        );
      }
    });
    this.#sim.kernel.after(WAIT_US, "purge waits no longer", this.#room.name, finish, true);
  }

  #remove(seqIds: readonly number[], then: () => void): void {
    const { cache } = this.#sim;
    const { name } = this.#room;
    call<true>(
      this.#sim,
      this.#room,
      cache,
      "purge",
      (reply) => cache.purge(name, seqIds, undefined, reply),
      () => then(),
    );
  }
}
