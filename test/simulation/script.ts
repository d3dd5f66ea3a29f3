/**
 * A script of operations, and what must come out of it: the same in the simulator and in workerd.
 * The interpreter knows no ids: backends translate names (`u1`, `u1-0`, `group-1`, `world`) and
 * answer raw things; what depends on chance, time or batching is taken out of the outcome.
 */
import type { ServerFrame } from "../../src/protocol/frames.ts";
import type { Message } from "../../src/protocol/things.ts";

export type ScriptOp =
  | { op: "create"; conversation: string; kind: "direct" | "group"; users: string[] }
  | { op: "connect"; device: string }
  | { op: "send"; device: string; conversation: string; key: string; text: string; replyTo?: number }
  | { op: "read"; device: string; conversation: string; seqId: number }
  | { op: "add"; actor: string; conversation: string; users: string[] }
  | { op: "remove"; actor: string; conversation: string; user: string }
  | { op: "history"; user: string; conversation: string; after?: number; before?: number; limit: number }
  | { op: "view"; user: string; conversation: string };

export type Script = { devices: Record<string, string>; ops: ScriptOp[] };

export type Refused = { error: string };

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
  /** A `mark-read` frame. */
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
  /** Until everything that was begun has come to its end: deliveries, queues, SQL, confirmations. */
  settle(): Promise<void>;
  /** Everything that this device's socket has received. */
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
  | { headSeqId: number; readSeqId: number; members: number }
  | Record<string, never>;

/** `frames`: of each device, each once, sorted: how they were batched and how often they came is chance. */
export type ScriptOutcome = { ops: OpOutcome[]; frames: Record<string, string[]> };

/** Operations after which the world comes to rest, so that who is a member when something is delivered is no chance. */
const SETTLED = new Set<ScriptOp["op"]>(["create", "connect", "add", "remove", "view"]);

export async function runScript(script: Script, backend: ScriptBackend): Promise<ScriptOutcome> {
  const ids = new Map<string, string>();
  const ops: OpOutcome[] = [];
  for (const op of script.ops) {
    if (SETTLED.has(op.op)) {
      await backend.settle();
    }
    ops.push(await perform(script, backend, ids, op));
    if (SETTLED.has(op.op)) {
      await backend.settle();
    }
  }
  await backend.settle();
  const frames: Record<string, string[]> = {};
  for (const device of Object.keys(script.devices)) {
    const lines = backend.frames(device).flatMap((frame) => linesOf(backend, frame));
    frames[device] = [...new Set(lines)].sort();
  }
  return { ops, frames };
}

async function perform(
  script: Script,
  backend: ScriptBackend,
  ids: Map<string, string>,
  op: ScriptOp,
): Promise<OpOutcome> {
  switch (op.op) {
    case "create":
      await backend.create(op.conversation, op.kind, op.users);
      return {};
    case "connect":
      await backend.connect(op.device, script.devices[op.device] ?? "");
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
      ids.set(place, answer.messageId);
      // A resend answers with the same id: another one for the same place shows here.
      return { ack: known === undefined || known === answer.messageId ? place : `${place} with another id` };
    }
    case "read":
      await backend.read(op.device, op.conversation, op.seqId);
      return {};
    case "add": {
      const answer = await backend.add(op.actor, op.conversation, op.users);
      return "error" in answer
        ? { error: answer.error }
        : { added: [...answer.added].sort(), failed: [...answer.failed].sort() };
    }
    case "remove": {
      const answer = await backend.remove(op.actor, op.conversation, op.user);
      return "error" in answer ? { error: answer.error } : { dismissed: answer.dismissed };
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
  }
}

/** A message without ids and times. The sender's own key is part of it where it is shown. */
function lineOf(backend: ScriptBackend, message: Message): string {
  const { seqId, content, replyTo } = message;
  const where = backend.conversationName(message.conversationId);
  const reply = replyTo === undefined ? "" : ` to #${replyTo.seqId} "${replyTo.preview}"`;
  return `message ${where}#${seqId} of ${backend.userName(message.senderId)}: ${JSON.stringify(content)}${reply}`;
}

/** Frames that say something about messages and membership; the others are not compared. */
function linesOf(backend: ScriptBackend, frame: ServerFrame): string[] {
  switch (frame.type) {
    case "message-ack":
      return [
        `ack ${frame.data.clientMsgId} ${backend.conversationName(frame.data.conversationId)}#${frame.data.seqId}`,
      ];
    case "message-error":
      return [`error ${frame.data.clientMsgId} ${frame.data.error.name}`];
    case "message-confirmed":
      return [
        `confirmed ${frame.data.clientMsgId} ${backend.conversationName(frame.data.conversationId)}#${frame.data.seqId}`,
      ];
    case "new-message":
      return [lineOf(backend, frame.data.message)];
    case "new-messages":
      return frame.data.messages.map((message) => lineOf(backend, message));
    case "conversation-created":
    case "conversation-joined":
      return [`${frame.type} ${backend.conversationName(frame.data.conversation.conversationId)}`];
    case "conversation-removed":
      return [`${frame.type} ${backend.conversationName(frame.data.conversationId)} ${frame.data.reason}`];
    default:
      return [];
  }
}
