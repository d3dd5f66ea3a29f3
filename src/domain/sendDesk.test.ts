import { describe, it } from "vitest";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { SendCommand } from "./commands.ts";
import { WORLD_ROOM_ID, type StoredMessage } from "./records.ts";
import { SendDesk, type SendLimits } from "./sendDesk.ts";

const NOW = 1_700_000_000_000;
const ROOM = "group_1";
const plenty = { perSecond: 10_000, burst: 10_000 };
const usual: SendLimits = {
  sends: { perSecond: 20, burst: 40 },
  world: { perSecond: 1, burst: 5 },
  lane: { flight: 64, waiting: 256 },
};
const unlimited: SendLimits = { ...usual, sends: plenty, world: plenty };

function stored(conversationId: string, { clientMsgId }: Pick<SendCommand, "clientMsgId">): StoredMessage {
  return {
    messageId: `m-${clientMsgId}`,
    conversationId,
    seqId: 1,
    senderId: "u1",
    messageType: "text",
    content: clientMsgId,
    createdAt: NOW,
    clientMsgId,
  };
}

/** A desk whose flights land when the test says so; tickets are the keys themselves. */
class Harness {
  readonly flights: { room: string; keys: string[] }[] = [];
  /** `key sent`, or `key ERROR retryAfterMs`. */
  readonly answers: string[] = [];
  readonly desk: SendDesk<string>;
  now = NOW;
  #inAir = new Map<string, SendCommand[]>();

  constructor(limits: SendLimits) {
    this.desk = new SendDesk<string>(
      limits,
      {
        append: (room, sends) => {
          this.flights.push({ room, keys: sends.map((send) => send.clientMsgId) });
          this.#inAir.set(room, sends);
        },
        taken: (ticket) => this.answers.push(`${ticket} sending`),
        answer: (ticket, _room, _send, outcome) => {
          const text = outcome.ok ? "sent" : `${outcome.fault.name} ${outcome.fault.retryAfterMs ?? ""}`.trimEnd();
          this.answers.push(`${ticket} ${text}`);
        },
      },
      this.now,
    );
  }

  send(...keys: string[]): this {
    return this.sendTo(ROOM, ...keys);
  }

  sendTo(room: string, ...keys: string[]): this {
    for (const key of keys) {
      const command: SendCommand = {
        actor: { userId: "u1", isGuest: false, isAdmin: false },
        clientMsgId: key,
        messageType: "text",
        content: key,
      };
      this.desk.submit(key, room, command, this.now);
    }
    return this;
  }

  /** The bus takes the flight in the air. */
  take(room = ROOM): this {
    this.#inAir.delete(room);
    this.desk.taken(room, this.now);
    return this;
  }

  /** What the bus had is answered; false: nobody waited for it. */
  settle(key: string, outcome: Result<StoredMessage> = ok(stored(ROOM, { clientMsgId: key })), room = ROOM): boolean {
    return this.desk.settle(room, key, outcome, this.now);
  }

  /** The flight in the air comes back, everything in it accepted unless `of` says otherwise. */
  land(room = ROOM, of: (key: string) => Result<StoredMessage> | undefined = () => undefined): this {
    const sends = this.#inAir.get(room) ?? [];
    this.desk.landed(
      room,
      sends.map((send) => of(send.clientMsgId) ?? ok(stored(room, send))),
      this.now,
    );
    return this;
  }

  lose(room = ROOM): this {
    this.desk.landed(room, "failed", this.now);
    return this;
  }

  pass(ms: number): this {
    this.now += ms;
    return this;
  }

  get flownTo(): string[] {
    return this.flights.map(({ room, keys }) => `${room}: ${keys.join(" ")}`);
  }

  /** Takes the answers so far. */
  heard(): string[] {
    return this.answers.splice(0);
  }
}

describe("flights to a room", () => {
  it("leave at once when none is in the air, and the next carries all that came meanwhile", ({ expect }) => {
    const { flownTo } = new Harness(usual).send("a", "b", "c").land();
    expect(flownTo).toEqual([`${ROOM}: a`, `${ROOM}: b c`]);
  });

  it("do not wait for one another", ({ expect }) => {
    const { flownTo } = new Harness(usual).send("a").sendTo("other", "b").sendTo("third", "c");
    expect(flownTo).toEqual([`${ROOM}: a`, "other: b", "third: c"]);
  });

  it("answer each send once, in its order, refusals among them", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b", "c", "d").land();
    desk.land(ROOM, (key) => (key === "c" ? err({ name: "DUPLICATE_MESSAGE" }) : undefined));
    expect(desk.answers).toEqual(["a sent", "b sent", "c DUPLICATE_MESSAGE", "d sent"]);
  });

  it("do not stop behind a refusal that stands for good", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b");
    desk.land(ROOM, () => err({ name: "PERMISSION_DENIED" })).land();
    desk.send("c");
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: b`, `${ROOM}: c`]);
  });

  it("leave nobody without an answer when the room answers too little", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b", "c").land();
    desk.desk.landed(ROOM, [], NOW);
    expect(desk.answers).toEqual(["a sent", "b INTERNAL", "c INTERNAL"]);
  });

  it("answer nothing twice when an answer comes that nobody waits for", ({ expect }) => {
    const desk = new Harness(usual).send("a").land();
    desk.desk.landed(ROOM, "failed", NOW);
    desk.desk.landed("never seen", "failed", NOW);
    expect(desk.answers).toEqual(["a sent"]);
  });
});

describe("a flight that was lost", () => {
  it("takes what waited behind it along, so that nothing overtakes it", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b", "c").lose();
    expect(desk.heard()).toEqual(["a UNAVAILABLE 1000", "b UNAVAILABLE 1000", "c UNAVAILABLE 1000"]);
    expect(desk.flights).toHaveLength(1);
  });

  it("holds others back until its time has come, and says when that is", ({ expect }) => {
    const desk = new Harness(usual).send("a").lose();
    desk.heard();
    desk.pass(400).send("later");
    expect(desk.heard()).toEqual(["later UNAVAILABLE 600"]);
    desk.pass(600).send("later");
    expect(desk.flownTo.at(-1)).toBe(`${ROOM}: later`);
  });

  it("lets the first of it come again at any time, and then the others", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b").lose();
    desk.pass(1).send("b", "a", "b");
    expect(desk.heard().at(-1)).toBe("b UNAVAILABLE 999");
    desk.land();
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: a`, `${ROOM}: b`]);
  });

  it("says what the room's object said when it had too much to do, with its time", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b");
    desk.desk.landed(ROOM, { name: "RATE_LIMITED", retryAfterMs: 5_000 }, desk.now);
    expect(desk.heard()).toEqual(["a RATE_LIMITED 5000", "b RATE_LIMITED 5000"]);
    desk.pass(4_000).send("c");
    expect(desk.heard()).toEqual(["c RATE_LIMITED 1000"]);
    desk.pass(1_000).send("a").land();
    expect(desk.heard()).toEqual(["a sent"]);
  });

  it("holds back its own room's, in however many rooms this happens", ({ expect }) => {
    const desk = new Harness(unlimited);
    const rooms = Array.from({ length: 1_000 }, (_, n) => `group_${n}`);
    rooms.forEach((room) => desk.sendTo(room, "first").lose(room));
    desk.pass(999).heard();
    rooms.forEach((room) => desk.sendTo(room, "second"));
    expect(desk.heard()).toEqual(rooms.map(() => "second UNAVAILABLE 1"));
  });

  it("holds back nobody in other rooms", ({ expect }) => {
    const desk = new Harness(usual).send("a").lose();
    desk.sendTo("other", "b");
    expect(desk.flownTo.at(-1)).toBe("other: b");
  });

  it("comes before what was refused while it was in the air", ({ expect }) => {
    const desk = new Harness({ ...usual, sends: { perSecond: 10, burst: 2 } }).send("a", "b", "c");
    expect(desk.heard()).toEqual(["c RATE_LIMITED 100"]);
    desk.pass(10).lose();
    // The time of `c` comes first, but `a` and `b` were said before it.
    desk.pass(90).send("c");
    expect(desk.heard()).toEqual(["a UNAVAILABLE 1000", "b UNAVAILABLE 1000", "c UNAVAILABLE 910"]);
    desk.pass(910).send("a", "b").land();
    expect(desk.flownTo.slice(1)).toEqual([`${ROOM}: a`, `${ROOM}: b`]);
  });
});

describe("a send that is to be repeated later", () => {
  it("is not overtaken by what waited behind its flight", ({ expect }) => {
    const desk = new Harness(unlimited).sendTo(WORLD_ROOM_ID, "a", "b", "c");
    // As a shard answers whose own flight was lost.
    desk.land(WORLD_ROOM_ID, () => err({ name: "UNAVAILABLE", retryAfterMs: 300 }));
    expect(desk.heard()).toEqual(["a UNAVAILABLE 300", "b UNAVAILABLE 300", "c UNAVAILABLE 300"]);
    desk.pass(300).sendTo(WORLD_ROOM_ID, "a", "b", "c").land(WORLD_ROOM_ID);
    expect(desk.flights.map(({ keys }) => keys)).toEqual([["a"], ["a"], ["b", "c"]]);
  });

  it("holds with the time of the first of them", ({ expect }) => {
    const desk = new Harness(unlimited).send("first", "a", "b").land();
    desk.land(ROOM, (key) => err({ name: "RATE_LIMITED", retryAfterMs: key === "a" ? 200 : 900 }));
    desk.heard();
    desk.send("c");
    expect(desk.heard()).toEqual(["c RATE_LIMITED 200"]);
  });

  it("is a second when the room names no time", ({ expect }) => {
    const desk = new Harness(unlimited).send("a");
    desk.land(ROOM, () => err({ name: "RATE_LIMITED" })).send("b");
    expect(desk.answers).toEqual(["a RATE_LIMITED", "b RATE_LIMITED 1000"]);
  });
});

describe("limits of a user", () => {
  it("let the burst through, then name a time that holds, for all rooms together", ({ expect }) => {
    const desk = new Harness(usual);
    for (let n = 0; n < 40; n++) {
      desk.sendTo(`group_${n}`, `k${n}`);
    }
    expect(desk.flights).toHaveLength(40);
    desk.sendTo("group_a", "x");
    expect(desk.heard()).toEqual(["x RATE_LIMITED 50"]);
    desk.pass(50).sendTo("group_a", "x");
    expect(desk.flownTo.at(-1)).toBe("group_a: x");
  });

  it("keep the order: what comes after a refused send waits for it", ({ expect }) => {
    const desk = new Harness({ ...usual, sends: { perSecond: 10, burst: 1 } }).send("a", "b").pass(99).send("c");
    expect(desk.heard()).toEqual(["b RATE_LIMITED 100", "c RATE_LIMITED 101"]);
    desk.pass(1).send("b").land();
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: b`]);
  });

  it("name a time that holds for each of several: who comes at theirs passes, in order", ({ expect }) => {
    const desk = new Harness({ ...usual, sends: { perSecond: 10, burst: 1 } }).send("a", "b", "c", "d");
    expect(desk.heard()).toEqual(["b RATE_LIMITED 100", "c RATE_LIMITED 200", "d RATE_LIMITED 300"]);
    // Asking before keeps the place.
    desk.pass(50).send("d", "c");
    expect(desk.heard()).toEqual(["d RATE_LIMITED 250", "c RATE_LIMITED 150"]);
    desk.land().pass(50).send("b").land().pass(100).send("c").land().pass(100).send("d").land();
    expect(desk.heard().filter((text) => text.includes("RATE_LIMITED"))).toEqual([]);
    expect(desk.flownTo).toEqual(["a", "b", "c", "d"].map((key) => `${ROOM}: ${key}`));
  });

  it("are narrower in the world room, and refuse only there", ({ expect }) => {
    const desk = new Harness(usual).sendTo(WORLD_ROOM_ID, "1", "2", "3", "4", "5", "6");
    expect(desk.heard()).toEqual(["6 RATE_LIMITED 1000"]);
    desk.send("elsewhere");
    expect(desk.flownTo).toEqual([`${WORLD_ROOM_ID}: 1`, `${ROOM}: elsewhere`]);
  });

  it("hold in the world room also for one whose other limit was reached", ({ expect }) => {
    const desk = new Harness({ ...usual, sends: { perSecond: 20, burst: 2 }, world: { perSecond: 1, burst: 1 } });
    desk.send("a", "b").sendTo(WORLD_ROOM_ID, "hello");
    expect(desk.heard()).toEqual(["hello RATE_LIMITED 50"]);
    desk.pass(50).sendTo(WORLD_ROOM_ID, "hello");
    expect(desk.heard()).toEqual([]);
    expect(desk.flownTo.at(-1)).toBe(`${WORLD_ROOM_ID}: hello`);
  });

  it("refuse what a full lane cannot take, and keep its order as well", ({ expect }) => {
    const desk = new Harness({ ...unlimited, lane: { flight: 2, waiting: 2 } }).send("a", "b", "c", "d", "e");
    expect(desk.heard()).toEqual(["d RATE_LIMITED 1000", "e RATE_LIMITED 1000"]);
    desk.land().send("e");
    expect(desk.heard()).toEqual(["a sent", "e RATE_LIMITED 1000"]);
    desk.land().send("d", "e").land();
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: b c`, `${ROOM}: d`, `${ROOM}: e`]);
  });
});

describe("a clock that goes back", () => {
  it("holds nobody back for longer than was said", ({ expect }) => {
    const desk = new Harness(usual).send("a").lose();
    desk.heard();
    desk.pass(-3_600_000).send("b");
    expect(desk.heard()).toEqual(["b UNAVAILABLE 1000"]);
    desk.pass(1_000).send("b");
    expect(desk.flownTo.at(-1)).toBe(`${ROOM}: b`);
  });
});

describe("a flight that the bus takes", () => {
  it("lets the next one leave at once; each send hears `sending`, then its answer", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b", "c").take().take();
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: b c`]);
    expect(desk.heard()).toEqual(["a sending", "b sending", "c sending"]);
    expect([desk.settle("a"), desk.settle("b"), desk.settle("c", err({ name: "PERMISSION_DENIED" }))]).toEqual([
      true,
      true,
      true,
    ]);
    expect(desk.heard()).toEqual(["a sent", "b sent", "c PERMISSION_DENIED"]);
  });

  it("is answered once, however often the bus brings the answer", ({ expect }) => {
    const desk = new Harness(usual).send("a").take();
    expect([desk.settle("a"), desk.settle("a"), desk.settle("never sent")]).toEqual([true, false, false]);
    expect(desk.heard()).toEqual(["a sending", "a sent"]);
  });

  it("says `sending` before `sent`, also when the answer is there before the bus has confirmed", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b");
    expect(desk.settle("a")).toBe(true);
    expect(desk.heard()).toEqual([]);
    desk.take();
    expect(desk.heard()).toEqual(["a sending", "a sent"]);
    // The same when it looked as if the bus had not taken it.
    expect(desk.settle("b")).toBe(true);
    desk.lose();
    expect(desk.heard()).toEqual(["b sent"]);
    expect(desk.send("c").flownTo.at(-1)).toBe(`${ROOM}: c`);
  });

  it("answers everybody who waits for a send that was repeated", ({ expect }) => {
    const desk = new Harness(usual).send("a").take().send("a").take();
    desk.heard();
    expect(desk.settle("a")).toBe(true);
    expect(desk.heard()).toEqual(["a sent", "a sent"]);
    expect(desk.settle("a")).toBe(false);
  });

  it("holds back what comes behind, when the bus did not take it", ({ expect }) => {
    const desk = new Harness(usual).send("a", "b").lose();
    expect(desk.heard()).toEqual(["a UNAVAILABLE 1000", "b UNAVAILABLE 1000"]);
    desk.send("b");
    expect(desk.heard()).toEqual(["b UNAVAILABLE 1000"]);
    desk.send("a").send("b").take().take();
    expect(desk.flownTo).toEqual([`${ROOM}: a`, `${ROOM}: a`, `${ROOM}: b`]);
  });

  it("holds back what comes behind one that did not reach its room", ({ expect }) => {
    const desk = new Harness(usual).send("a").take();
    desk.settle("a", err({ name: "UNAVAILABLE", retryAfterMs: 2_000 }));
    desk.send("b");
    expect(desk.heard()).toEqual(["a sending", "a UNAVAILABLE 2000", "b UNAVAILABLE 2000"]);
    expect(desk.send("a").flownTo.at(-1)).toBe(`${ROOM}: a`);
  });

  it("may be waited for no longer, by one of those who do", ({ expect }) => {
    const desk = new Harness(usual).send("a").take();
    desk.heard();
    desk.desk.giveUp(ROOM, "a", "somebody else");
    expect(desk.heard()).toEqual([]);
    desk.desk.giveUp(ROOM, "a", "a");
    desk.desk.giveUp(ROOM, "a", "a");
    expect(desk.heard()).toEqual(["a UNAVAILABLE 1000"]);
    expect(desk.settle("a")).toBe(false);
  });

  it("is bounded: what waits for too long makes room, else the next is refused", ({ expect }) => {
    const keys = Array.from({ length: 1_000 }, (_, n) => `k${n}`);
    const desk = new Harness({ ...unlimited, lane: { flight: 1_000, waiting: 1_000 } })
      .send(...keys)
      .take()
      .take();
    expect(desk.heard()).toHaveLength(1_000);
    desk.send("one more");
    expect(desk.heard()).toEqual(["one more RATE_LIMITED 1000"]);
    desk.pass(30_000).send("k5").take();
    expect(desk.heard()).toEqual(["k5 sending"]);
    desk.pass(30_000).send("one more").take();
    const heard = desk.heard();
    expect(heard).toHaveLength(1_000);
    expect(heard.slice(0, 2)).toEqual(["k0 UNAVAILABLE 1000", "k1 UNAVAILABLE 1000"]);
    expect(heard.at(-1)).toBe("one more sending");
    expect(desk.settle("k5")).toBe(true);
  });
});
