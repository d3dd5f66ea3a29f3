/** What people do, and what goes wrong meanwhile: drawn from the seed, different in each. */
import type { SendData } from "../../src/protocol/things.ts";
import { DIRECT, GROUP, WORLD_ROOM_ID } from "../../src/domain/records.ts";
import { ROOM_LIMITS } from "../../src/domain/roomContext.ts";
import { SEND_LANE } from "../../src/domain/sendDesk.ts";
import type { DeviceNode } from "./deviceNode.ts";
import { drawPlan, outageUs, type Intervals } from "./faults.ts";
import { alterSomething } from "./deeds.ts";
import { add, alter, create, remove } from "./gateway.ts";
import { MS, SECOND } from "./kernel.ts";
import type { Sim } from "./sim.ts";

/** Mean pause between two doings of a device. */
const THINK_US = 600 * MS;
/** Mean time between two changes of members, and for how long people stay away. */
const MEMBER_CHANGE_US = 900 * MS;
const AWAY_US = 4 * SECOND;
const STORM_EVERY_US = 2 * SECOND;
/** Share of seeds with a group above the real limit of direct delivery; it costs as much as it has members. */
const HUGE_CHANCE = 0.01;

/** Share of conversations in which people stop talking early: a lost message shows where no later one leads to it. */
const QUIET_CHANCE = 0.5;

type Group = { id: string; owner: string; pool: string[] };

export class Workload {
  readonly #sim: Sim;
  readonly #wanted: number;
  readonly #groups: Group[] = [];
  /** Number of the send after which nobody talks in a conversation any more. */
  readonly #quietAfter = new Map<string, number>();
  #userIds: string[] = [];
  #conversations = 0;
  #sent = 0;

  /** @param sends how many messages people send before they rest. */
  constructor(sim: Sim, sends: number) {
    this.#sim = sim;
    this.#wanted = sends;
  }

  get done(): boolean {
    return this.#sent >= this.#wanted;
  }

  /** People, their devices and conversations; nothing goes wrong yet. */
  setUp(): void {
    const sim = this.#sim;
    const { random } = sim;
    const people = random.between(3, 14);
    this.#userIds = Array.from({ length: people }, (_, n) => `u${String(n).padStart(2, "0")}`);
    this.#drawLimits();
    for (const userId of this.#userIds) {
      const devices = random.pick([1, 1, 1, 1, 2, 3]);
      for (let n = 0; n < devices; n++) {
        sim.addDevice(userId, `${userId}-${n}`);
      }
    }
    for (let n = 0; n < people; n++) {
      const [a, b] = random.shuffled(this.#userIds);
      if (a !== undefined && b !== undefined) {
        this.#createDirect(a, b);
      }
    }
    for (let n = random.between(2, 6); n > 0; n--) {
      this.#createGroup(random.pick([3, 4, 5, 7, 9, people]), []);
    }
    if (random.chance(HUGE_CHANCE)) {
      const extras = Array.from({ length: ROOM_LIMITS.directDelivery }, (_, n) => `x${String(n).padStart(3, "0")}`);
      sim.limits = { ...sim.limits, directDelivery: ROOM_LIMITS.directDelivery };
      this.#createGroup(people, extras);
    }
  }

  /** People begin to live, and things to go wrong. */
  begin(): void {
    const sim = this.#sim;
    sim.begun = true;
    sim.plan = drawPlan(sim.random);
    for (const device of sim.devices) {
      device.connect();
      this.#think(device);
    }
    this.#changeMembersSoon();
    this.#stormSoon();
    for (const name of Object.keys(sim.plan.intervals) as (keyof Intervals)[]) {
      this.#strikeSoon(name);
    }
  }

  #drawLimits(): void {
    const { random } = this.#sim;
    this.#sim.limits = {
      // Most groups are small here: a small limit lets them cross it, in both directions.
      ...ROOM_LIMITS,
      directDelivery: random.pick([5, 8, ROOM_LIMITS.directDelivery]),
      // Longer than any outage, so that every resend comes within the window.
      dedupeWindowMs: random.pick([150_000, ROOM_LIMITS.dedupeWindowMs]),
      hotMessages: random.pick([3, 20, ROOM_LIMITS.hotMessages]),
    };
    this.#sim.lease = random.pick([
      { ttlUs: 5 * SECOND, renewUs: 2 * SECOND },
      { ttlUs: 15 * SECOND, renewUs: 6 * SECOND },
      this.#sim.lease,
    ]);
    this.#sim.maxAttempts = random.pick([2, 3, 6]);
    const generous = { perSecond: 50, burst: 100 };
    const real = { perSecond: 20, burst: 40 };
    this.#sim.sendLimits = {
      sends: random.pick([generous, real, { perSecond: 5, burst: 5 }]),
      world: random.pick([generous, real, { perSecond: 1, burst: 5 }]),
      lane: random.pick([SEND_LANE, { flight: 3, waiting: 8 }]),
    };
  }

  #createDirect(a: string, b: string): void {
    const [first, second] = a < b ? [a, b] : [b, a];
    create(this.#sim, `single_${first}_${second}`, { type: DIRECT, memberIds: [first, second] });
  }

  #createGroup(size: number, extras: readonly string[]): void {
    const pool = this.#sim.random.shuffled(this.#userIds);
    const owner = pool[0] ?? "";
    const id = `group_${String(++this.#conversations).padStart(2, "0")}`;
    const memberIds = [...pool.slice(0, size), ...extras];
    create(this.#sim, id, { type: GROUP, name: id, memberIds, maxMembers: 10_000 });
    this.#groups.push({ id, owner, pool });
  }

  // ---- people

  #think(device: DeviceNode): void {
    const { kernel, random } = this.#sim;
    kernel.after(random.around(THINK_US), "person", device.name, () => {
      if (!this.done) {
        this.#act(device);
        this.#think(device);
      }
    });
  }

  #act(device: DeviceNode): void {
    const { random, kernel } = this.#sim;
    const dice = random.unit();
    if (dice < 0.04) {
      if (device.core.state === "idle") {
        device.connect();
      } else {
        device.disconnect();
        kernel.after(random.around(AWAY_US), "comes back", device.name, () => device.connect());
      }
      return;
    }
    const id = this.#choose(device);
    if (id === undefined) {
      return;
    }
    if (dice < 0.09) {
      const cursor = device.core.cursor(id) ?? 0;
      if (cursor > 0 && id !== WORLD_ROOM_ID) {
        if (random.chance(0.03)) {
          // A client that is wrong: past the head.
          device.say({ type: "mark-read", data: { conversationId: id, seqId: cursor + 3 } });
        } else {
          device.markRead(id, random.between(1, cursor));
        }
      }
      return;
    }
    if (dice < 0.15) {
      alterSomething(this.#sim, device, id);
      return;
    }
    if (this.#isQuiet(id)) {
      return;
    }
    for (let left = random.pick([1, 1, 1, 2, 3, 6]); left > 0 && !this.done; left--) {
      this.#send(device, id);
    }
  }

  /** Never in the first group, so that somebody talks to the end. */
  #isQuiet(id: string): boolean {
    const { random } = this.#sim;
    let after = this.#quietAfter.get(id);
    if (after === undefined) {
      const early = id !== this.#groups[0]?.id && random.chance(QUIET_CHANCE);
      after = early ? random.between(this.#sent, this.#wanted) : this.#wanted;
      this.#quietAfter.set(id, after);
    }
    return this.#sent >= after;
  }

  /** Mostly where one is a member; now and then where one no longer is, or not yet. */
  #choose(device: DeviceNode): string | undefined {
    const { random } = this.#sim;
    const known = Object.keys(device.core.cursors());
    if (random.chance(0.12) || known.length === 0) {
      return WORLD_ROOM_ID;
    }
    if (random.chance(0.01) && this.#groups.length > 0) {
      return random.pick(this.#groups).id;
    }
    return random.pick(known);
  }

  #send(device: DeviceNode, conversationId: string): void {
    const { random, kernel, ledger } = this.#sim;
    this.#sent += 1;
    const data: SendData = {
      clientMsgId: `${device.name}-${this.#sent}`,
      conversationId,
      messageType: "text",
      content: `message ${this.#sent}`,
    };
    if (random.chance(0.06)) {
      const rows = ledger.truth(conversationId).rows;
      const quoted = rows.length > 0 ? random.pick(rows.slice(-20)) : undefined;
      if (quoted !== undefined) {
        data.replyTo = quoted.messageId;
      }
    } else if (random.chance(0.01)) {
      data.mentions = [random.pick(this.#userIds)];
    }
    const row = { data, createdAt: kernel.ms };
    ledger.submitted(device, row);
    device.send(row);
  }

  #changeMembersSoon(): void {
    const { kernel, random } = this.#sim;
    kernel.after(random.around(MEMBER_CHANGE_US), "admin", "admin", () => {
      if (!this.done) {
        this.#changeMembers();
        this.#changeMembersSoon();
      }
    });
  }

  #changeMembers(): void {
    const { random, ledger, kernel } = this.#sim;
    if (random.chance(0.03) && this.#groups.length < 12) {
      this.#createGroup(random.between(2, this.#userIds.length), []);
      return;
    }
    const group = random.pick(this.#groups);
    const actor = { userId: group.owner, isGuest: false, isAdmin: false };
    const others = group.pool.filter((userId) => userId !== group.owner);
    const members = ledger.truth(group.id).members;
    const userId = random.pick(others);
    const inside = members.get(userId)?.leftAt === undefined && members.has(userId);
    if (inside && random.chance(0.25)) {
      const mutedUntil = random.chance(0.2) ? null : kernel.ms + random.between(100, 4_000);
      alter(this.#sim, group.id, actor, userId, { mutedUntil });
    } else if (inside && random.chance(0.7)) {
      remove(this.#sim, group.id, actor, userId);
    } else {
      add(this.#sim, group.id, actor, [userId, random.pick(others)]);
    }
  }

  // ---- faults

  #stormSoon(): void {
    const { kernel, random } = this.#sim;
    kernel.after(random.around(STORM_EVERY_US), "storm", "chaos", () => {
      if (!this.#sim.healed) {
        this.#sim.stormUntil = kernel.now + random.between(5 * MS, 400 * MS);
        this.#stormSoon();
      }
    });
  }

  /** How long faults go on after the last send: its end must be met by them as well. */
  get aftermathUs(): number {
    return this.#sim.random.between(0, 6 * SECOND);
  }

  #strikeSoon(name: keyof Intervals): void {
    const sim = this.#sim;
    const mean = sim.plan.intervals[name];
    if (mean !== Infinity) {
      sim.kernel.after(sim.random.around(mean), name, "chaos", () => {
        if (!sim.healed) {
          this.#strike(name);
          this.#strikeSoon(name);
        }
      });
    }
  }

  #strike(name: keyof Intervals): void {
    const sim = this.#sim;
    const { random, hits } = sim;
    switch (name) {
      case "partition":
        return sim.cutOff(random.pick(sim.devices), outageUs(random));
      case "processKill":
        return sim.kill();
      case "roomEviction": {
        for (const room of random.shuffled([...sim.rooms.values()])) {
          if (room.evict()) {
            hits.roomEviction += 1;
            return;
          }
        }
        return;
      }
      case "sessionHibernation": {
        for (const userId of random.shuffled(this.#userIds)) {
          if (sim.user(userId).hibernate()) {
            hits.sessionHibernation += 1;
            return;
          }
        }
        return;
      }
      case "sqlDown":
      case "busDown":
      case "cacheDown":
        return sim.takeDown(name, outageUs(random));
      case "cacheEmptied":
        hits.cacheEmptied += 1;
        sim.cache.empty();
    }
  }
}
