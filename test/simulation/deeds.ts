/** What people do to messages that were sent before: drawn so that deeds meet each other, and the sends around them. */
import type { StoredMessage } from "../../src/domain/records.ts";
import type { DeviceNode } from "./deviceNode.ts";
import { alterMessage, type MessageDeed } from "./gateway.ts";
import type { Prng } from "./prng.ts";
import type { Sim } from "./sim.ts";

/** Messages that people still look at. */
const IN_SIGHT = 12;
const EMOJIS = ["\u{1F44D}", "\u{1F389}", "\u{1F440}"];

/** One deed, or several about the same message at once: their order is what races decide. */
export function alterSomething(sim: Sim, device: DeviceNode, id: string): void {
  const { random, ledger, kernel } = sim;
  const truth = ledger.truth(id);
  const rows = truth.rows.slice(-IN_SIGHT);
  if (rows.length === 0) {
    return;
  }
  const actor = device.user.actor;
  for (let left = random.pick([1, 1, 1, 2, 3]); left > 0; left--) {
    const message = chosen(random, rows, actor.userId);
    const deed = drawDeed(random, message, kernel.now);
    const delayUs = random.chance(0.7) ? 0 : random.between(1, 60_000);
    ledger.changes.wished(deed);
    kernel.after(delayUs, "deed", device.name, () => alterMessage(sim, id, actor, deed));
  }
}

/** Mostly one's own, often one that was answered: its recall concerns the answers as well. */
function chosen(random: Prng, rows: readonly StoredMessage[], userId: string): StoredMessage {
  const own = rows.filter((row) => row.senderId === userId);
  const answered = own.filter((row) => rows.some((other) => other.replyTo?.seqId === row.seqId));
  const [first] = rows;
  const from = answered.length > 0 && random.chance(0.4) ? answered : own.length > 0 && random.chance(0.8) ? own : rows;
  return random.pick(from) ?? first;
}

function drawDeed(random: Prng, { messageId, content }: StoredMessage, now: number): MessageDeed {
  const dice = random.unit();
  if (dice < 0.4) {
    return {
      kind: "edit",
      messageId,
      content: `${typeof content === "string" ? content : ""} edited at ${now} ${random.int(100)}`,
    };
  }
  return dice < 0.65
    ? { kind: "recall", messageId }
    : { kind: "react", messageId, emoji: random.pick(EMOJIS), wanted: random.chance(0.7) };
}
