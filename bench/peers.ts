/**
 * Other chat servers, measured side by side on another day with the same client library and workloads, on a machine of
 * the same size (2 cores, 24 GiB, server and client on the same cores, messages of 200 bytes, no TLS, no
 * permessage-deflate). Not part of a run: these are the medians of that series, written down.
 */
export interface Peer {
  readonly name: string;
  readonly version: string;
  /** What its acknowledgement promises. */
  readonly ack: string;
  readonly ackP50Ms: string;
  readonly ackP99Ms: string;
  readonly pairsPerSecond: string;
  /** Deliveries a second by size of the group and sends in flight. */
  readonly groups: {
    readonly "50/1": string;
    readonly "50/8": string;
    readonly "500/1": string;
    readonly "500/8": string;
  };
  /** Largest rate of 5, 10, 20, 30 messages a second to 4,000 readers with P99 below one second. */
  readonly world: string;
  readonly stormS: string;
  /** Resident KiB a connection at 4,000 connections. */
  readonly memoryKib: string;
}

/** Source: the project's own comparison of 2026-11-21. `~`: fewer than two quiet repetitions. */
export const PEERS: readonly Peer[] = [
  {
    name: "Tinode",
    version: "0.25.3, MariaDB 10.11, flush at commit",
    ack: "durable",
    ackP50Ms: "0.75",
    ackP99Ms: "1.60",
    pairsPerSecond: "3,467",
    groups: { "50/1": "44,925", "50/8": "47,205", "500/1": "92,400", "500/8": "113,491" },
    world: "10 (20 is the border)",
    stormS: "0.95",
    memoryKib: "35.3",
  },
  {
    name: "WuKongIM",
    version: "2.2.5, JSON-RPC",
    ack: "durable",
    ackP50Ms: "0.21",
    ackP99Ms: "0.70",
    pairsPerSecond: "7,429",
    groups: { "50/1": "39,078", "50/8": "81,945", "500/1": "35,662", "500/8": "89,355" },
    world: "5 (10 is the border)",
    stormS: "0.47",
    memoryKib: "8.34",
  },
  {
    name: "Centrifugo",
    version: "6.9.1, memory engine",
    ack: "in memory only",
    ackP50Ms: "0.05",
    ackP99Ms: "0.54",
    pairsPerSecond: "44,544",
    groups: { "50/1": "~123,322", "50/8": "384,951", "500/1": "124,772", "500/8": "403,913" },
    world: "20 (30: 1.1 s, the client's limit)",
    stormS: "0.71",
    memoryKib: "40.2",
  },
  {
    name: "partyserver + SQLite",
    version: "0.5.10, one object holds room and sockets",
    ack: "durable",
    ackP50Ms: "0.14",
    ackP99Ms: "0.73",
    pairsPerSecond: "7,491",
    groups: { "50/1": "68,966", "50/8": "54,676", "500/1": "57,062", "500/8": "59,239" },
    world: "10",
    stormS: "1.24",
    memoryKib: "128",
  },
];
