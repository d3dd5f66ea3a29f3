/**
 * One script, two interpreters: the simulator and workerd must give the same acknowledgements, the same sequences and
 * the same frames, each reader's in the same order. Ids differ between them, so people and conversations are numbers
 * here, and message ids are left out. The larger script of test/simulation/recorded compares more, without the order.
 */
import { Prng } from "../../simulation/prng.ts";

export const SCRIPT_PEOPLE = 8;
const OPERATIONS = 1_000;
const SEED = 1_000_000_007;
/** World sends of one person: the burst that the rate limit allows (WIRE "Limits"), so that time plays no part. */
const WORLD_SENDS = 4;

export type ScriptConversation =
  | { kind: "direct"; people: [number, number] }
  | { kind: "group"; people: number[] }
  | { kind: "world" };

export const SCRIPT_CONVERSATIONS: readonly ScriptConversation[] = [
  { kind: "direct", people: [0, 1] },
  { kind: "direct", people: [2, 3] },
  { kind: "direct", people: [0, 4] },
  { kind: "group", people: [0, 1, 2] },
  { kind: "group", people: [3, 4, 5, 6, 7] },
  { kind: "group", people: [1, 2, 3, 4, 5, 6, 7, 0] },
  { kind: "world" },
];

export type Operation =
  | { op: "send"; person: number; conversation: number; key: string; text: string }
  | { op: "read"; person: number; conversation: number; seqId: number }
  | { op: "add" | "remove"; person: number; conversation: number; target: number };

/** What an operation was answered: `sent 7`, `read 5 unread 2`, `added`, or the name of an error. */
export type Answer = string;

export interface ScriptBackend {
  /** Everybody connected, every conversation made. */
  begin(): Promise<void>;
  run(operation: Operation): Promise<Answer>;
  /** Resolves when this person has received this sequence. */
  received(person: number, conversation: number, seqId: number): Promise<void>;
  /** Messages pushed to this person in this conversation, in order of arrival: `7 from 3: text`. */
  frames(person: number, conversation: number): string[];
}

export type ScriptOutcome = { answers: Answer[]; frames: Record<string, string[]> };

/** The script: a thousand operations, the same each time. A tenth of the sends are resends, some with another text. */
export function recordedScript(): Operation[] {
  const random = new Prng(SEED);
  const operations: Operation[] = [];
  const earlier: Extract<Operation, { op: "send" }>[] = [];
  const worldSends = new Map<number, number>();
  while (operations.length < OPERATIONS) {
    const person = random.between(0, SCRIPT_PEOPLE - 1);
    const conversation = random.between(0, SCRIPT_CONVERSATIONS.length - 1);
    const dice = random.between(0, 99);
    const number = operations.length;
    if (dice < 65) {
      if (SCRIPT_CONVERSATIONS[conversation]?.kind === "world") {
        const before = worldSends.get(person) ?? 0;
        if (before >= WORLD_SENDS) {
          continue;
        }
        worldSends.set(person, before + 1);
      }
      const send = { op: "send", person, conversation, key: `k${number}`, text: `text ${number}` } as const;
      earlier.push(send);
      operations.push(send);
    } else if (dice < 75) {
      const again = earlier.length === 0 ? undefined : random.pick(earlier);
      if (again !== undefined && SCRIPT_CONVERSATIONS[again.conversation]?.kind !== "world") {
        operations.push(random.chance(0.2) ? { ...again, text: `${again.text} changed` } : again);
      }
    } else if (dice < 90) {
      operations.push({ op: "read", person, conversation, seqId: random.between(0, 60) });
    } else {
      const target = random.between(0, SCRIPT_PEOPLE - 1);
      operations.push({ op: random.chance(0.5) ? "add" : "remove", person, conversation, target });
    }
  }
  return operations;
}

/** Runs the script, one operation after the other, and waits after each for everybody whom it concerns. */
export async function runScript(script: readonly Operation[], backend: ScriptBackend): Promise<ScriptOutcome> {
  await backend.begin();
  const people = SCRIPT_CONVERSATIONS.map(
    (conversation) => new Set(conversation.kind === "world" ? everybody() : conversation.people),
  );
  const heads = SCRIPT_CONVERSATIONS.map(() => 0);
  const answers: Answer[] = [];
  for (const operation of script) {
    const answer = await backend.run(operation);
    answers.push(answer);
    const { conversation } = operation;
    const members = people[conversation] ?? new Set();
    if (operation.op === "send" && answer.startsWith("sent ")) {
      const seqId = Number(answer.slice("sent ".length));
      if (seqId > (heads[conversation] ?? 0)) {
        heads[conversation] = seqId;
        for (const person of members) {
          if (person !== operation.person) {
            await backend.received(person, conversation, seqId);
          }
        }
      }
    } else if (operation.op === "add" && answer === "added") {
      members.add(operation.target);
    } else if (operation.op === "remove" && answer === "removed") {
      members.delete(operation.target);
    }
  }
  const frames: Record<string, string[]> = {};
  for (const person of everybody()) {
    SCRIPT_CONVERSATIONS.forEach((where, conversation) => {
      const seen = backend.frames(person, conversation);
      // A sender of the world gets their own message with everybody else's, when the window opens.
      const others = where.kind === "world" ? seen.filter((line) => !line.includes(` from ${person}:`)) : seen;
      frames[`${person} in ${conversation}`] = others;
    });
  }
  return { answers, frames };
}

function everybody(): number[] {
  return Array.from({ length: SCRIPT_PEOPLE }, (_, person) => person);
}
