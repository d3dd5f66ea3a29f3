/**
 * A user's sends: in lanes to the rooms, and back as acknowledgements to the sending socket and as messages to the user's
 * other sockets. What may leave when is decided by `SendDesk`.
 */
import type { Actor, SendCommand } from "../domain/commands.ts";
import { messageFor, WORLD_ROOM_ID, type StoredMessage } from "../domain/records.ts";
import { SEND_LANE, SendDesk } from "../domain/sendDesk.ts";
import type { SessionHeads } from "../domain/sessionHeads.ts";
import { presentConversation } from "../http/present.ts";
import { publishSends } from "../bus/upstream.ts";
import { systemClock } from "../platform/clock.ts";
import { faultOfThrown } from "../platform/failures.ts";
import { newId } from "../platform/ids.ts";
import type { LandedSend } from "../platform/rpc.ts";
import type { Settings } from "../platform/settings.ts";
import { roomOf, shardOf } from "../platform/stubs.ts";
import { err, ERRORS, ok, type Fault, type Result } from "../protocol/errors.ts";
import type { Message } from "../protocol/things.ts";
import { auditedAct } from "../repo/audited.ts";
import { repositories } from "../repo/index.ts";
import { describeError, log } from "../telemetry/log.ts";
import { ackDuration, sendFailures, sendsAnswered } from "../telemetry/metrics.ts";
import { reportSoon } from "../telemetry/report.ts";
import type { SessionSockets } from "./SessionSockets.ts";
import type { WorldPointer } from "./WorldPointer.ts";

/** Own messages remembered, so that a resend is not shown twice on the other devices. */
const ECHO_MEMORY = 256;
/** A room that took sends without an answer is asked for its head after this time, and so often if it cannot be reached. */
const TELL_AFTER_MS = 1_000;
const TELL_TRIES = 5;

/** A REST call through the bus waits so long for its message, and is then told to ask again: the same key finds it. */
const REST_WAIT_MS = 10_000;

/** Who waits for the answer to a send: a socket, or a REST call. */
export type Ticket = {
  /** When the send arrived here, epoch milliseconds. */
  at: number;
  socket?: WebSocket;
  ref?: string;
  resolve?: (outcome: Result<Message>) => void;
  /** A system admin's send, asked for without the role first: this is who may still send it. */
  admin?: Actor;
  /** Hears what became of it as well: the book in which it stands. */
  heard?: (outcome: Result<StoredMessage>) => void;
};

type Parts = {
  env: Env;
  userId: string;
  settings: Settings;
  sockets: Pick<SessionSockets, "all" | "send">;
  heads: SessionHeads;
  /** Who the user is now, for what is asked on their behalf. */
  actor(): Actor;
  world: Pick<WorldPointer, "moveTo">;
  refuse(
    socket: WebSocket,
    fault: Fault,
    ref: string | undefined,
    send: { clientMsgId: string; conversationId: string },
    requestId?: string,
  ): void;
};

export class SessionSends {
  readonly #parts: Parts;
  readonly #desk: SendDesk<Ticket>;
  readonly #echoed = new Set<string>();
  /** Conversations whose head is to be told. */
  readonly #untold = new Set<string>();

  constructor(parts: Parts) {
    this.#parts = parts;
    const { sends, worldSends } = parts.settings.limits;
    this.#desk = new SendDesk<Ticket>(
      { sends, world: worldSends, lane: SEND_LANE },
      {
        append: (conversationId, batch) =>
          void (parts.settings.upstream === "topic"
            ? this.#produce(conversationId, batch)
            : this.#append(conversationId, batch)),
        taken: (ticket, conversationId, command) => this.#taken(ticket, conversationId, command),
        answer: (ticket, conversationId, command, outcome) => this.#answer(ticket, conversationId, command, outcome),
      },
      systemClock.now(),
    );
  }

  /** Takes a send in; the ticket's holder gets its answer, exactly one. */
  submit(ticket: Ticket, conversationId: string, command: SendCommand): void {
    const { actor } = command;
    const now = systemClock.now();
    if (actor.isAdmin) {
      const asAnybody = { ...command, actor: { ...actor, isAdmin: false } };
      this.#desk.submit({ ...ticket, admin: actor }, conversationId, asAnybody, now);
    } else {
      this.#desk.submit(ticket, conversationId, command, now);
    }
  }

  /** What only the role of a system admin allows is an act like any other of theirs: its row in the audit comes first. */
  async #submitByRole({ admin, ...ticket }: Ticket, conversationId: string, command: SendCommand): Promise<void> {
    const actor = admin ?? command.actor;
    const { userId } = actor;
    const createdAt = systemClock.now();
    const target = { targetKind: "conversation", targetId: conversationId } as const;
    const by = { actor: userId, operatorId: userId, createdAt };
    const act = (): Promise<Result<StoredMessage>> =>
      new Promise((heard) => {
        this.#desk.submit({ ...ticket, heard }, conversationId, { ...command, actor }, systemClock.now());
      });
    try {
      const { admin: book } = repositories(this.#parts.env);
      await auditedAct(book, { auditId: newId(createdAt), action: "message.send", ...target, ...by }, act, { userId });
    } catch (error) {
      // The row could not be written, so nothing was sent.
      this.#answer(ticket, conversationId, command, err(faultOfThrown(error)));
    }
  }

  async #append(conversationId: string, batch: SendCommand[]): Promise<void> {
    const { env, userId, settings } = this.#parts;
    try {
      const outcomes =
        conversationId === WORLD_ROOM_ID
          ? shardOf(env, conversationId, userId, settings.worldShards).send(batch)
          : roomOf(env, conversationId).append(batch);
      this.#desk.landed(conversationId, await outcomes, systemClock.now());
    } catch (error) {
      log("warn", "sends did not reach their room", { userId, conversationId, error: describeError(error) });
      const fault = faultOfThrown(error);
      this.#desk.landed(conversationId, fault.name === "RATE_LIMITED" ? fault : "failed", systemClock.now());
      if (conversationId !== WORLD_ROOM_ID) {
        this.#tellHeadSoon(conversationId, TELL_TRIES);
      }
    }
  }

  /**
   * `UPSTREAM=topic`: the bus has the sends first, by conversation; its consumer brings the answers (`landed`). Those into the world
   * go by the shard: a thousand senders are not a thousand requests to the bus.
   */
  async #produce(conversationId: string, batch: SendCommand[]): Promise<void> {
    const { env, userId, settings } = this.#parts;
    try {
      if (conversationId === WORLD_ROOM_ID) {
        const outcomes = await shardOf(env, conversationId, userId, settings.worldShards).produce(batch);
        const lost = outcomes.find((outcome) => !outcome.ok);
        if (lost !== undefined) {
          this.#desk.landed(conversationId, lost.fault, systemClock.now());
          return;
        }
      } else {
        await publishSends(env, conversationId, batch);
      }
      this.#desk.taken(conversationId, systemClock.now());
    } catch (error) {
      log("warn", "sends did not reach the bus", { userId, conversationId, error: describeError(error) });
      this.#desk.landed(conversationId, "failed", systemClock.now());
    }
  }

  #taken(ticket: Ticket, conversationId: string, { clientMsgId }: SendCommand): void {
    const { socket, ref, resolve } = ticket;
    if (socket !== undefined) {
      const data = { clientMsgId, conversationId, status: "sending", ...(ref === undefined ? {} : { ref }) } as const;
      this.#parts.sockets.send([socket], { type: "message-ack", data });
    }
    if (resolve !== undefined) {
      setTimeout(() => this.#desk.giveUp(conversationId, clientMsgId, ticket), REST_WAIT_MS);
    }
  }

  /** What became of sends that went through the bus. Any of them may come again, or after this object has forgotten who waits. */
  landed(conversationId: string, outcomes: readonly LandedSend[]): void {
    const now = systemClock.now();
    for (const landed of outcomes) {
      if (!this.#desk.settle(conversationId, landed.clientMsgId, landed.outcome, now)) {
        this.#tellAll(conversationId, landed);
      }
    }
  }

  /** Nobody knows any more which socket asked: all are told, and clients know their own keys. */
  #tellAll(conversationId: string, { clientMsgId, outcome, requestId }: LandedSend): void {
    const { sockets, refuse } = this.#parts;
    for (const socket of sockets.all()) {
      if (outcome.ok) {
        const { messageId, seqId, createdAt } = outcome.value;
        const data = { clientMsgId, conversationId, status: "sent", messageId, seqId, createdAt } as const;
        sockets.send([socket], { type: "message-ack", data });
      } else {
        refuse(socket, outcome.fault, undefined, { clientMsgId, conversationId }, requestId);
      }
    }
    if (outcome.ok) {
      this.#acknowledge({ at: systemClock.now() }, outcome.value);
    }
  }

  #answer(ticket: Ticket, conversationId: string, command: SendCommand, outcome: Result<StoredMessage>): void {
    if (!outcome.ok && outcome.fault.name === "PERMISSION_DENIED" && ticket.admin !== undefined) {
      void this.#submitByRole(ticket, conversationId, command);
      return;
    }
    const now = systemClock.now();
    ticket.heard?.(outcome);
    sendsAnswered.add();
    reportSoon(this.#parts.env, now);
    if (outcome.ok) {
      ackDuration.observeMs(now - ticket.at);
      this.#acknowledge(ticket, outcome.value);
      ticket.resolve?.(ok(messageFor(outcome.value, this.#parts.userId)));
      return;
    }
    sendFailures.add(String(ERRORS[outcome.fault.name].code));
    ticket.resolve?.(outcome);
    if (ticket.socket !== undefined) {
      const { clientMsgId } = command;
      this.#parts.refuse(ticket.socket, outcome.fault, ticket.ref, { clientMsgId, conversationId });
    }
  }

  /** The acknowledgement to the sending socket; the message to the sender's other sockets. */
  #acknowledge(ticket: Ticket, message: StoredMessage): void {
    const { sockets, heads, userId, world } = this.#parts;
    const { clientMsgId, conversationId, messageId, seqId, createdAt } = message;
    if (ticket.socket !== undefined) {
      const { ref } = ticket;
      const data = { clientMsgId, conversationId, status: "sent", messageId, seqId, createdAt } as const;
      sockets.send([ticket.socket], { type: "message-ack", data: ref === undefined ? data : { ...data, ref } });
    }
    heads.note(conversationId, seqId);
    // A sender has read their own message; a room keeps that by itself, but for the world it is kept here.
    heads.noteRead(conversationId, seqId);
    if (conversationId === WORLD_ROOM_ID) {
      world.moveTo(seqId, seqId);
    }
    // World readers get it with everyone else, from the shard.
    if (conversationId === WORLD_ROOM_ID || this.#echoed.has(messageId)) {
      return;
    }
    this.#echoed.add(messageId);
    if (this.#echoed.size > ECHO_MEMORY) {
      const [oldest] = this.#echoed;
      this.#echoed.delete(oldest ?? "");
    }
    heads.passOwn(conversationId, seqId);
    const others = sockets.all().filter((socket) => socket !== ticket.socket);
    if (others.length > 0) {
      sockets.send(others, { type: "new-message", data: { message: messageFor(message, userId) } });
    }
  }

  /**
   * Nobody knows what became of a flight: the room may have taken it, and never delivers messages to their own sender. The
   * user's sockets are told how far the room is; clients that hear of a newer head read what they miss.
   */
  #tellHeadSoon(conversationId: string, tries: number): void {
    if (tries <= 0 || this.#untold.has(conversationId)) {
      return;
    }
    this.#untold.add(conversationId);
    setTimeout(() => {
      this.#untold.delete(conversationId);
      void this.#tellHead(conversationId, tries - 1);
    }, TELL_AFTER_MS);
  }

  async #tellHead(conversationId: string, triesLeft: number): Promise<void> {
    const { env, userId, sockets, heads, actor } = this.#parts;
    try {
      const view = await roomOf(env, conversationId).view(actor());
      if (view.ok) {
        const { conversation, headSeqId } = view.value;
        heads.note(conversationId, headSeqId);
        const data = { conversation: presentConversation(conversation, headSeqId) };
        sockets.send(sockets.all(), { type: "conversation-updated", data });
      }
    } catch (error) {
      log("warn", "a room's head is not known after lost sends", {
        userId,
        conversationId,
        error: describeError(error),
      });
      this.#tellHeadSoon(conversationId, triesLeft);
    }
  }
}
