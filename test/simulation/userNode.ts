/**
 * A user's object, as src/objects/UserSession.ts: sockets of all devices, the presence lease, the
 * registration with the world's shard, and `SendDesk` on the way to the rooms. Sockets and the
 * lease's alarm outlive hibernation; everything else here is memory.
 */
import type { Actor, RoomView, SendCommand } from "../../src/domain/commands.ts";
import { HEARTBEAT_SECONDS } from "../../src/domain/presence.ts";
import { messageFor, WORLD_ROOM_ID, type StoredMessage } from "../../src/domain/records.ts";
import { markRead } from "../../src/domain/roomChanges.ts";
import { SessionHeads } from "../../src/domain/sessionHeads.ts";
import { SendDesk } from "../../src/domain/sendDesk.ts";
import { toWireError, type Result } from "../../src/protocol/errors.ts";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { MS } from "./kernel.ts";
import { call, Peer, type Reply } from "./net.ts";
import type { Sim } from "./sim.ts";
import { answerSync } from "./syncing.ts";
import { messageError, messagesFrame } from "./userFrames.ts";
import { UserPresence } from "./userPresence.ts";
import type { Wire } from "./wire.ts";

const ECHO_MEMORY = 256;
const ABNORMAL = 1006;
/** How often a room that could not be reached is asked for its head. */
const TELL_TRIES = 5;
/** The platform hibernates after ten idle seconds; a part of that is enough to meet every race. */
const IDLE_US = 300 * MS;

export class UserNode extends Peer {
  readonly #sim: Sim;
  readonly #wires = new Set<Wire>();
  #desk: SendDesk<Wire>;
  readonly actor: Actor;
  #heads = new SessionHeads();
  readonly #echoed = new Set<string>();
  readonly presence: UserPresence;
  #busyAt = 0;

  constructor(sim: Sim, userId: string) {
    super(userId);
    this.#sim = sim;
    this.actor = { userId, isGuest: false, isAdmin: false };
    this.#desk = this.#newDesk();
    this.presence = new UserPresence(sim, {
      peer: this,
      wires: () => this.#open(),
      greet: (wires) => this.#greet(wires),
      worldHead: (seqId) => this.#heads.note(WORLD_ROOM_ID, seqId),
    });
  }

  // ---- sockets

  /**
   * An upgrade: the socket is open at once, so that whoever delivers from now on finds it; but `connected`, on which the
   * client asks for what it missed, comes only when rooms and shard know that we are here.
   */
  accept(wire: Wire): void {
    this.#busyAt = this.#sim.kernel.now;
    const first = this.#open().size === 0;
    this.#wires.add(wire);
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} accepts ${wire.device.name}`);
    }
    this.presence.arrive(wire, first);
  }

  frame(wire: Wire, frame: ClientFrame): void {
    this.#busyAt = this.#sim.kernel.now;
    switch (frame.type) {
      case "send-message": {
        const { conversationId, clientMsgId, messageType, content } = frame.data;
        const command: SendCommand = { actor: this.actor, clientMsgId, messageType, content };
        if (frame.data.replyTo !== undefined) {
          command.replyTo = frame.data.replyTo;
        }
        if (frame.data.mentions !== undefined) {
          command.mentions = frame.data.mentions;
        }
        this.#desk.submit(wire, conversationId, command, this.#sim.kernel.ms);
        return;
      }
      case "mark-read":
        return this.#markRead(wire, frame);
      case "sync":
        return answerSync(this.#sim, this, frame.data, (answer) => {
          wire.down([
            typeof answer === "string"
              ? { type: "error", data: { error: toWireError({ name: "UNAVAILABLE" }, "r"), ref: frame.id } }
              : { type: "sync-result", data: answer, ref: frame.id },
          ]);
        });
      case "typing":
      case "subscribe":
      case "unsubscribe":
      case "ping":
        return;
    }
  }

  /** Newest sequences that passed through here. */
  get heads(): ReadonlyMap<string, number> {
    return this.#heads.newest;
  }

  /** How far this user has read, as far as it passed through here. */
  get reads(): ReadonlyMap<string, number> {
    return this.#heads.read;
  }

  /** A socket went away. Only the last one that goes matters. */
  left(): void {
    if (this.#open().size === 0) {
      this.presence.depart();
    }
  }

  /** Dies: its sockets break, its memory is gone, its rows and its alarm stay. */
  crash(): void {
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} crashes`);
    }
    for (const wire of this.#wires) {
      wire.closeFromUser(ABNORMAL);
    }
    this.#wires.clear();
    this.#lose();
    this.forget();
  }

  /** Forgets its memory while nothing is under way; sockets stay. */
  hibernate(): boolean {
    const idleUs = this.#sim.kernel.now - this.#busyAt;
    if (this.presence.fresh || idleUs < IDLE_US || this.busy > 0 || this.calls.size > 0) {
      return false;
    }
    this.#lose();
    this.life += 1;
    return true;
  }

  // ---- calls

  /** Frames to all sockets; answers how many were open. */
  deliver(frames: readonly ServerFrame[], reply: Reply<number>): void {
    const sockets = this.#send(frames);
    if (this.#sim.kernel.verbose) {
      this.#sim.kernel.say(`${this.name} tells ${sockets} sockets ${JSON.stringify(frames)}`);
    }
    reply(sockets);
  }

  /** Messages of one room. A slow or silent receiver has taken them all the same. */
  deliverMessages(
    messages: readonly StoredMessage[],
    reply: Reply<number>,
    range?: { conversationId: string; from: number; to: number },
  ): void {
    const sim = this.#sim;
    sim.ledger.readers.arrives(this.name, messages);
    const last = messages.at(-1);
    if (range === undefined) {
      this.#heads.note(last?.conversationId ?? "", last?.seqId ?? 0);
    } else {
      this.#heads.note(range.conversationId, range.to);
      if (this.#heads.hasPassed(range)) {
        reply(this.#open().size);
        return;
      }
    }
    const sockets = this.#send([messagesFrame(messages)]);
    if (sockets > 0 && range !== undefined) {
      this.#heads.pass(range);
    }
    if (sim.kernel.verbose) {
      const seqIds = messages.map((message) => message.seqId).join(",");
      sim.kernel.say(`${this.name} takes ${last?.conversationId} ${seqIds} for ${sockets} sockets`);
    }
    if (sockets === 0) {
      // A room thought that we are here: after a crash, or in the moment of leaving.
      this.presence.writeLease();
    }
    if (sim.hit("receiverSilent")) {
      return;
    }
    if (sim.hit("receiverSlow")) {
      const { life } = this;
      sim.kernel.after(sim.random.between(100, 8_000) * MS, "slow", this.name, () => {
        if (this.life === life) {
          reply(sockets);
        }
      });
      return;
    }
    reply(sockets);
  }

  // ---- sends

  #newDesk(): SendDesk<Wire> {
    return new SendDesk<Wire>(
      this.#sim.sendLimits,
      {
        append: (conversationId, sends) => this.#append(conversationId, sends),
        taken: () => undefined, // The simulator's sends go to their rooms directly.
        answer: (wire, conversationId, send, outcome) => this.#answer(wire, conversationId, send, outcome),
      },
      this.#sim.kernel.ms,
    );
  }

  #append(conversationId: string, sends: SendCommand[]): void {
    const sim = this.#sim;
    const landed = (outcomes: Result<StoredMessage>[] | "failed"): void => {
      this.#desk.landed(conversationId, outcomes, sim.kernel.ms);
      if (outcomes === "failed" && conversationId !== WORLD_ROOM_ID) {
        // The room may have taken them all the same, and would never deliver them here.
        this.presence.later(() => this.#tellHead(conversationId, TELL_TRIES));
      }
    };
    if (conversationId === WORLD_ROOM_ID) {
      const shard = sim.shardOf(this.name);
      call<Result<StoredMessage>[]>(sim, this, shard, "shard send", (reply) => shard.send(sends, reply), landed);
      return;
    }
    const room = sim.room(conversationId);
    call<Result<StoredMessage>[]>(sim, this, room, "append", (reply) => room.append(sends, reply), landed);
  }

  #answer(wire: Wire, conversationId: string, send: SendCommand, outcome: Result<StoredMessage>): void {
    const sim = this.#sim;
    const { clientMsgId } = send;
    if (!outcome.ok) {
      wire.down([messageError(clientMsgId, conversationId, outcome.fault)]);
      return;
    }
    const message = outcome.value;
    const { messageId, seqId, createdAt } = message;
    wire.down([
      { type: "message-ack", data: { clientMsgId, conversationId, status: "sent", messageId, seqId, createdAt } },
    ]);
    this.#heads.note(conversationId, seqId);
    this.#heads.noteRead(conversationId, seqId);
    // World readers get it with everyone else, from the shard.
    if (conversationId === WORLD_ROOM_ID || this.#echoed.has(messageId)) {
      return;
    }
    this.#echoed.add(messageId);
    if (this.#echoed.size > ECHO_MEMORY) {
      const [oldest] = this.#echoed;
      this.#echoed.delete(oldest ?? "");
    }
    this.#heads.passOwn(conversationId, seqId);
    for (const other of this.#wires) {
      if (other !== wire && sim.plant.noEcho !== true) {
        other.down([{ type: "new-message", data: { message: messageFor(message, this.name) } }]);
      }
    }
  }

  /** Own messages that nobody knows of: clients that hear of a newer head read what they miss. */
  #tellHead(conversationId: string, tries: number): void {
    const sim = this.#sim;
    const room = sim.room(conversationId);
    call<Result<RoomView>>(
      sim,
      this,
      room,
      "view",
      (reply) => room.step((core) => core.view(this.actor), reply),
      (view) => {
        if (view === "failed") {
          if (tries > 0) {
            this.presence.later(() => this.#tellHead(conversationId, tries - 1));
          }
        } else if (view.ok) {
          const { conversation, headSeqId } = view.value;
          this.#heads.note(conversationId, headSeqId);
          this.#send([{ type: "conversation-updated", data: { conversation: { ...conversation, headSeqId } } }]);
        }
      },
    );
  }

  #markRead(
    wire: Wire,
    { id: ref, data: { conversationId, seqId } }: Extract<ClientFrame, { type: "mark-read" }>,
  ): void {
    const sim = this.#sim;
    const room = sim.room(conversationId);
    if (conversationId === WORLD_ROOM_ID) {
      return;
    }
    call<number | undefined>(
      sim,
      this,
      room,
      "markRead",
      (reply) =>
        room.step(
          (core, now) => {
            const marked = markRead(core, this.actor, seqId, false, now);
            return marked.ok ? marked.value.value.readSeqId : undefined;
          },
          (readSeqId) => {
            if (typeof readSeqId === "number") {
              sim.ledger.read(room.id, this.name, readSeqId);
            }
            reply(readSeqId);
          },
        ),
      (readSeqId) => {
        if (readSeqId === "failed") {
          wire.down([{ type: "error", data: { error: toWireError({ name: "UNAVAILABLE" }, "r"), ref } }]);
        } else if (readSeqId !== undefined) {
          this.#heads.noteRead(conversationId, readSeqId);
          const data = { conversationId, userId: this.name, readSeqId };
          for (const other of this.#open()) {
            if (other !== wire) {
              other.down([{ type: "message-read-receipt", data }]);
            }
          }
        }
      },
    );
  }

  // ---- small things

  #send(frames: readonly ServerFrame[]): number {
    this.#sim.mayDie("sessionCrash", this, () => this.crash());
    this.#busyAt = this.#sim.kernel.now;
    for (const wire of this.#open()) {
      wire.down(frames);
    }
    return this.#wires.size;
  }

  #open(): ReadonlySet<Wire> {
    for (const wire of this.#wires) {
      if (!wire.serverOpen) {
        this.#wires.delete(wire);
      }
    }
    return this.#wires;
  }

  /** `connected` makes a client ask for what it missed: sent again when presence was late. */
  #greet(wires: readonly Wire[]): void {
    const data = {
      userId: this.name,
      deviceId: "d",
      serverTime: this.#sim.kernel.ms,
      heartbeatSeconds: HEARTBEAT_SECONDS,
    };
    for (const wire of wires) {
      wire.down([{ type: "connected", data }]);
    }
  }

  #lose(): void {
    this.#desk = this.#newDesk();
    this.#heads = new SessionHeads();
    this.#echoed.clear();
    this.presence.lose();
  }
}
