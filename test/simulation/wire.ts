/**
 * The connection between a device and its user object. Frames keep their order and arrive once, as
 * TCP promises, unless a fault says otherwise; what is lost is lost together with the connection.
 */
import type { ClientFrame, ServerFrame } from "../../src/protocol/frames.ts";
import type { DeviceNode } from "./deviceNode.ts";
import { MS, SECOND } from "./kernel.ts";
import type { Sim } from "./sim.ts";
import type { UserNode } from "./userNode.ts";

/** Close code of a connection that ended without a word. */
const ABNORMAL = 1006;

export class Wire {
  readonly #sim: Sim;
  readonly device: DeviceNode;
  readonly user: UserNode;
  /** As the user object sees it; a ghost stays open long after its client is gone. */
  serverOpen = false;
  /** As the device sees it. */
  clientOpen = true;
  /** Nothing gets through any more, in either direction. */
  #dead = false;
  #lastUpAt = 0;
  #lastDownAt = 0;
  /** Virtual microseconds; what the ghost sweep looks at. */
  lastPingAt = 0;

  constructor(sim: Sim, device: DeviceNode, user: UserNode) {
    this.#sim = sim;
    this.device = device;
    this.user = user;
  }

  /** The device asks for an upgrade. */
  open(): void {
    const { kernel, random } = this.#sim;
    if (this.#sim.isCutOff(this.device)) {
      if (random.chance(0.5)) {
        kernel.after(random.between(1, 50) * MS, "refused", this.device.name, () => this.#clientSeesEnd(ABNORMAL));
      }
      return;
    }
    kernel.after(random.between(2, 30) * MS, "upgrade", this.user.name, () => {
      if (this.#dead || this.#sim.isCutOff(this.device)) {
        return;
      }
      if (!this.clientOpen) {
        return;
      }
      this.serverOpen = true;
      this.lastPingAt = kernel.now;
      this.#carry("down", "opened", false, () => this.device.opened(this));
      this.user.accept(this);
    });
  }

  // ---- frames

  /** From the user object, in one piece. */
  down(frames: readonly ServerFrame[]): void {
    if (!this.serverOpen) {
      return;
    }
    this.#carry("down", "frame", true, () => this.device.frames(this, frames));
  }

  /** From the device. */
  up(frame: ClientFrame): void {
    if (!this.clientOpen) {
      return;
    }
    if (frame.type === "ping") {
      this.#ping();
      return;
    }
    this.#carry("up", "frame", true, () => this.user.frame(this, frame));
  }

  /** Answered without waking the object. */
  #ping(): void {
    const { kernel, random } = this.#sim;
    if (!this.#dead) {
      kernel.after(
        random.between(1, 20) * MS,
        "ping",
        this.user.name,
        () => {
          if (!this.#dead && this.serverOpen) {
            this.lastPingAt = kernel.now;
            kernel.after(
              random.between(1, 20) * MS,
              "pong",
              this.device.name,
              () => {
                if (!this.#dead && this.clientOpen) {
                  this.device.frames(this, [{ type: "pong" }]);
                }
              },
              true,
            );
          }
        },
        true,
      );
    }
  }

  #carry(way: "up" | "down", kind: string, faulty: boolean, arrive: () => void): void {
    const sim = this.#sim;
    const { kernel, random } = sim;
    if (this.#dead) {
      return;
    }
    if (faulty && sim.hit("frameLost")) {
      this.#break();
      return;
    }
    const who = way === "up" ? this.user.name : this.device.name;
    const land = (): void => {
      const open = way === "up" ? this.serverOpen : this.clientOpen;
      if (open && !this.#dead) {
        arrive();
      }
    };
    let us = random.chance(0.03) ? random.between(20, 120) * MS : random.between(1, 8) * MS;
    if (faulty && sim.hit("frameDelayed")) {
      us += random.between(100, 3_000) * MS;
    }
    const last = way === "up" ? this.#lastUpAt : this.#lastDownAt;
    const inOrder = Math.max(last + 1, kernel.now + us);
    if (faulty && last > kernel.now && sim.hit("frameReordered")) {
      // It overtakes what is still on its way.
      kernel.after(random.between(1, Math.max(1, last - kernel.now)), kind, who, land);
      return;
    }
    if (way === "up") {
      this.#lastUpAt = inOrder;
    } else {
      this.#lastDownAt = inOrder;
    }
    kernel.after(inOrder - kernel.now, kind, who, land);
    if (faulty && sim.hit("frameDuplicated")) {
      kernel.after(inOrder - kernel.now + random.between(1, 500 * MS), kind, who, land);
    }
  }

  // ---- ends

  /** The network swallows everything; each end finds out in its own time, or by its own pulse. */
  cut(): void {
    this.#dead = true;
  }

  /** As `cut`, but the ends are told soon, as by a reset. */
  #break(): void {
    this.#dead = true;
    const { kernel, random } = this.#sim;
    if (random.chance(0.8)) {
      kernel.after(random.around(700 * MS), "reset", this.device.name, () => this.#clientSeesEnd(ABNORMAL));
    }
    if (random.chance(0.8)) {
      kernel.after(random.around(700 * MS), "reset", this.user.name, () => this.#serverSeesEnd());
    }
  }

  /** The device closes; the user object hears of it, unless nothing gets through. */
  closeFromDevice(): void {
    this.clientOpen = false;
    if (this.#dead) {
      return;
    }
    const { kernel, random } = this.#sim;
    const us = Math.max(this.#lastUpAt + 1 - kernel.now, random.between(1, 20) * MS);
    kernel.after(us, "close", this.user.name, () => this.#serverSeesEnd());
  }

  /** The user object closes it, or died with it. */
  closeFromUser(code: number): void {
    if (!this.serverOpen) {
      return;
    }
    this.serverOpen = false;
    if (this.#dead) {
      return;
    }
    const { kernel, random } = this.#sim;
    if (this.#sim.healed || random.chance(0.93)) {
      kernel.after(random.between(1, 40) * MS, "close", this.device.name, () => this.#clientSeesEnd(code));
    }
    // Else the reset is lost: the device finds out by its heartbeat.
    kernel.after(60 * SECOND, "linger", this.device.name, () => this.cut(), true);
  }

  #clientSeesEnd(code: number): void {
    if (this.clientOpen) {
      this.clientOpen = false;
      this.device.closed(this, code);
    }
  }

  #serverSeesEnd(): void {
    if (this.serverOpen) {
      this.serverOpen = false;
      this.user.left();
    }
  }
}
