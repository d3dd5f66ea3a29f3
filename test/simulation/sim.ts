/** The simulated world: its nodes, its faults, and what they share. */
import type { CoreOptions } from "../../sdk/src/core/index.ts";
import { ROOM_LIMITS, type RoomLimits } from "../../src/domain/roomContext.ts";
import { shardNumber } from "../../src/domain/sharding.ts";
import { SEND_LANE, type SendLimits } from "../../src/domain/sendDesk.ts";
import type { ServerFrame } from "../../src/protocol/frames.ts";
import { BusNode } from "./busNode.ts";
import { CacheNode } from "./cacheNode.ts";
import { Consumers } from "./consumers.ts";
import { DeviceNode } from "./deviceNode.ts";
import { calmPlan, noFaults, type Chances, type FaultCounts, type FaultPlan } from "./faults.ts";
import { PRESENCE_RENEW_MS, PRESENCE_TTL_MS } from "../../src/domain/presence.ts";
import { Kernel, MS } from "./kernel.ts";
import { Ledger } from "./ledger.ts";
import { Peer } from "./net.ts";
import { NO_PLANT, type Plant } from "./plants.ts";
import type { Prng } from "./prng.ts";
import { RoomNode } from "./roomNode.ts";
import { ShardNode } from "./shardNode.ts";
import { SqlNode } from "./sqlNode.ts";
import { UserNode } from "./userNode.ts";

export type Outage = "sqlDown" | "busDown" | "cacheDown";

/** Source: WIRE "Limits". */
const SENDS = { perSecond: 20, burst: 40 };
const WORLD_SENDS = { perSecond: 1, burst: 5 };
const WORLD_SHARDS = 2;
/** Factors on the chance of every fault, in a storm and between storms. */
const STORM = 12;
const CALM = 0.6;
const REAL_LEASE = { ttlUs: PRESENCE_TTL_MS * MS, renewUs: PRESENCE_RENEW_MS * MS };

export class Sim {
  readonly kernel: Kernel;
  readonly random: Prng;
  readonly hits: FaultCounts = noFaults();
  readonly plant: Plant;
  readonly ledger: Ledger;
  readonly sql: SqlNode;
  readonly cache: CacheNode;
  readonly bus: BusNode;
  readonly consumers: Consumers;
  /** The Worker: REST, stateless. */
  readonly gateway = new Peer("gateway");
  readonly rooms = new Map<string, RoomNode>();
  readonly users = new Map<string, UserNode>();
  readonly devices: DeviceNode[] = [];
  readonly shards: ShardNode[] = [];
  limits: RoomLimits = ROOM_LIMITS;
  sendLimits: SendLimits = { sends: SENDS, world: WORLD_SENDS, lane: SEND_LANE };
  /** Devices keep more messages than a seed has: what they hold of each is compared at the end. */
  clientOptions: Partial<CoreOptions> = { keepMessages: 1_000 };
  /** Life of a presence lease, and when it is renewed. */
  lease = REAL_LEASE;
  /** Deliveries of a queue message before it is given up. */
  maxAttempts = 6;
  /** Faults begin when this is replaced by the seed's plan. */
  plan: FaultPlan = calmPlan();
  /** Hears every frame that reaches a device. */
  onFrame: ((device: DeviceNode, frame: ServerFrame) => void) | undefined;
  begun = false;
  healed = false;
  /** Troubles come in company: until then (virtual microseconds) everything is likelier to fail. */
  stormUntil = 0;
  readonly #downUntil: Record<Outage, number> = { sqlDown: 0, busDown: 0, cacheDown: 0 };
  readonly #met: Record<Outage, boolean> = { sqlDown: true, busDown: true, cacheDown: true };
  /** Devices cut off from the network, until when (virtual microseconds). */
  readonly #cutUntil = new Map<DeviceNode, number>();

  constructor(seed: number, plant: Plant = NO_PLANT) {
    this.kernel = new Kernel(seed);
    this.random = this.kernel.random;
    this.plant = plant;
    this.ledger = new Ledger(this);
    this.sql = new SqlNode(this);
    this.cache = new CacheNode(this);
    this.bus = new BusNode(this);
    this.consumers = new Consumers(this);
    for (let n = 0; n < WORLD_SHARDS; n++) {
      this.shards.push(new ShardNode(this, `shard-${n}`));
    }
  }

  room(id: string): RoomNode {
    let room = this.rooms.get(id);
    if (room === undefined) {
      room = new RoomNode(this, id);
      this.rooms.set(id, room);
    }
    return room;
  }

  user(userId: string): UserNode {
    let user = this.users.get(userId);
    if (user === undefined) {
      user = new UserNode(this, userId);
      this.users.set(userId, user);
    }
    return user;
  }

  shardOf(userId: string): ShardNode {
    const shard = this.shards[shardNumber(userId, this.shards.length)];
    if (shard === undefined) {
      throw new Error("no shards");
    }
    return shard;
  }

  addDevice(userId: string, name: string): DeviceNode {
    const device = new DeviceNode(this, name, this.user(userId));
    this.devices.push(device);
    return device;
  }

  // ---- faults

  /** Chance decides whether this fault strikes here; counted when it does. */
  hit(name: keyof Chances): boolean {
    const probability = this.plan.chances[name];
    if (probability === 0 || this.healed) {
      return false;
    }
    const factor = this.kernel.now < this.stormUntil ? STORM : CALM;
    if (this.random.unit() >= probability * factor) {
      return false;
    }
    this.hits[name] += 1;
    return true;
  }

  /** The object may die in the middle of what it has just begun: mostly within milliseconds. */
  mayDie(name: "roomCrash" | "sessionCrash" | "shardCrash", peer: Peer, crash: () => void): void {
    if (this.hit(name)) {
      const us = this.random.chance(0.5) ? this.random.between(1, 3 * MS) : this.random.between(1, 300) * MS;
      this.kernel.after(us, name, peer.name, crash);
    }
  }

  /** True during an outage, which counts once somebody has met it. */
  isDown(what: Outage): boolean {
    if (this.kernel.now >= this.#downUntil[what]) {
      return false;
    }
    if (!this.#met[what]) {
      this.#met[what] = true;
      this.hits[what] += 1;
    }
    return true;
  }

  takeDown(what: Outage, us: number): void {
    this.#downUntil[what] = Math.max(this.#downUntil[what], this.kernel.now + us);
    this.#met[what] = false;
  }

  isCutOff(device: DeviceNode): boolean {
    return (this.#cutUntil.get(device) ?? 0) > this.kernel.now;
  }

  cutOff(device: DeviceNode, us: number): void {
    this.#cutUntil.set(device, this.kernel.now + us);
    device.cut();
    this.hits.partition += 1;
  }

  /** Everything dies at once; what is on disk stays. */
  kill(): void {
    this.hits.processKill += 1;
    this.bus.lose();
    this.consumers.forget();
    this.gateway.forget();
    for (const room of this.rooms.values()) {
      room.crash();
    }
    for (const user of this.users.values()) {
      user.crash();
    }
    for (const shard of this.shards) {
      shard.crash();
    }
    if (this.random.chance(0.5)) {
      // The embedded cache lives in the same process; a Redis does not.
      this.cache.empty();
    }
    this.cache.forget();
    this.sql.forget();
  }

  /** All faults end. What they have broken is left to the system. */
  heal(): void {
    this.healed = true;
    // A pulse that is meant to be slow would keep the system from coming to rest.
    this.lease = REAL_LEASE;
    this.#cutUntil.clear();
    for (const what of Object.keys(this.#downUntil) as Outage[]) {
      this.#downUntil[what] = 0;
    }
  }
}
