/**
 * A user's coming and going, as src/objects/SessionPresence.ts: the lease in the cache and the
 * registration with the world's shard, each written by one chain, again until it succeeds.
 */
import { GHOST_AFTER_MS } from "../../src/domain/presence.ts";
import { HEAD_LAG_MS } from "../../src/domain/roomDelivery.ts";
import { MS } from "./kernel.ts";
import { call, type Peer } from "./net.ts";
import type { Sim } from "./sim.ts";
import type { Wire } from "./wire.ts";

const SLOW_CONSUMER = 4019;
/** What could not be written is written again after this time. */
const REWRITE_MS = 1_000;

export type PresencePorts = {
  peer: Peer;
  /** Open sockets. */
  wires(): ReadonlySet<Wire>;
  /** Tells sockets that rooms and shard know of them: their clients ask for what they missed. */
  greet(wires: readonly Wire[]): void;
  /** Everything in the world up to here was sent before. */
  worldHead(seqId: number): void;
};

export class UserPresence {
  readonly #sim: Sim;
  readonly #ports: PresencePorts;
  /** How often somebody has come to whom nobody was here; a row, so it only grows. */
  #arrivals = 0;
  /** An alarm is a row as well. */
  #renewalArmed = false;
  /** Rooms and shard know that we are here. */
  #known = false;
  /** Nothing of an earlier life is known. */
  #fresh = true;
  #trustCacheAt = 0;
  #lease = new Writer();
  #world = new Writer();

  constructor(sim: Sim, ports: PresencePorts) {
    this.#sim = sim;
    this.#ports = ports;
  }

  /**
   * From when on the cache's heads are at least as new as what an earlier life delivered, virtual microseconds. A new life
   * does not know what that was; rooms deliver again when their cache pipeline takes longer than the same time.
   */
  get trustCacheAt(): number {
    return this.#trustCacheAt;
  }

  get fresh(): boolean {
    return this.#fresh;
  }

  /** A socket is open; `first`: there was none before. */
  arrive(wire: Wire, first: boolean): void {
    this.#arrivals += first ? 1 : 0;
    if (!first && this.#known) {
      this.#ports.greet([wire]);
      return;
    }
    this.#armRenewal();
    let left = 2;
    const ready = (): void => {
      left -= 1;
      if (left === 0) {
        this.#known = true;
        this.#ports.greet([wire]);
      }
    };
    const { presenceBehindUs } = this.#sim.plant;
    if (presenceBehindUs === undefined) {
      this.writeLease(ready);
    } else {
      this.#sim.kernel.after(presenceBehindUs, "presence, at leisure", this.#ports.peer.name, () => this.writeLease());
      ready();
    }
    this.#followWorld(ready);
  }

  /** The last socket is gone. */
  depart(): void {
    this.#known = false;
    this.writeLease();
    this.#followWorld();
  }

  /** The memory is gone; rows and the alarm stay. */
  lose(): void {
    this.#known = false;
    this.#fresh = true;
    this.#trustCacheAt = 0;
    this.#lease = new Writer();
    this.#world = new Writer();
  }

  /** One after the other; what is written is what is true when the write leaves. */
  writeLease(done: () => void = nothing): void {
    const { cache, kernel } = this.#sim;
    const { peer } = this.#ports;
    this.#lease.write(done, (finished) => {
      const present = this.#present;
      const arrival = this.#arrivals;
      call<boolean>(
        this.#sim,
        peer,
        cache,
        "presence",
        (reply) => cache.setOnline(peer.name, arrival, present, reply),
        (before) => {
          if (this.#fresh && before !== false) {
            this.#trustCacheAt = kernel.now + HEAD_LAG_MS * MS;
          }
          this.#fresh = false;
          if (before === "failed" && this.#present) {
            this.later(() => this.writeLease(() => this.#ports.greet([...this.#ports.wires()])));
          }
          finished();
        },
      );
    });
  }

  #followWorld(done: () => void = nothing): void {
    const { peer } = this.#ports;
    const shard = this.#sim.shardOf(peer.name);
    this.#world.write(done, (finished) => {
      const wanted = this.#present;
      call<number>(
        this.#sim,
        peer,
        shard,
        "follow",
        (reply) => {
          if (wanted) {
            shard.register(peer.name, reply);
          } else {
            shard.unregister(peer.name, reply);
          }
        },
        (sentSeqId) => {
          if (sentSeqId !== "failed" && wanted) {
            this.#ports.worldHead(sentSeqId);
          } else if (wanted) {
            this.later(() => this.#followWorld(() => this.#ports.greet([...this.#ports.wires()])));
          }
          finished();
        },
      );
    });
  }

  /** In a while, if this life goes on. */
  later(again: () => void): void {
    const { peer } = this.#ports;
    const { life } = peer;
    peer.busy += 1;
    this.#sim.kernel.after(REWRITE_MS * MS, "write again", peer.name, () => {
      if (peer.life === life) {
        peer.busy -= 1;
        again();
      }
    });
  }

  get #present(): boolean {
    return this.#ports.wires().size > 0;
  }

  #armRenewal(): void {
    if (this.#renewalArmed) {
      return;
    }
    this.#renewalArmed = true;
    const renew = (): void => {
      this.#renewalArmed = false;
      this.#sweepGhosts();
      if (this.#present) {
        this.#armRenewal();
        this.writeLease();
        this.#followWorld();
      } else {
        this.depart();
      }
    };
    this.#sim.kernel.after(this.#sim.lease.renewUs, "renewal", this.#ports.peer.name, renew, true);
  }

  #sweepGhosts(): void {
    for (const wire of this.#ports.wires()) {
      if (this.#sim.kernel.now - wire.lastPingAt > GHOST_AFTER_MS * MS) {
        wire.closeFromUser(SLOW_CONSUMER);
      }
    }
  }
}

function nothing(): void {}

/** Writes of one thing, one after the other; the last one tells the present truth. */
class Writer {
  #running = false;
  #waiting: (() => void)[] = [];

  write(done: () => void, start: (finished: () => void) => void): void {
    if (this.#running) {
      this.#waiting.push(() => this.write(done, start));
      return;
    }
    this.#running = true;
    start(() => {
      this.#running = false;
      done();
      this.#waiting.shift()?.();
    });
  }
}
