/** Where a bug can be planted. Everything is optional: the empty plant is the system as it is. */
import type { ClientCore } from "../../sdk/src/core/index.ts";
import type { RoomStore } from "../../src/domain/ports.ts";
import type { RoomCore, RoomEffect } from "../../src/domain/room.ts";
import type { ShardCore } from "../../src/domain/shard.ts";
import type { ClientFrame } from "../../src/protocol/frames.ts";
import type { DeviceNode } from "./deviceNode.ts";
import type { RoomNode } from "./roomNode.ts";
import type { Sim } from "./sim.ts";

export type Plant = {
  /** Changes the program itself; answers how to take that back. */
  install?: () => () => void;
  /** A room wakes: what it sees as its storage, and its core. */
  store?: (store: RoomStore, room: RoomNode) => RoomStore;
  core?: (core: RoomCore, room: RoomNode) => void;
  /** The effects of a step, before they are carried out. */
  effects?: (effects: RoomEffect[], room: RoomNode, core: RoomCore) => RoomEffect[];
  /** A room died; its storage has been taken back to the last commit. */
  crashed?: (room: RoomNode) => void;
  shard?: (core: ShardCore) => void;
  client?: (core: ClientCore, device: DeviceNode) => void;
  clientFrame?: (frame: ClientFrame, sim: Sim) => ClientFrame;
  answersBeforeCommit?: boolean;
  deliversBeforeCommit?: boolean;
  sqlIgnoresLogId?: boolean;
  sqlKeepsOfRecalled?: boolean;
  cacheKeepsOldForms?: boolean;
  cacheForgetsVersions?: boolean;
  unreachedCountsAsTold?: boolean;
  noEcho?: boolean;
  /** Virtual microseconds. */
  presenceBehindUs?: number;
};

export const NO_PLANT: Plant = {};
