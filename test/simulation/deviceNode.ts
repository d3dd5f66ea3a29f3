/** A device: the SDK's real core (`sdk/src/core`), on the simulated network and the simulated clock. */
import { ClientCore, type ClientEffect, type PendingRow, type Steps } from "../../sdk/src/core/index.ts";
import { ConversationList } from "../../sdk/src/list.ts";
import { toWireError } from "../../src/protocol/errors.ts";
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import { MS } from "./kernel.ts";
import type { Sim } from "./sim.ts";
import { restHistory } from "./history.ts";
import type { UserNode } from "./userNode.ts";
import { Wire } from "./wire.ts";

export class DeviceNode {
  readonly name: string;
  readonly user: UserNode;
  readonly core: ClientCore;
  /** What its person sees of conversations: the SDK's own list. */
  readonly list: ConversationList;
  readonly #sim: Sim;
  #wire: Wire | undefined;
  #queue: ClientEffect[] = [];
  #running = false;
  #timerAt = Infinity;
  /** Last sequence shown, by conversation: the ledger's. */
  readonly emitted = new Map<string, number>();
  /** Messages, by place, that were pushed when they had reactions already: a push has none, see README.md. */
  readonly bare = new Set<string>();
  /** Finished the sync of its present connection. */
  synced = false;

  constructor(sim: Sim, name: string, user: UserNode) {
    this.name = name;
    this.user = user;
    this.#sim = sim;
    this.core = new ClientCore({ random: sim.random.unit, ...sim.clientOptions });
    this.list = new ConversationList(() => this.core.userId, {
      messages: (conversationId) => this.core.messages(conversationId),
      readSeqId: (conversationId) => this.core.readSeqId(conversationId),
    });
    sim.plant.client?.(this.core, this);
  }

  get online(): boolean {
    return this.core.state === "online" && this.synced;
  }

  // ---- what its person does

  connect(): void {
    this.#run(this.core.connect(this.#sim.kernel.ms));
  }

  disconnect(): void {
    this.#run(this.core.disconnect(this.#sim.kernel.ms));
    this.synced = false;
  }

  send(row: PendingRow): void {
    this.#run(this.core.send(row, this.#sim.kernel.ms));
  }

  markRead(conversationId: string, seqId: number): void {
    this.list.read(conversationId, Math.min(seqId, this.core.head(conversationId) ?? seqId));
    this.#run(this.core.markRead(conversationId, seqId, this.#sim.kernel.ms));
  }

  /** A frame past the client core, as a script has it. */
  say(frame: ClientFrame): void {
    this.#wire?.up(frame);
  }

  // ---- what the network says

  opened(wire: Wire): void {
    if (wire === this.#wire) {
      this.#run(this.core.socketOpened("", this.#sim.kernel.ms));
    }
  }

  frames(wire: Wire, frames: readonly ServerFrame[]): void {
    for (const frame of frames) {
      if (wire === this.#wire) {
        this.#sim.ledger.frame(this, frame);
        this.#sim.onFrame?.(this, frame);
        this.#run(this.core.frame("", frame, this.#sim.kernel.ms));
      }
    }
  }

  closed(wire: Wire, code: number): void {
    if (wire === this.#wire) {
      this.#wire = undefined;
      this.synced = false;
      this.#run(this.core.socketClosed("", code, this.#sim.kernel.ms));
    }
  }

  /** Nothing gets through any more, and neither end is told. */
  cut(): void {
    this.#wire?.cut();
  }

  get connected(): boolean {
    return this.#wire !== undefined;
  }

  // ---- effects

  /** In order; what an effect leads to is queued behind the effects before it. */
  #run(steps: Steps): void {
    this.#queue.push(...steps);
    if (this.#running) {
      return;
    }
    this.#running = true;
    for (let effect = this.#queue.shift(); effect !== undefined; effect = this.#queue.shift()) {
      this.#carryOut(effect);
    }
    this.#running = false;
  }

  #carryOut(effect: ClientEffect): void {
    const sim = this.#sim;
    switch (effect.kind) {
      case "open":
        this.#wire?.closeFromDevice();
        this.#wire = new Wire(sim, this, this.user);
        this.#wire.open();
        return;
      case "close":
        this.#wire?.closeFromDevice();
        this.#wire = undefined;
        this.synced = false;
        return;
      case "frame": {
        const { frame } = effect;
        if (frame.type === "send-message") {
          sim.ledger.leavesDevice(this, frame.data.clientMsgId);
        }
        this.#wire?.up(sim.plant.clientFrame?.(frame, sim) ?? frame);
        return;
      }
      case "loadHistory":
        return this.#loadHistory(effect.conversationId, effect.after, effect.limit);
      case "refreshToken":
        // Tokens are not simulated: the answer to a doubt is that all is well.
        return;
      case "timer":
        return this.#armTimer(effect.at);
      case "emit":
        if (sim.kernel.verbose && effect.event.type !== "frame" && effect.event.type !== "item") {
          const what =
            effect.event.type === "message"
              ? `${effect.event.conversationId} ${effect.event.message.seqId}`
              : JSON.stringify(effect.event);
          sim.kernel.say(`${this.name} emits ${effect.event.type} ${what}`);
        }
        if (effect.event.type === "synced") {
          this.synced = true;
        }
        this.list.apply(effect.event);
        sim.ledger.event(this, effect.event);
    }
  }

  #loadHistory(conversationId: string, after: number, limit: number): void {
    const { kernel, random } = this.#sim;
    const way = (): number => random.between(2, 30) * MS;
    const failed = (): void => this.#run(this.core.historyFailed(conversationId, undefined, kernel.ms));
    if (this.#sim.isCutOff(this)) {
      kernel.after(random.between(1, 10) * 1_000 * MS, "rest timeout", this.name, failed);
      return;
    }
    kernel.after(way(), "rest", this.name, () => {
      let answered = false;
      const once = (step: () => void): void => {
        if (!answered) {
          answered = true;
          step();
        }
      };
      // A process that dies takes the request with it: the client's own timeout ends the wait.
      kernel.after(10_000 * MS, "rest timeout", this.name, () => once(failed), true);
      restHistory(this.#sim, this.user, conversationId, { after, limit }, (page) => {
        kernel.after(way(), "rest answer", this.name, () =>
          once(() => {
            if (page === undefined) {
              failed();
            } else if (Array.isArray(page)) {
              this.#sim.ledger.readers.page(this, page);
              this.#run(this.core.historyLoaded(conversationId, after, page, kernel.ms));
            } else {
              this.#run(this.core.historyFailed(conversationId, toWireError(page, "r"), kernel.ms));
            }
          }),
        );
      });
    });
  }

  /** The core may ask for an earlier time; a later wish is kept until the earlier one has come. */
  #armTimer(at: number): void {
    if (at === Infinity || at >= this.#timerAt) {
      return;
    }
    this.#timerAt = at;
    const { kernel } = this.#sim;
    kernel.after(
      Math.max(0, (at - kernel.ms) * MS),
      "client timer",
      this.name,
      () => {
        if (this.#timerAt === at) {
          this.#timerAt = Infinity;
          this.#run(this.core.timer(kernel.ms));
        }
      },
      true,
    );
  }
}
