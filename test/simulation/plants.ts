/** Bugs to be planted: see the list below. */
import type { ClientCore } from "../../sdk/src/core/index.ts";
import type { RoomStore } from "../../src/domain/ports.ts";
import type { RoomCore, RoomEffect } from "../../src/domain/room.ts";
import type { ShardCore } from "../../src/domain/shard.ts";
import type { DeviceNode } from "./deviceNode.ts";
import type { RoomNode } from "./roomNode.ts";

/** Where a bug can be planted. Everything is optional: the empty plant is the system as it is. */
export type Plant = {
  store?: (store: RoomStore, room: RoomNode) => RoomStore;
  core?: (core: RoomCore, room: RoomNode) => void;
  effects?: (effects: RoomEffect[], room: RoomNode) => RoomEffect[];
  shard?: (core: ShardCore) => void;
  client?: (core: ClientCore, device: DeviceNode) => void;
  noOutputGate?: boolean;
  sqlIgnoresLogId?: boolean;
};

export const NO_PLANT: Plant = {};
export const PLANTS = {};
