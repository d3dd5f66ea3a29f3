/** SQL: the queryable copy of the rooms. Rows are made by src/repo/roomRows.ts and guarded by `logId`, as the dialects do it. */
import { worldState } from "../../src/domain/membership.ts";
import type { ConversationState, RoomRecord, StoredMessage } from "../../src/domain/records.ts";
import { WORLD_ROOM_ID } from "../../src/domain/records.ts";
import type { Edit } from "../../src/protocol/things.ts";
import { roomRows, type Cell, type Row, type RoomRows } from "../../src/repo/roomRows.ts";
import { Peer, type Reply } from "./net.ts";
import { serve } from "./serve.ts";
import type { Sim } from "./sim.ts";

export type SqlMember = { removedAt: number | undefined; mutedUntil: number | undefined; logId: number };
type SqlConversation = { state: ConversationState; headSeqId: number; logId: number };
/** What somebody's list shows of a conversation. */
export type SqlItem = {
  id: string;
  headSeqId: number;
  readSeqId: number;
  conversation: ConversationState;
  lastMessage: StoredMessage | undefined;
};

export class SqlNode extends Peer {
  readonly #sim: Sim;
  /** By conversation and sequence: cells in the order of the schema. */
  readonly #messages = new Map<string, Map<number, Row>>();
  readonly #heads = new Map<string, number>();
  /** By conversation, message and number of the change. */
  readonly #edits = new Map<string, Map<string, Row>>();
  /** By conversation, message, emoji and user. */
  readonly #reactions = new Map<string, Map<string, Row>>();
  readonly conversations = new Map<string, SqlConversation>();
  readonly members = new Map<string, Map<string, SqlMember>>();
  readonly pointers = new Map<string, Map<string, number>>();
  /** Index of `members` by user. */
  readonly byUser = new Map<string, Set<string>>();

  constructor(sim: Sim) {
    super("sql");
    this.#sim = sim;
    // A migration makes it.
    this.conversations.set(WORLD_ROOM_ID, { state: worldState(WORLD_ROOM_ID), headSeqId: 0, logId: 0 });
  }

  get #world(): ConversationState {
    return this.conversations.get(WORLD_ROOM_ID)?.state ?? worldState(WORLD_ROOM_ID);
  }

  /** All of it in one transaction, in the order of src/repo/d1Rows.ts. */
  apply(records: readonly RoomRecord[], reply: Reply<true>): void {
    const { kernel, random } = this.#sim;
    serve(
      this.#sim,
      this,
      "sqlDown",
      random.between(500, 6_000),
      () => {
        const rows = roomRows(records, kernel.ms);
        this.#putMessages(rows);
        for (const record of records) {
          this.#applyOne(record);
        }
        this.#putChanges(rows);
        return true as const;
      },
      reply,
    );
  }

  /** Conversations of a user, as the list and `sync` read them. */
  list(userId: string, reply: Reply<SqlItem[]>): void {
    this.#serve(() => {
      const ids = this.byUser.get(userId) ?? [];
      const items = [this.#itemOf(WORLD_ROOM_ID, 0, this.#world)];
      for (const id of ids) {
        const member = this.members.get(id)?.get(userId);
        const conversation = this.conversations.get(id);
        if (
          member?.removedAt === undefined &&
          conversation !== undefined &&
          conversation.state.dismissedAt === undefined
        ) {
          items.push(this.#itemOf(id, this.pointers.get(id)?.get(userId) ?? 0, conversation.state));
        }
      }
      return items;
    }, reply);
  }

  /** Rows between `after` and `before` (both exclusive), ascending. */
  page(id: string, after: number, before: number, limit: number, reply: Reply<StoredMessage[]>): void {
    this.#serve(() => {
      const found: StoredMessage[] = [];
      for (let seqId = after + 1; found.length < limit && seqId < before; seqId++) {
        const message = this.message(id, seqId);
        if (message === undefined) {
          break;
        }
        found.push(message);
      }
      return found;
    }, reply);
  }

  /** These messages, as far as they are there. */
  at(id: string, seqIds: readonly number[], reply: Reply<StoredMessage[]>): void {
    this.#serve(() => seqIds.flatMap((seqId) => this.message(id, seqId) ?? []), reply);
  }

  /** Who wrote the messages after `from` up to `to`. */
  senders(id: string, from: number, to: number, reply: Reply<string[]>): void {
    this.#serve(() => {
      const found = new Set<string>();
      for (let seqId = to; seqId > from; seqId--) {
        const message = this.message(id, seqId);
        if (message !== undefined) {
          found.add(message.senderId);
        }
      }
      return [...found];
    }, reply);
  }

  // ---- for the oracles

  has(id: string, seqId: number): boolean {
    return this.#messages.get(id)?.has(seqId) === true;
  }

  count(id: string): number {
    return this.#messages.get(id)?.size ?? 0;
  }

  message(id: string, seqId: number): StoredMessage | undefined {
    const row = this.#messages.get(id)?.get(seqId);
    return row === undefined ? undefined : messageOf(row);
  }

  /** Earlier versions, oldest first. */
  edits(id: string, messageId: string): Edit[] {
    const rows = [...(this.#edits.get(id)?.values() ?? [])].filter((row) => row[1] === messageId);
    return rows
      .toSorted((a, b) => Number(a[2]) - Number(b[2]))
      .map((row) => ({ content: JSON.parse(String(row[3])) as Edit["content"], editedAt: Number(row[4]) }));
  }

  /** `emoji user` of those who react to it now, sorted. */
  reactions(id: string, messageId: string): string[] {
    const rows = [...(this.#reactions.get(id)?.values() ?? [])];
    return rows
      .filter((row) => row[1] === messageId && row[5] === null)
      .map((row) => `${row[3]} ${row[2]}`)
      .toSorted();
  }

  // ---- rows

  #serve<T>(work: () => T, reply: Reply<T>): void {
    serve(this.#sim, this, "sqlDown", this.#sim.random.between(300, 3_000), work, reply);
  }

  #isNewer(logId: number, known: number | undefined): boolean {
    return known === undefined || logId > known || this.#sim.plant.sqlIgnoresLogId === true;
  }

  #putMessages({ messages }: RoomRows): void {
    for (const row of messages.values()) {
      const id = String(row[0]);
      const seqId = Number(row[1]);
      const table = tableOf(this.#messages, id);
      if (this.#isNewer(logIdOf(row) ?? 0, logIdOf(table.get(seqId)))) {
        table.set(seqId, row);
        this.#heads.set(id, Math.max(this.#heads.get(id) ?? 0, seqId));
      }
      this.#point(id, String(row[3]), seqId);
    }
  }

  #putChanges({ edits, reactions, recalled, previews, versions }: RoomRows): void {
    const isRecalled = (row: Row, seqId: number): boolean =>
      this.message(String(row[0]), seqId)?.recalledAt !== undefined && this.#sim.plant.sqlKeepsOfRecalled !== true;
    for (const [key, { row, seqId }] of edits) {
      if (!isRecalled(row, seqId)) {
        tableOf(this.#edits, String(row[0])).set(key, row);
      }
    }
    for (const [key, { row, seqId }] of reactions) {
      const table = tableOf(this.#reactions, String(row[0]));
      if (!isRecalled(row, seqId) && this.#isNewer(logIdOf(row) ?? 0, logIdOf(table.get(key)))) {
        table.set(key, row);
      }
    }
    for (const [id, messageId] of recalled.values()) {
      forget(this.#edits.get(id), messageId);
      forget(this.#reactions.get(id), messageId);
    }
    for (const [id, seqId] of previews.values()) {
      const row = this.#messages.get(id)?.get(seqId);
      const replyTo = row?.[7];
      if (row !== undefined && typeof replyTo === "string") {
        const emptied = JSON.stringify({ ...(JSON.parse(replyTo) as object), preview: "" });
        this.#messages.get(id)?.set(seqId, row.with(7, emptied));
      }
    }
    for (const [id, version] of versions) {
      this.#raise(id, version);
    }
  }

  #raise(id: string, version: number): void {
    const conversation = this.conversations.get(id);
    if (conversation !== undefined && conversation.state.version < version) {
      this.conversations.set(id, { ...conversation, state: { ...conversation.state, version } });
    }
  }

  #applyOne(record: RoomRecord): void {
    const { conversationId: id, logId } = record;
    switch (record.kind) {
      case "conversation": {
        const before = this.conversations.get(id);
        if (this.#isNewer(logId, before?.logId)) {
          const version = Math.max(record.conversation.version, before?.state.version ?? 0);
          this.conversations.set(id, {
            state: { ...record.conversation, version },
            headSeqId: record.headSeqId,
            logId,
          });
        }
        return;
      }
      case "member": {
        const { userId, mutedUntil, readSeqId } = record.member;
        this.#putMember(id, userId, { removedAt: undefined, mutedUntil, logId });
        this.#point(id, userId, readSeqId);
        return;
      }
      case "memberRemoved":
        return this.#putMember(id, record.userId, { removedAt: record.removedAt, mutedUntil: undefined, logId });
      case "readPointer":
        return this.#point(id, record.userId, record.readSeqId);
      case "message":
      case "edit":
      case "reaction":
      case "previews":
        // By `roomRows`.
        return;
      case "invite":
      case "joinRequest":
        // Nothing in the simulation makes them.
        return;
    }
  }

  #putMember(id: string, userId: string, row: SqlMember): void {
    const table = tableOf(this.members, id);
    if (this.#isNewer(row.logId, table.get(userId)?.logId)) {
      table.set(userId, row);
      const ids = this.byUser.get(userId) ?? new Set<string>();
      ids.add(id);
      this.byUser.set(userId, ids);
    }
  }

  #point(id: string, userId: string, readSeqId: number): void {
    if (id !== WORLD_ROOM_ID) {
      const table = tableOf(this.pointers, id);
      table.set(userId, Math.max(table.get(userId) ?? 0, readSeqId));
    }
  }

  #itemOf(id: string, readSeqId: number, conversation: ConversationState): SqlItem {
    const newest = this.#heads.get(id) ?? 0;
    const headSeqId = Math.max(this.conversations.get(id)?.headSeqId ?? 0, newest);
    return { id, headSeqId, readSeqId, conversation, lastMessage: this.message(id, newest) };
  }
}

function logIdOf(row: Row | undefined): number | undefined {
  return row === undefined ? undefined : Number(row.at(-1));
}

function forget(rows: Map<string, Row> | undefined, messageId: string): void {
  for (const [key, row] of rows ?? []) {
    if (row[1] === messageId) {
      rows?.delete(key);
    }
  }
}

const read = new WeakMap<Row, StoredMessage>();

function messageOf(row: Row): StoredMessage {
  const message = read.get(row) ?? parse(row);
  read.set(row, message);
  return message;
}

/** As src/repo/conversations.ts reads a row. */
function parse(row: Row): StoredMessage {
  const [conversationId, seqId, messageId, senderId, clientMsgId, type, content, replyTo, mentions] = row;
  const [createdAt, editedAt, recalledAt] = row.slice(9);
  return {
    messageId: String(messageId),
    conversationId: String(conversationId),
    seqId: Number(seqId),
    senderId: String(senderId),
    messageType: type as StoredMessage["messageType"],
    createdAt: Number(createdAt),
    clientMsgId: String(clientMsgId),
    ...parsed("content", content),
    ...parsed("replyTo", replyTo),
    ...parsed("mentions", mentions),
    ...(typeof editedAt === "number" ? { editedAt } : {}),
    ...(typeof recalledAt === "number" ? { recalledAt } : {}),
  };
}

function parsed(name: string, cell: Cell | undefined): object {
  return typeof cell === "string" ? { [name]: JSON.parse(cell) as unknown } : {};
}

function tableOf<K, V>(tables: Map<string, Map<K, V>>, id: string): Map<K, V> {
  const known = tables.get(id);
  if (known !== undefined) {
    return known;
  }
  const table = new Map<K, V>();
  tables.set(id, table);
  return table;
}
