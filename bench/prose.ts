/** The parts of the page that no run changes. */
import { BODY_BYTES } from "./load/lines.ts";
import { PARTITIONS } from "./persist/bus.ts";
import { PEERS } from "./peers.ts";
import { type Plan, STORM_AT_ONCE, WORLD_SENDERS } from "./plan.ts";
import { number, table } from "./table.ts";

/** The peers' figures, and what they may be compared with. */
export function peers(): string {
  const rows = PEERS.map((peer) => [
    `${peer.name} (${peer.version})`,
    peer.ack,
    peer.ackP50Ms,
    peer.ackP99Ms,
    peer.pairsPerSecond,
    peer.groups["50/1"],
    peer.groups["50/8"],
    peer.groups["500/1"],
    peer.groups["500/8"],
    peer.world,
    peer.stormS,
    peer.memoryKib,
  ]);
  const head = [
    "",
    "ack",
    "direct ack P50, ms",
    "P99, ms",
    "50 pairs, acks/s",
    "group of 50, 1 in flight, deliveries/s",
    "50, 8",
    "500, 1",
    "500, 8",
    "4,000 readers: largest msg/s with P99 < 1 s",
    "storm of 2,000, s",
    "KiB a connection at 4,000",
  ];
  return `Not measured in this run, but on another day on a machine of the same size: 2 cores, 24 GiB, server and load client on the same cores, messages of ${BODY_BYTES} bytes, \`ws\` without
permessage-deflate, no TLS. Read them for the order of magnitude: an fsync took 0.004–0.35 ms there, which may be faster than on the disk of this run (its cost is above), and a
durable acknowledgement waits for one. partyserver stands for what the platform gives when one object holds a room and all its sockets.

${table(head, rows)}

Centrifugo keeps messages in memory only and writes several into one frame when they queue up; WuKongIM has every delivery acknowledged by its receiver. The peers have no object a
user, which is what our memory a connection and our deliveries with one send in flight pay for.`;
}

/** How each figure comes about. */
export function meaning(plan: Plan): string {
  return `- **Server**: \`npm start\` as a child process on an empty state folder. The limits of a user (sends, requests) are lifted and tokens live for a day, because the benchmark's users do in
  seconds what real ones do in hours; nothing else is changed. **Client**: one process of its own, \`ws\` without permessage-deflate. Accounts, friendships, groups and the sockets of direct
  messages and groups are the SDK's; the workloads take messages and acknowledgements from the SDK's socket before the SDK's client sees them. The thousands of sockets of the world room and of
  idle users are opened without a client around them. All readers of a round get the same bytes, so a frame is read as JSON once and recognised by its bytes after that; the same for the baseline.
- **Direct**: two users, one message at a time, from the send to \`message-ack\` with status \`sent\`: the message is on disk and has its place. The bare object inserts the text as one row
  and answers over its socket, the least that a durable answer costs here. **${plan.pairs} pairs**: as many conversations with one message in flight each; the baseline has as many objects.
- **Groups**: one member sends. A message is delivered when the last of the others has it, and then the next leaves in its place. Deliveries/s are those messages times their readers. The baseline
  is one object that holds all sockets and passes frames on: it stores nothing, acknowledges nothing, and knows no user with several devices.
- **The bare shape**: [bench/baseline/shape.ts](../bench/baseline/shape.ts), in the same process as the other bare objects. A user's sends go to the room one flight at a time, the room's
  messages to its members in rounds, as in ours; what the figures of ours lack to it is the price of everything that makes a chat.
- **World room**: ${number(plan.guests)} guests with two room sockets (\`/ws/rooms/{id}\`) each read; ${WORLD_SENDERS} others send in turn, at a fixed rate. Latency runs from the moment at which a message was *due*,
  whatever held it up, to its arrival, for every single delivery. Complete: every reader got every message. A shard sends one frame in 100 ms, which is part of the latency. The bare object
  broadcasts each message by itself.
- **Idle sockets**: ${number(plan.guests)} guests, signed in and connected, who say nothing for ${plan.idleMs / 1_000} s, so that their objects hibernate; the growth of workerd's resident memory, divided by the sockets, on a process that
  was started for it. The bare socket's object has a database as well, which it does not use.
- **Connect storm**: the same guests, from the first upgrade to the last \`connected\`, ${STORM_AT_ONCE} at a time: token checked, device looked up, presence written. The SDK's sync after it is not part of it. The bare sockets come to objects that exist as well, which read and write nothing.
- **Into SQL**: groups of two, with what their members have sent and nobody has written to SQL yet, since the benchmark is the bus (\`BUS=kafka\`) and holds it. The span is from the moment at which it lets
  go, over the consumer, SQL and the rooms' confirmations, until every room knows that its log is in SQL; then the rows are counted there. Pushes are as the bridge's own: ${PARTITIONS} partitions, one push in flight for each.
  MariaDB is a real one, started for this, its transactions written at each commit but not synced (\`innodb_flush_log_at_trx_commit=2\`). The bridge and MariaDB share the two cores with everything else.
- **On Kafka, MariaDB and Redis**: "direct" as above; and ${number(plan.hotSenders)} guests who send into the world room, which none of them reads, each with one message in flight until it is \`sent\`. Kafka, MariaDB,
  Redis and the bridge share the two cores with the server and the client.
- Everything runs on one machine without TLS. None of it says how fast Cloudflare's network is.`;
}
