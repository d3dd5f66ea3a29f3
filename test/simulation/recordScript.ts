/**
 * `npm run simulate:record` writes `recorded/script.json` and `recorded/outcome.json`: a thousand operations drawn from one
 * seed, and what the simulator makes of them. Only when the rules change: tests compare both in the simulator and in
 * workerd on every run.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { Prng } from "./prng.ts";
import { runScript, type Script, type ScriptOp } from "./script.ts";
import { SimulatedBackend } from "./scriptBackend.ts";

/** Of the script; the first ones connect devices and make conversations. */
export const OPERATIONS = 1_000;
export const SEED = 20_261_121;
const EMOJIS = ["\u{1F44D}", "\u{1F389}"];
/** After so many operations a sender may be too late to recall. */
const IN_TIME_OPS = 20;
const USERS = ["u1", "u2", "u3", "u4", "u5", "u6", "u7"];

/** `senders`: by sequence. `latest`: number of the operation that sent the newest message. */
type Room = {
  name: string;
  owner: string;
  members: Set<string>;
  head: number;
  senders: string[];
  latest: number;
  muted: Set<string>;
};
type Sent = { device: string; conversation: string; key: string; text: string };

/** Draws a script. It follows membership and sequences roughly, so that most operations make sense. */
export function drawScript(operations: number, seed: number): Script {
  const random = new Prng(seed);
  const devices: Record<string, string> = {};
  for (const user of USERS) {
    devices[`${user}-0`] = user;
  }
  devices["u1-1"] = "u1";
  devices["u4-1"] = "u4";
  const rooms: Room[] = [];
  const ops: ScriptOp[] = [];
  for (const device of Object.keys(devices)) {
    ops.push({ op: "connect", device });
  }
  const create = (name: string, kind: "direct" | "group", users: string[]): void => {
    ops.push({ op: "create", conversation: name, kind, users });
    rooms.push({
      name,
      owner: kind === "group" ? (users[0] ?? "") : "",
      members: new Set(users),
      head: 0,
      senders: [],
      latest: 0,
      muted: new Set(),
    });
  };
  create("direct-1-2", "direct", ["u1", "u2"]);
  create("direct-1-3", "direct", ["u3", "u1"]);
  create("direct-4-5", "direct", ["u4", "u5"]);
  create("group-1", "group", ["u1", "u2", "u3", "u4"]);
  create("group-2", "group", ["u5", "u4", "u6"]);
  rooms.push({ name: "world", owner: "", members: new Set(USERS), head: 0, senders: [], latest: 0, muted: new Set() });
  const sent: Sent[] = [];
  while (ops.length < operations) {
    ops.push(drawOp(random, devices, rooms, sent, ops.length));
  }
  return { devices, ops };
}

function drawOp(
  random: Prng,
  devices: Record<string, string>,
  rooms: readonly Room[],
  sent: Sent[],
  now: number,
): ScriptOp {
  const room = random.pick(rooms);
  const names = Object.keys(devices);
  const dice = random.unit();
  if (dice < 0.1 && sent.length > 0) {
    // Sent again, as a client does whose ack was lost; now and then with another text, which is a mistake.
    const earlier = random.pick(sent.slice(-30));
    return { op: "send", ...earlier, text: random.chance(0.2) ? `${earlier.text}!` : earlier.text };
  }
  if (dice < 0.18) {
    return {
      op: "read",
      device: random.pick(names),
      conversation: inGroups(random, rooms).name,
      seqId: random.int(room.head + 3),
    };
  }
  if (dice < 0.22) {
    const group = inGroups(random, rooms);
    const user = random.pick(USERS);
    const actor = random.chance(0.8) ? group.owner : random.pick(USERS);
    if (actor === group.owner || group.members.has(actor)) {
      group.members.add(user);
    }
    return { op: "add", actor, conversation: group.name, users: [user] };
  }
  if (dice < 0.25) {
    const group = inGroups(random, rooms);
    const user = random.pick([...group.members].filter((member) => member !== group.owner).concat("u7"));
    group.members.delete(user);
    return { op: "remove", actor: random.chance(0.7) ? group.owner : user, conversation: group.name, user };
  }
  if (dice < 0.3) {
    const limit = random.pick([1, 5, 20]);
    const from = random.int(room.head + 1);
    const page = random.pick([{ after: from }, { before: from }, {}]);
    return { op: "history", user: random.pick(USERS), conversation: room.name, ...page, limit };
  }
  if (dice < 0.34) {
    const other = room.name === "world" ? inGroups(random, rooms) : room;
    return { op: "view", user: random.pick(USERS), conversation: other.name };
  }
  if (dice < 0.5) {
    return drawChange(random, inGroups(random, rooms), rooms, now);
  }
  return drawSend(random, names, devices, room, sent, now);
}

/** Something about a message, or a mute. Not in the world, where the shards gather news for half a second. */
function drawChange(random: Prng, group: Room, rooms: readonly Room[], now: number): ScriptOp {
  if (random.chance(0.12)) {
    const user = random.pick([...group.members].concat("u7"));
    const actor = random.chance(0.85) ? group.owner : random.pick(USERS);
    const muted = random.chance(0.4);
    if (actor === group.owner && user !== actor && group.members.has(user)) {
      group.muted[muted ? "add" : "delete"](user);
    }
    return { op: "mute", actor, conversation: group.name, user, muted };
  }
  const room = random.chance(0.6) ? group : random.pick(rooms.filter(({ name }) => name !== "world"));
  const { name: conversation, head, senders } = room;
  const seqId = Math.max(1, head - random.int(6));
  const sender = senders[seqId] ?? "u1";
  const user = random.chance(0.75) ? sender : random.pick(USERS);
  const dice = random.unit();
  if (dice < 0.4) {
    return { op: "edit", user, conversation, seqId, text: `edited ${now}` };
  }
  if (dice < 0.6) {
    // A sender has two minutes, which an owner does not need.
    const inTime = now - room.latest < IN_TIME_OPS;
    const by = inTime ? user : room.owner === "" ? random.pick(USERS.filter((one) => one !== sender)) : room.owner;
    return { op: "recall", user: by, conversation, seqId: inTime ? Math.max(1, head) : seqId };
  }
  const wanted = random.chance(0.7);
  return { op: "react", user: random.pick(USERS), conversation, seqId, emoji: random.pick(EMOJIS), wanted };
}

function drawSend(
  random: Prng,
  names: string[],
  devices: Record<string, string>,
  room: Room,
  sent: Sent[],
  now: number,
): ScriptOp {
  const inside = names.filter((name) => room.members.has(devices[name] ?? ""));
  const device = random.chance(0.95) && inside.length > 0 ? random.pick(inside) : random.pick(names);
  const parcel = { device, conversation: room.name, key: `k${sent.length + 1}`, text: `text ${sent.length + 1}` };
  sent.push(parcel);
  const replyTo = room.head > 0 && random.chance(0.08) ? random.between(1, room.head) : undefined;
  if (inside.includes(device) && !room.muted.has(devices[device] ?? "")) {
    room.head += 1;
    room.senders[room.head] = devices[device] ?? "";
    room.latest = now;
  }
  return replyTo === undefined ? { op: "send", ...parcel } : { op: "send", ...parcel, replyTo };
}

function inGroups(random: Prng, rooms: readonly Room[]): Room {
  return random.pick(rooms.filter((room) => room.owner !== ""));
}

/** One entry a line, so that a change of the rules shows as the lines that it concerns. */
function lines(entries: readonly unknown[]): string {
  return `[\n${entries.map((entry) => JSON.stringify(entry)).join(",\n")}\n]`;
}

if (process.argv[1] === import.meta.filename) {
  const script = drawScript(OPERATIONS, SEED);
  const { ops, heard } = await runScript(script, new SimulatedBackend(1));
  const folder = new URL("./recorded/", import.meta.url);
  mkdirSync(folder, { recursive: true });
  writeFileSync(
    new URL("script.json", folder),
    `{\n"devices": ${JSON.stringify(script.devices)},\n"ops": ${lines(script.ops)}\n}\n`,
  );
  writeFileSync(
    new URL("outcome.json", folder),
    `{\n"ops": ${lines(ops)},\n"heard": ${JSON.stringify(heard, null, 1)}\n}\n`,
  );
}
