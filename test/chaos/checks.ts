/** What must hold after the kills: every promise kept, one order for everybody, SQL equal to the rooms. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Message } from "../../sdk/src/index.ts";
import type { TestServer } from "../support/server.ts";
import { readSql, type SqlRow } from "../support/sql.ts";
import type { Talker } from "./talk.ts";

/** SQL follows by outbox and alarm: the longest back-off and some work. */
const SQL_WITHIN_MS = 120_000;
const LOOK_AGAIN_MS = 250;

export type Findings = {
  /** Acknowledged, and not in the history with the same id and sequence. */
  lost: number;
  /** The same client id or sequence more than once in a history. */
  twice: number;
  /** Holes in the sequences of a history. */
  holes: number;
  /** Histories that differ between two readers. */
  differing: number;
  /** What push and sync brought, compared with the history: messages missing, repeated or out of order. */
  missed: number;
  repeated: number;
  disordered: number;
  /** Later sends of one person that stand before earlier ones of the same conversation. */
  overtaken: number;
  /** Acknowledged sends that were sent once more and answered otherwise, or stored again. */
  answeredOtherwise: number;
  /** Rows that SQL and the logs do not share. */
  sqlDiffers: number;
  messages: number;
  conversations: number;
  /** Milliseconds until SQL was equal to the logs. */
  sqlEqualAfterMs: number;
  examples: string[];
};

/** One line of a history, as compared. */
type Line = { seqId: number; messageId: string; senderId: string; createdAt: number; text: string };

export async function check(people: readonly Talker[], server: TestServer): Promise<Findings> {
  const findings: Findings = {
    lost: 0,
    twice: 0,
    holes: 0,
    differing: 0,
    missed: 0,
    repeated: 0,
    disordered: 0,
    overtaken: 0,
    answeredOtherwise: 0,
    sqlDiffers: 0,
    messages: 0,
    conversations: 0,
    sqlEqualAfterMs: 0,
    examples: [],
  };
  const histories = new Map<string, Line[]>();
  for (const person of people) {
    for (const conversationId of person.conversations) {
      const lines = await historyOf(person, conversationId);
      const known = histories.get(conversationId);
      if (known === undefined) {
        histories.set(conversationId, lines);
        checkSequence(conversationId, lines, findings);
      } else if (JSON.stringify(known) !== JSON.stringify(lines)) {
        note(findings, "differing", `${person.name} reads another ${conversationId}`);
      }
    }
  }
  for (const person of people) {
    checkPromises(person, histories, findings);
    for (const conversationId of person.conversations) {
      checkReceived(person, conversationId, histories.get(conversationId) ?? [], findings);
    }
  }
  findings.conversations = histories.size;
  findings.messages = [...histories.values()].reduce((sum, lines) => sum + lines.length, 0);
  await checkSql(histories, server, findings);
  return findings;
}

type Count = Exclude<keyof Findings, "examples">;

/** Examples in a report: enough to begin looking. */
const EXAMPLES = 10;

function note(findings: Findings, count: Count, example: string): void {
  findings[count] += 1;
  if (findings.examples.length < EXAMPLES) {
    findings.examples.push(`${count}: ${example}`);
  }
}

async function historyOf(person: Talker, conversationId: string): Promise<Line[]> {
  const lines: Line[] = [];
  for await (const message of person.chat.conversation(conversationId).log()) {
    lines.push(lineOf(message));
  }
  return lines;
}

function lineOf({ seqId, messageId, senderId, createdAt, content }: Message): Line {
  return { seqId, messageId, senderId, createdAt, text: typeof content === "string" ? content : "" };
}

function checkSequence(conversationId: string, lines: readonly Line[], findings: Findings): void {
  const texts = new Set<string>();
  const lastOf = new Map<string, number>();
  lines.forEach((line, index) => {
    // A text ends with its sender's count.
    const count = Number(line.text.split(" ").at(-1));
    if (count < (lastOf.get(line.senderId) ?? 0)) {
      note(findings, "overtaken", `${conversationId}: ${line.text}`);
    }
    lastOf.set(line.senderId, count);
    if (line.seqId !== index + 1) {
      note(findings, "holes", `${conversationId}: ${line.seqId} stands at place ${index + 1}`);
    }
    // Each text was given to `send` once, with one client id.
    if (texts.has(line.text)) {
      note(findings, "twice", `${conversationId}: ${line.text}`);
    }
    texts.add(line.text);
  });
}

function checkPromises(person: Talker, histories: ReadonlyMap<string, Line[]>, findings: Findings): void {
  for (const promised of person.promised) {
    const line = histories.get(promised.conversationId)?.[promised.seqId - 1];
    if (line?.messageId !== promised.messageId || line.text !== promised.text || line.senderId !== promised.senderId) {
      note(findings, "lost", `${promised.text} at ${promised.seqId} in ${promised.conversationId}`);
    }
  }
}

/** Sends of each person that are repeated at the end. */
const REPETITIONS = 5;

/** An acknowledged send, sent once more under its key, is the same message; nothing is added to the history. */
export async function checkRepetition(
  people: readonly Talker[],
  random: () => number,
  findings: Findings,
): Promise<void> {
  for (const person of people) {
    for (let n = 0; n < REPETITIONS && person.promised.length > 0; n++) {
      const promised = person.promised[Math.floor(random() * person.promised.length)];
      if (promised === undefined) {
        continue;
      }
      const { conversationId, clientMsgId, messageId, seqId, text } = promised;
      const answer = await person.chat.call<Message>("POST", `/conversations/${conversationId}/messages`, {
        clientMsgId,
        messageType: "text",
        content: text,
      });
      if (answer.messageId !== messageId || answer.seqId !== seqId) {
        note(findings, "answeredOtherwise", `${text}: ${answer.seqId} instead of ${seqId}`);
      }
    }
  }
  const [person] = people;
  for (const conversationId of person?.conversations ?? []) {
    const before = person?.received.get(conversationId)?.length;
    const [newest] = (await person?.chat.conversation(conversationId).history({ limit: 1 })) ?? [];
    if (newest?.seqId !== before) {
      note(findings, "answeredOtherwise", `${conversationId} has grown to ${newest?.seqId} from ${before}`);
    }
  }
}

/** Everybody was there from the first message on, so push and sync together are the whole history. */
function checkReceived(person: Talker, conversationId: string, lines: readonly Line[], findings: Findings): void {
  const seen = new Set<number>();
  let last = 0;
  for (const message of person.received.get(conversationId) ?? []) {
    const what = `${person.name}: ${message.seqId} in ${conversationId}`;
    if (seen.has(message.seqId)) {
      note(findings, "repeated", what);
    } else if (message.seqId < last) {
      note(findings, "disordered", what);
    }
    seen.add(message.seqId);
    last = Math.max(last, message.seqId);
    if (lines[message.seqId - 1]?.messageId !== message.messageId) {
      note(findings, "differing", what);
    }
  }
  for (const line of lines) {
    if (!seen.has(line.seqId)) {
      note(findings, "missed", `${person.name}: ${line.seqId} in ${conversationId}`);
    }
  }
}

async function checkSql(histories: ReadonlyMap<string, Line[]>, server: TestServer, findings: Findings): Promise<void> {
  const began = performance.now();
  for (;;) {
    const different = differences(histories, await storedIn(server));
    findings.sqlEqualAfterMs = Math.round(performance.now() - began);
    if (different.length === 0) {
      return;
    }
    if (findings.sqlEqualAfterMs > SQL_WITHIN_MS) {
      different.forEach((example) => note(findings, "sqlDiffers", example));
      return;
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

function differences(histories: ReadonlyMap<string, Line[]>, rows: ReadonlyMap<string, Line[]>): string[] {
  const different: string[] = [];
  for (const conversationId of new Set([...histories.keys(), ...rows.keys()])) {
    const [logged = [], stored = []] = [histories.get(conversationId), rows.get(conversationId)];
    if (logged.length !== stored.length) {
      different.push(`${conversationId}: ${stored.length} rows for ${logged.length} messages`);
    } else {
      const wrong = logged.find((line, index) => JSON.stringify(line) !== JSON.stringify(stored[index]));
      if (wrong !== undefined) {
        different.push(`${conversationId}: ${wrong.seqId}`);
      }
    }
  }
  return different;
}

/** Every message that SQL has, by conversation. */
async function storedIn(server: TestServer): Promise<Map<string, Line[]>> {
  return linesOf((await readSql(server, STORED)) ?? []);
}

const STORED = `SELECT m.conversation_id, m.seq_id, m.message_id, m.sender_id, m.created_at, m.content, c.head_seq_id
  FROM messages m LEFT JOIN conversations c ON c.conversation_id = m.conversation_id
  ORDER BY m.conversation_id, m.seq_id`;

function linesOf(rows: readonly SqlRow[]): Map<string, Line[]> {
  const lines = new Map<string, Line[]>();
  const heads = new Map<string, number>();
  for (const row of rows) {
    const conversationId = String(row["conversation_id"]);
    const list = lines.get(conversationId) ?? [];
    list.push({
      seqId: Number(row["seq_id"]),
      messageId: String(row["message_id"]),
      senderId: String(row["sender_id"]),
      createdAt: Number(row["created_at"]),
      text: String(JSON.parse(String(row["content"]))),
    });
    lines.set(conversationId, list);
    heads.set(conversationId, Number(row["head_seq_id"]));
  }
  for (const [conversationId, head] of heads) {
    const list = lines.get(conversationId);
    // A list that shows another head than the log has is not equal yet.
    if (list !== undefined && head !== list.length) {
      list.length = 0;
    }
  }
  return lines;
}
