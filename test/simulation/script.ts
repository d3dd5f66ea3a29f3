/**
 * A script of operations, and what must come out of it: the same in the simulator and in workerd.
 * The runner knows no ids: backends translate names (`u1`, `u1-0`, `group-1`, `world`) and
 * answer raw things; what depends on chance, time or batching is taken out of the outcome.
 */
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Message, Reaction } from "../../src/protocol/things.ts";

export type ScriptOp =
  | { op: "create"; conversation: string; kind: "direct" | "group"; users: string[] }
  | { op: "connect"; device: string }
  | { op: "send"; device: string; conversation: string; key: string; text: string; replyTo?: number }
  | { op: "read"; device: string; conversation: string; seqId: number }
  | { op: "add"; actor: string; conversation: string; users: string[] }
  | { op: "remove"; actor: string; conversation: string; user: string }
  | { op: "history"; user: string; conversation: string; after?: number; before?: number; limit: number }
  | { op: "view"; user: string; conversation: string }
  | { op: "edit"; user: string; conversation: string; seqId: number; text: string }
  | { op: "recall"; user: string; conversation: string; seqId: number }
  | { op: "react"; user: string; conversation: string; seqId: number; emoji: string; wanted: boolean }
  /** For longer than the script runs, or no longer. */
  | { op: "mute"; actor: string; conversation: string; user: string; muted: boolean };

export type Script = { devices: Record<string, string>; ops: ScriptOp[] };

export type Refused = { error: string };

/** A reaction that somebody wants to stand at a message, or not any more. */
export type Tap = { messageId: string; emoji: string; wanted: boolean };

/** One world in which a script runs. Everything is raw; names are the script's. */
export interface ScriptBackend {
  /** First user: creator and owner. The world exists already, its name is `world`. */
  create(conversation: string, kind: "direct" | "group", users: string[]): Promise<void>;
  /** A socket of this device, open until the end; answers when `connected` has come. */
  connect(device: string, user: string): Promise<void>;
  /** A `send-message` frame of this device, and the ack or error that names its key. `replyTo` is a message id. */
  send(
    device: string,
    conversation: string,
    body: { key: string; text: string; replyTo?: string },
  ): Promise<{ messageId: string; seqId: number } | Refused>;
  /** A `mark-read` frame; answers when it has had its effect, if any. */
  read(device: string, conversation: string, seqId: number): Promise<void>;
  add(actor: string, conversation: string, users: string[]): Promise<{ added: string[]; failed: string[] } | Refused>;
  remove(actor: string, conversation: string, user: string): Promise<{ dismissed: boolean } | Refused>;
  history(
    user: string,
    conversation: string,
    page: { after?: number; before?: number; limit: number },
  ): Promise<readonly Message[] | Refused>;
  /** As the room sees it. Not for the world, whose pointers live elsewhere. */
  view(
    user: string,
    conversation: string,
  ): Promise<{ headSeqId: number; readSeqId: number; members: number } | Refused>;
  /** Changes of a message, as REST makes them; all sockets of `user` are told like those of others. */
  edit(user: string, conversation: string, messageId: string, text: string): Promise<Message | Refused>;
  recall(user: string, conversation: string, messageId: string): Promise<Message | Refused>;
  react(user: string, conversation: string, tap: Tap): Promise<Reaction | Refused>;
  mute(actor: string, conversation: string, user: string, muted: boolean): Promise<{ muted: boolean } | Refused>;
  /** Until the news of this conversation's changes have been told, and the receipts of what was read. */
  told(conversation: string): Promise<void>;
  /** Until this device's socket has had this message. Rejects when it does not come. */
  received(device: string, conversation: string, seqId: number): Promise<void>;
  /** Until nothing is on its way to anybody: every room has been told that its readers have everything. */
  delivered(): Promise<void>;
  /** Until everything that was begun has come to its end: deliveries, queues, SQL, confirmations. */
  settle(): Promise<void>;
  /** Everything that this device's socket has received, in order of arrival. */
  frames(device: string): readonly ServerFrame[];
  /** The script's names for ids. */
  userName(userId: string): string;
  conversationName(conversationId: string): string;
}

/** What an operation answered, without ids and times. */
export type OpOutcome =
  | { ack: string }
  | { error: string }
  | { added: string[]; failed: string[] }
  | { dismissed: boolean }
  | { messages: string[] }
  | { message: string }
  | { reaction: string }
  | { muted: boolean }
  | { headSeqId: number; readSeqId: number; members: number }
  | Record<string, never>;

/** What one device was sent. */
export type Heard = {
  /** Acknowledgements and refusals, in order of arrival. */
  answers: string[];
  /**
   * Messages of each conversation, in order of arrival, each once: rooms may deliver again what took long. Without the
   * device's own, which it hears again when a room is not sure of the cache.
   */
  messages: Record<string, string[]>;
  /** What came through queues, which have no order and repeat: each once, sorted. */
  notices: string[];
};

export type ScriptOutcome = { ops: OpOutcome[]; heard: Record<string, Heard> };

/** One after the other; each message is seen by everybody whom it concerns before the next operation. */
export async function runScript(script: Script, backend: ScriptBackend): Promise<ScriptOutcome> {
  const run: Run = { script, backend, ids: new Map(), members: new Map(), connected: new Set() };
  run.members.set("world", new Set(Object.values(script.devices)));
  const ops: OpOutcome[] = [];
  for (const op of script.ops) {
    if (op.op === "add" || op.op === "remove") {
      // Who is a member when something is delivered is no chance.
      await backend.delivered();
    }
    ops.push(await perform(run, op));
  }
  await backend.settle();
  const heard = Object.keys(script.devices).map((device) => [device, heardBy(run, device)] as const);
  return { ops, heard: Object.fromEntries(heard) };
}

type Run = {
  script: Script;
  backend: ScriptBackend;
  /** Message ids by place, `group-1#7`. */
  ids: Map<string, string>;
  /** Users by conversation. */
  members: Map<string, Set<string>>;
  connected: Set<string>;
};

async function everybodyHas(run: Run, from: string, conversation: string, seqId: number): Promise<void> {
  for (const device of run.connected) {
    if (device !== from && run.members.get(conversation)?.has(run.script.devices[device] ?? "") === true) {
      await run.backend.received(device, conversation, seqId);
    }
  }
}

async function perform(run: Run, op: ScriptOp): Promise<OpOutcome> {
  const { script, backend, ids, members } = run;
  switch (op.op) {
    case "create":
      await backend.create(op.conversation, op.kind, op.users);
      members.set(op.conversation, new Set(op.users));
      return {};
    case "connect":
      await backend.connect(op.device, script.devices[op.device] ?? "");
      run.connected.add(op.device);
      return {};
    case "send": {
      const { device, conversation, key, text } = op;
      const replyTo = op.replyTo === undefined ? undefined : ids.get(`${conversation}#${op.replyTo}`);
      const answer = await backend.send(
        device,
        conversation,
        replyTo === undefined ? { key, text } : { key, text, replyTo },
      );
      if ("error" in answer) {
        return { error: answer.error };
      }
      const place = `${conversation}#${answer.seqId}`;
      const known = ids.get(place);
      if (known === undefined) {
        ids.set(place, answer.messageId);
        await everybodyHas(run, device, conversation, answer.seqId);
      }
      // A resend answers with the same id: another one for the same place shows here.
      return { ack: known === undefined || known === answer.messageId ? place : `${place} with another id` };
    }
    case "read":
      await backend.read(op.device, op.conversation, op.seqId);
      await backend.told(op.conversation);
      return {};
    case "add": {
      const answer = await backend.add(op.actor, op.conversation, op.users);
      if ("error" in answer) {
        return { error: answer.error };
      }
      answer.added.forEach((user) => members.get(op.conversation)?.add(user));
      // Who is removed again before they are told is told nothing.
      await backend.told(op.conversation);
      return { added: [...answer.added].sort(), failed: [...answer.failed].sort() };
    }
    case "remove": {
      const answer = await backend.remove(op.actor, op.conversation, op.user);
      if ("error" in answer) {
        return { error: answer.error };
      }
      members.get(op.conversation)?.delete(op.user);
      await backend.told(op.conversation);
      return { dismissed: answer.dismissed };
    }
    case "history": {
      const { after, before, limit } = op;
      const page = await backend.history(op.user, op.conversation, { after, before, limit });
      return "error" in page ? { error: page.error } : { messages: page.map((message) => lineOf(backend, message)) };
    }
    case "view": {
      const view = await backend.view(op.user, op.conversation);
      return "error" in view
        ? { error: view.error }
        : { headSeqId: view.headSeqId, readSeqId: view.readSeqId, members: view.members };
    }
    case "edit":
      return told(run, op, (id) => backend.edit(op.user, op.conversation, id, op.text));
    case "recall":
      return told(run, op, (id) => backend.recall(op.user, op.conversation, id));
    case "react": {
      const messageId = ids.get(`${op.conversation}#${op.seqId}`) ?? "";
      const { emoji, wanted } = op;
      const answer = await backend.react(op.user, op.conversation, { messageId, emoji, wanted });
      await backend.told(op.conversation);
      return "error" in answer ? answer : { reaction: `${answer.emoji} ${answer.count} ${answer.mine}` };
    }
    case "mute": {
      const answer = await backend.mute(op.actor, op.conversation, op.user, op.muted);
      await backend.told(op.conversation);
      return answer;
    }
  }
}

/** A changed message, as the answer has it, when everybody has been told. */
async function told(
  { backend, ids }: Run,
  { conversation, seqId }: { conversation: string; seqId: number },
  change: (messageId: string) => Promise<Message | Refused>,
): Promise<OpOutcome> {
  const answer = await change(ids.get(`${conversation}#${seqId}`) ?? "");
  await backend.told(conversation);
  return "error" in answer ? { error: answer.error } : { message: lineOf(backend, answer) };
}

/** A message without ids and times. */
function lineOf(backend: ScriptBackend, message: Message): string {
  const { seqId, content, replyTo, editedAt, recalledAt, reactions = [] } = message;
  const marks = [
    ...(editedAt === undefined ? [] : ["edited"]),
    ...(recalledAt === undefined ? [] : ["recalled"]),
    ...reactions.map(({ emoji, count, mine }) => `${emoji} ${count}${mine ? " mine" : ""}`),
  ];
  const reply = replyTo === undefined ? "" : ` to #${replyTo.seqId} "${replyTo.preview}"`;
  const text = `#${seqId} ${backend.userName(message.senderId)}: ${JSON.stringify(content)}${reply}`;
  return marks.length === 0 ? text : `${text} [${marks.join(", ")}]`;
}

function heardBy({ backend }: Run, device: string): Heard {
  const frames = backend.frames(device);
  const place = (conversationId: string, seqId: number | undefined): string =>
    `${backend.conversationName(conversationId)}#${seqId}`;
  const acks = frames.flatMap((frame) => (frame.type === "message-ack" ? [frame.data] : []));
  const own = new Set(acks.map(({ conversationId, seqId }) => place(conversationId, seqId)));
  const answers: string[] = [];
  const messages = new Map<string, Map<number, string>>();
  const notices = new Set<string>();
  const take = (message: Message): void => {
    if (!own.has(place(message.conversationId, message.seqId))) {
      const name = backend.conversationName(message.conversationId);
      const lines = messages.get(name) ?? new Map<number, string>();
      messages.set(name, lines);
      // As it came first: what is delivered again may have changed since.
      lines.set(message.seqId, lines.get(message.seqId) ?? lineOf(backend, message));
    }
  };
  for (const frame of frames) {
    switch (frame.type) {
      case "message-ack":
        answers.push(`${frame.data.clientMsgId} ${place(frame.data.conversationId, frame.data.seqId)}`);
        break;
      case "message-error":
        answers.push(`${frame.data.clientMsgId} ${frame.data.error.name}`);
        break;
      case "new-message":
        take(frame.data.message);
        break;
      case "new-messages":
        frame.data.messages.forEach(take);
        break;
      case "message-confirmed":
        notices.add(`confirmed ${frame.data.clientMsgId} ${place(frame.data.conversationId, frame.data.seqId)}`);
        break;
      case "conversation-created":
      case "conversation-joined":
        notices.add(`${frame.type} ${backend.conversationName(frame.data.conversation.conversationId)}`);
        break;
      case "conversation-removed":
        notices.add(`${frame.type} ${backend.conversationName(frame.data.conversationId)} ${frame.data.reason}`);
        break;
      case "message-updated":
        notices.add(
          `updated ${backend.conversationName(frame.data.message.conversationId)} ${lineOf(backend, frame.data.message)}`,
        );
        break;
      case "message-recalled": {
        const { conversationId, seqId, operatorId } = frame.data;
        notices.add(`recalled ${place(conversationId, seqId)} by ${backend.userName(operatorId)}`);
        break;
      }
      case "message-reaction": {
        const { conversationId, seqId, emoji, userId, added, count } = frame.data;
        const how = `${added ? "on" : "off"} ${count}`;
        notices.add(`reaction ${place(conversationId, seqId)} ${emoji} ${backend.userName(userId)} ${how}`);
        break;
      }
      case "message-read-receipt": {
        const { conversationId, userId, readSeqId } = frame.data;
        notices.add(`read ${place(conversationId, readSeqId)} by ${backend.userName(userId)}`);
        break;
      }
      default:
      // The others say nothing about messages and membership.
    }
  }
  const byPlace = [...messages].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return {
    answers,
    messages: Object.fromEntries(byPlace.map(([name, lines]) => [name, [...lines.values()]])),
    notices: [...notices].toSorted(),
  };
}
