import fc from "fast-check";
import { describe, it } from "vitest";
import { Lane } from "./lane.ts";

describe("a lane", () => {
  it("sends the first at once, and in the next flight all that came meanwhile", ({ expect }) => {
    const lane = new Lane<number>({ flight: 10, waiting: 10 });
    lane.offer(1);
    expect(lane.depart()).toEqual([1]);
    lane.offer(2);
    lane.offer(3);
    expect(lane.depart()).toBeUndefined();
    expect(lane.land()).toEqual([1]);
    expect(lane.depart()).toEqual([2, 3]);
  });

  it("refuses when as many wait as may, and takes again when a flight has left", ({ expect }) => {
    const lane = new Lane<number>({ flight: 2, waiting: 3 });
    expect([1, 2, 3, 4].map((item) => lane.offer(item))).toEqual([true, true, true, false]);
    lane.depart();
    // Those in the air no longer wait.
    expect([5, 6, 7].map((item) => lane.offer(item))).toEqual([true, true, false]);
    expect(lane.land()).toEqual([1, 2]);
    expect(lane.depart()).toEqual([3, 5]);
  });

  it("gives up what waits, and nothing of what flies", ({ expect }) => {
    const lane = new Lane<number>({ flight: 1, waiting: 10 });
    [1, 2, 3].forEach((item) => lane.offer(item));
    lane.depart();
    expect(lane.abandon()).toEqual([2, 3]);
    expect(lane.idle).toBe(false);
    expect(lane.land()).toEqual([1]);
    expect(lane.idle).toBe(true);
    expect(lane.depart()).toBeUndefined();
  });

  it("lands nothing when nothing flies", ({ expect }) => {
    const lane = new Lane<number>({ flight: 1, waiting: 1 });
    expect(lane.land()).toEqual([]);
    lane.offer(1);
    expect(lane.land()).toEqual([]);
    expect(lane.depart()).toEqual([1]);
  });

  it("keeps the order, loses nothing and flies one flight at a time, whatever happens", ({ expect }) => {
    const step = fc.constantFrom("offer", "offer", "offer", "depart", "land");
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 8 }),
        fc.array(step),
        (flight, waiting, steps) => {
          const lane = new Lane<number>({ flight, waiting });
          const taken: number[] = [];
          const landed: number[] = [];
          let inAir = 0;
          steps.forEach((what, item) => {
            if (what === "offer" && lane.offer(item)) {
              taken.push(item);
            } else if (what === "depart") {
              const left = lane.depart();
              expect(left === undefined || (inAir === 0 && left.length <= flight)).toBe(true);
              inAir = left?.length ?? inAir;
            } else if (what === "land") {
              landed.push(...lane.land());
              inAir = 0;
            }
          });
          while (!lane.idle) {
            landed.push(...lane.land());
            lane.depart();
          }
          expect(landed).toEqual(taken);
        },
      ),
    );
  });
});
