/** The simulated world: its nodes, its faults, and what they share. */
import type { CoreOptions } from "../../sdk/src/core/index.ts";
import { ROOM_LIMITS, type RoomLimits } from "../../src/domain/roomContext.ts";
import { shardNumber } from "../../src/domain/sharding.ts";
import { SEND_LANE, type SendLimits } from "../../src/domain/sendDesk.ts";
import { BusNode, CacheNode, SqlNode } from "./backing.ts";
import { Consumers } from "./consumers.ts";
import { DeviceNode } from "./deviceNode.ts";
import { calmPlan, noFaults, type Chances, type FaultCounts, type FaultPlan } from "./faults.ts";
import { Kernel } from "./kernel.ts";
import { Ledger } from "./ledger.ts";
import { Peer } from "./net.ts";
import { NO_PLANT, type Plant } from "./plants.ts";
import type { Prng } from "./prng.ts";
import { RoomNode } from "./roomNode.ts";
import { ShardNode } from "./shardNode.ts";
import { UserNode } from "./userNode.ts";

export type Outage = "sqlDown" | "busDown" | "cacheDown";

/** Source: WIRE "Limits". */
const SENDS = { perSecond: 20, burst: 40 };
const WORLD_SENDS = { perSecond: 1, burst: 5 };
const WORLD_SHARDS = 2;

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
  clientOptions: Partial<CoreOptions> = {};
  /** Faults begin when this is replaced by the seed's plan. */
  plan: FaultPlan = calmPlan();
  begun = false;
  healed = false;
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
    if (probability === 0 || this.healed || this.random.unit() >= probability) {
      return false;
    }
    this.hits[name] += 1;
    return true;
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
    this.#cutUntil.clear();
    for (const what of Object.keys(this.#downUntil) as Outage[]) {
      this.#downUntil[what] = 0;
    }
  }
}
