/** What each client frame does, but `send-message`, whose path is short and its own. */
import type { Cache } from "../cache/types.ts";
import type { Actor } from "../domain/commands.ts";
import { WORLD_ROOM_ID } from "../domain/records.ts";
import type { SessionHeads } from "../domain/sessionHeads.ts";
import { sendFrames } from "../platform/sockets.ts";
import { roomOf } from "../platform/stubs.ts";
import { ok, type Fault, type Result } from "../protocol/errors.ts";
import type { ClientFrame, ServerFrame } from "../protocol/frames.ts";
import type { SessionWatching } from "./sessionWatching.ts";
import type { SessionPresence } from "./SessionPresence.ts";
import type { Attachment, SessionSockets } from "./SessionSockets.ts";
import type { WorldPointer } from "./WorldPointer.ts";
import { describeError, log } from "../telemetry/log.ts";
import { buildSync } from "./sync.ts";

/** What the handlers need of their session. */
export type FrameContext = {
  env: Env;
  userId: string;
  cache: Cache;
  sockets: SessionSockets;
  presence: SessionPresence;
  watching: SessionWatching;
  /** Newest sequences that passed through this session, and how far its user has read. */
  heads: SessionHeads;
  world: WorldPointer;
};

type Handled = Promise<Fault | undefined> | Fault | undefined;
type Handlers = {
  [Type in Exclude<ClientFrame["type"], "send-message">]: (
    context: FrameContext,
    socket: WebSocket,
    frame: Extract<ClientFrame, { type: Type }>,
  ) => Handled;
};

export function actorOf(userId: string, from: Attachment): Actor {
  return { userId, isGuest: from.isGuest, isAdmin: from.isAdmin };
}

/** A new frame is one arm here; the compiler names the missing one. */
const FRAME_HANDLERS: Handlers = {
  ping: (context, socket, frame) => {
    // Only a ping that differs from the exact bytes comes here; the others wake nobody.
    context.sockets.send([socket], frame.id === undefined ? { type: "pong" } : { type: "pong", ref: frame.id });
    return undefined;
  },
  "mark-read": async (context, socket, frame) => {
    const { conversationId, seqId } = frame.data;
    const marked = await markRead(context, socket, conversationId, seqId);
    if (!marked.ok) {
      return marked.fault;
    }
    // The reader's other devices and tabs follow.
    const { userId, sockets } = context;
    const receipt: ServerFrame = {
      type: "message-read-receipt",
      data: { conversationId, userId, readSeqId: marked.value },
    };
    const others = sockets.open().filter((other) => other !== socket);
    sendFrames(others, [JSON.stringify(receipt)]);
    return undefined;
  },
  typing: async (context, socket, frame) => {
    const actor = actorOf(context.userId, context.sockets.of(socket));
    const outcome = await roomOf(context.env, frame.data.conversationId).typing(actor);
    return outcome.ok ? undefined : outcome.fault;
  },
  sync: async (context, socket, frame) => {
    const { env, cache, sockets, userId, heads, presence } = context;
    await presence.cacheIsCurrent();
    const here = { worldReadSeqId: context.world.seqId, heads: heads.newest, reads: heads.read };
    const actor = actorOf(userId, sockets.of(socket));
    const data = await buildSync(env, cache, actor, here, frame.data, (work) => void work);
    if (!data.ok) {
      return data.fault;
    }
    const ref = frame.id === undefined ? {} : { ref: frame.id };
    sockets.send([socket], { type: "sync-result", data: { ...data.value, ...ref }, ...ref });
    return undefined;
  },
  subscribe: (context, socket, frame) => subscribe(context, socket, frame.data, true),
  unsubscribe: (context, socket, frame) => subscribe(context, socket, frame.data, false),
};

/** Does what a frame asks for; answers why not, if it does not. */
export async function handleFrame(
  context: FrameContext,
  socket: WebSocket,
  frame: Exclude<ClientFrame, { type: "send-message" }>,
): Promise<Fault | undefined> {
  try {
    // The table's key is the frame's type; TypeScript cannot follow the pair.
    const handler = FRAME_HANDLERS[frame.type] as (
      context: FrameContext,
      socket: WebSocket,
      frame: ClientFrame,
    ) => Handled;
    return await handler(context, socket, frame);
  } catch (error) {
    log("error", "a frame failed", { userId: context.userId, code: frame.type, error: describeError(error) });
    return { name: "UNAVAILABLE" };
  }
}

async function markRead(
  context: FrameContext,
  socket: WebSocket,
  conversationId: string,
  seqId: number,
): Promise<Result<number>> {
  const room = roomOf(context.env, conversationId);
  if (conversationId === WORLD_ROOM_ID) {
    const { headSeqId } = await room.readLog(0, 0);
    return ok(context.world.moveTo(seqId, headSeqId));
  }
  const actor = actorOf(context.userId, context.sockets.of(socket));
  const marked = await room.markRead(actor, seqId, false);
  if (!marked.ok) {
    return marked;
  }
  const { readSeqId } = marked.value.value;
  context.heads.noteRead(conversationId, readSeqId);
  return ok(readSeqId);
}

async function subscribe(
  context: FrameContext,
  socket: WebSocket,
  data: { conversationId?: string | undefined; presence?: string[] | undefined },
  wanted: boolean,
): Promise<Fault | undefined> {
  const { conversationId, presence } = data;
  const refused = presence === undefined ? undefined : await context.watching.subscribe(socket, presence, wanted);
  if (refused !== undefined) {
    return refused;
  }
  if (conversationId === undefined) {
    return undefined;
  }
  const seen = await mayFollow(context, socket, conversationId);
  if (!seen.ok) {
    return seen.fault;
  }
  const from = context.sockets.of(socket);
  const muted = from.muted.filter((id) => id !== conversationId);
  if (!wanted) {
    muted.push(conversationId);
  }
  if (muted.length > MUTED_LIMIT) {
    return { name: "INVALID_INPUT", detail: "too many unsubscribed rooms" };
  }
  context.sockets.remember(socket, { ...from, muted });
  if (conversationId === WORLD_ROOM_ID) {
    await context.presence.followWorld();
  }
  return undefined;
}

/** A conversation that one is not a member of is none, here too; everybody is in the world room. */
async function mayFollow(context: FrameContext, socket: WebSocket, conversationId: string): Promise<Result<unknown>> {
  return conversationId === WORLD_ROOM_ID
    ? ok(undefined)
    : roomOf(context.env, conversationId).view(actorOf(context.userId, context.sockets.of(socket)));
}

/** They stand in the socket's attachment, which holds 16 KiB (platform). */
const MUTED_LIMIT = 100;
