import { describe, it } from "vitest";
import { arrived, departed, looked, told, viewOf, type Look, type PresenceFact } from "./comings.ts";

const START = 1_700_000_000_000;
const OFFLINE_AFTER_MS = 30_000;

/** A user's object with a clock of its own; the bus takes news only when it is told to. */
function user(fact?: PresenceFact) {
  let now = START;
  let ids = 0;
  let state = fact;
  const newId = (): string => `e${++ids}`;
  return {
    get fact(): PresenceFact {
      return state ?? { online: false, awaySince: 0 };
    },
    get now(): number {
      return now;
    },
    pass(ms: number): void {
      now += ms;
    },
    comes(): void {
      state = arrived(state, now, newId);
    },
    goes(): void {
      state = departed(state, now);
    },
    looks(look: Partial<Look> = {}): number | undefined {
      const next = looked(this.fact, { here: false, usedAt: 0, ...look }, now, OFFLINE_AFTER_MS, newId);
      state = next.fact;
      return next.lookInMs;
    },
    /** What the bus gets now. */
    tells(): string {
      const { news } = this.fact;
      if (news === undefined) {
        return "nothing";
      }
      state = told(this.fact, news.eventId);
      return news.online ? "online" : `offline, last seen after ${news.lastSeenAt - START}`;
    },
  };
}

describe("coming and going", () => {
  it("is told once each: online with the first socket, offline a while after the last", ({ expect }) => {
    const ana = user();
    ana.comes();
    expect(ana.tells()).toBe("online");
    expect(ana.tells()).toBe("nothing");
    ana.pass(60_000);
    ana.goes();
    expect([ana.tells(), viewOf(ana.fact).online]).toEqual(["nothing", true]);
    ana.pass(29_999);
    expect([ana.looks(), ana.tells()]).toEqual([1, "nothing"]);
    ana.pass(1);
    expect([ana.looks(), ana.tells()]).toEqual([undefined, "offline, last seen after 60000"]);
    expect(viewOf(ana.fact)).toMatchObject({ online: false, lastSeenAt: START + 60_000 });
    ana.pass(1_000);
    expect([ana.looks(), ana.tells()]).toEqual([undefined, "nothing"]);
    ana.comes();
    expect(ana.tells()).toBe("online");
    expect(viewOf(ana.fact)).not.toHaveProperty("lastSeenAt");
  });

  it("is not told for a quick reconnect, however often, nor for one whose alarm was late", ({ expect }) => {
    const ana = user();
    ana.comes();
    ana.tells();
    const { at } = viewOf(ana.fact);
    for (let n = 0; n < 5; n++) {
      ana.goes();
      ana.pass(29_000);
      ana.comes();
      ana.looks({ here: true });
    }
    ana.goes();
    ana.pass(300_000);
    ana.comes();
    expect([ana.tells(), viewOf(ana.fact)]).toEqual(["nothing", { online: true, at }]);
  });

  it("counts the while from the last time of going, and a late word of an old socket changes nothing", ({ expect }) => {
    const ana = user();
    ana.comes();
    ana.tells();
    ana.goes();
    ana.pass(20_000);
    ana.comes();
    ana.goes();
    ana.pass(20_000);
    // Another close of the same leaving: the while does not begin anew.
    ana.goes();
    expect(ana.looks()).toBe(10_000);
    ana.pass(10_000);
    ana.looks();
    expect(ana.tells()).toBe("offline, last seen after 20000");
    ana.goes();
    expect([ana.looks(), ana.tells(), ana.fact.online]).toEqual([undefined, "nothing", false]);
  });

  it("gives those a while who were here when the server died, and then lets them go", ({ expect }) => {
    const ana = user();
    ana.comes();
    ana.tells();
    ana.pass(3_600_000);
    expect([ana.looks({ usedAt: START + 1_000 }), ana.tells()]).toEqual([OFFLINE_AFTER_MS, "nothing"]);
    ana.pass(10_000);
    ana.comes();
    expect(ana.tells()).toBe("nothing");

    const ben = user(ana.fact);
    ben.pass(7_200_000);
    ben.looks({ usedAt: START + 2_000 });
    ben.pass(OFFLINE_AFTER_MS);
    ben.looks();
    // As far as anybody knows: the last arrival.
    expect(ben.tells()).toBe("offline, last seen after 3610000");
  });

  it("does not wait again for a client that was silent until it was swept", ({ expect }) => {
    const ana = user();
    ana.comes();
    ana.tells();
    ana.pass(100_001);
    expect(ana.looks({ sweptSince: START + 500 })).toBeUndefined();
    expect(ana.tells()).toBe("offline, last seen after 500");
    const ben = user();
    ben.comes();
    ben.tells();
    ben.pass(100_001);
    // One was swept, another device is still here.
    expect([ben.looks({ here: true, sweptSince: START }), ben.tells()]).toEqual([undefined, "nothing"]);
  });

  it("tells what is so when the bus could not be reached: the newest change, under an id and a time of its own", ({
    expect,
  }) => {
    const ana = user();
    ana.comes();
    const first = ana.fact.news;
    ana.goes();
    ana.pass(30_000);
    ana.looks();
    const second = ana.fact.news;
    ana.comes();
    const third = ana.fact.news;
    expect([first?.online, second?.online, third?.online]).toEqual([true, false, true]);
    expect(new Set([first, second, third].map((news) => news?.eventId)).size).toBe(3);
    // An answer about an older one does not take the newer one away.
    expect(told(ana.fact, first?.eventId ?? "").news).toEqual(third);
    expect(ana.tells()).toBe("online");
    expect(ana.tells()).toBe("nothing");
  });

  it("has times that grow, also when the clock goes back", ({ expect }) => {
    const ana = user();
    ana.comes();
    const times = [viewOf(ana.fact).at];
    for (let n = 0; n < 3; n++) {
      ana.pass(-60_000);
      ana.looks({ sweptSince: ana.now - 100_000 });
      times.push(viewOf(ana.fact).at);
      ana.comes();
      times.push(viewOf(ana.fact).at);
    }
    expect(times).toEqual([...new Set(times)].toSorted((a, b) => a - b));
  });

  it("reads what an earlier release wrote", ({ expect }) => {
    const ana = user({ online: true, awaySince: 0 });
    expect(viewOf(ana.fact)).toEqual({ online: true, at: 0 });
    ana.goes();
    ana.pass(30_000);
    ana.looks();
    expect(ana.tells()).toBe("offline, last seen after 0");
    expect(viewOf(undefined)).toEqual({ online: false, at: 0 });
  });
});
