import fc from "fast-check";
import { describe, it } from "vitest";
import { fullBucket, takeToken, takeTokens, type Bucket, type Rate } from "./rate.ts";

const NOW = 1_700_000_000_000;
const sends: Rate = { perSecond: 20, burst: 40 };

const anyRate = fc.record({
  perSecond: fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.double({ min: 0.01, max: 100, noNaN: true })),
  burst: fc.integer({ min: 1, max: 200 }),
});
function drain(bucket: Bucket, rate: Rate): void {
  while (takeToken(bucket, rate, NOW) === 0) {
    // One more was there.
  }
}

const pauses = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 60 });

describe("a bucket", () => {
  it("gives its burst at once, then what comes back", ({ expect }) => {
    const bucket = fullBucket(sends, NOW);
    const waits = Array.from({ length: 41 }, () => takeToken(bucket, sends, NOW));
    expect(waits.slice(0, 40)).toEqual(Array.from({ length: 40 }, () => 0));
    expect(waits[40]).toBe(50);
    expect(takeToken(bucket, sends, NOW + 49)).toBe(1);
    expect(takeToken(bucket, sends, NOW + 50)).toBe(0);
    expect(takeToken(bucket, sends, NOW + 50)).toBe(50);
  });

  it("saves no more than its burst, however long nobody came", ({ expect }) => {
    const bucket = fullBucket(sends, NOW);
    const later = NOW + 365 * 24 * 3_600_000;
    const passed = Array.from({ length: 100 }, () => takeToken(bucket, sends, later)).filter((waitMs) => waitMs === 0);
    expect(passed).toHaveLength(40);
  });

  it("is not emptied by those whom it refuses", ({ expect }) => {
    const rate = { perSecond: 1, burst: 1 };
    const bucket = fullBucket(rate, NOW);
    takeToken(bucket, rate, NOW);
    for (let ms = 100; ms < 1_000; ms += 100) {
      expect(takeToken(bucket, rate, NOW + ms)).toBe(1_000 - ms);
    }
    expect(takeToken(bucket, rate, NOW + 1_000)).toBe(0);
  });

  it("gives many tokens at once or none of them", ({ expect }) => {
    const rate = { perSecond: 10, burst: 20 };
    const bucket = fullBucket(rate, NOW);
    expect([takeToken(bucket, rate, NOW, 15), takeToken(bucket, rate, NOW, 15)]).toEqual([0, 1_000]);
    expect(takeToken(bucket, rate, NOW, 5)).toBe(0);
    expect([takeToken(bucket, rate, NOW + 1_499, 15), takeToken(bucket, rate, NOW + 1_500, 15)]).toEqual([1, 0]);
  });

  it("names a time that holds: whoever waits so long and is alone passes", ({ expect }) => {
    fc.assert(
      fc.property(anyRate, pauses, (rate, gaps) => {
        const bucket = fullBucket({ ...rate, burst: 1 }, NOW);
        let now = NOW;
        for (const gap of gaps) {
          now += gap;
          const waitMs = takeToken(bucket, rate, now);
          expect(waitMs).toBeGreaterThanOrEqual(0);
          if (waitMs > 0) {
            now += waitMs;
            expect(takeToken(bucket, rate, now)).toBe(0);
          }
        }
      }),
      { numRuns: 500 },
    );
  });

  it("keeps the time that it named, however often somebody asks before", ({ expect }) => {
    fc.assert(
      fc.property(anyRate, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }), (rate, gaps) => {
        const bucket = fullBucket(rate, NOW);
        drain(bucket, rate);
        const until = NOW + takeToken(bucket, rate, NOW);
        for (let now = NOW, n = 0; n < gaps.length; n++) {
          now += gaps[n] ?? 1;
          if (now < until) {
            expect(now + takeToken(bucket, rate, now)).toBeLessThanOrEqual(until);
          }
        }
        expect(takeToken(bucket, rate, until)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it("lets through no more than burst and rate allow, whatever the pauses", ({ expect }) => {
    fc.assert(
      fc.property(anyRate, pauses, (rate, gaps) => {
        const bucket = fullBucket(rate, NOW);
        let now = NOW;
        let passed = 0;
        for (const gap of gaps) {
          now += gap;
          passed += takeToken(bucket, rate, now) === 0 ? 1 : 0;
          expect(passed).toBeLessThanOrEqual(rate.burst + ((now - NOW) * rate.perSecond) / 1_000 + 1e-6);
        }
      }),
    );
  });
});

describe("two limits together", () => {
  const slow: Rate = { perSecond: 1, burst: 2 };

  it("take of both or of none: a refusal by one costs nothing at the other", ({ expect }) => {
    const narrow = { bucket: fullBucket(slow, NOW), rate: slow };
    const wide = { bucket: fullBucket(sends, NOW), rate: sends };
    drain(wide.bucket, sends);
    expect(takeTokens([narrow, wide], NOW)).toBe(50);
    expect(takeTokens([narrow, wide], NOW + 50)).toBe(0);
    expect(takeTokens([narrow, wide], NOW + 100)).toBe(0);
    // The narrow one is empty now, and its refusals leave the wide one alone.
    expect(takeTokens([narrow, wide], NOW + 150)).toBe(900);
    expect(takeToken(wide.bucket, sends, NOW + 150)).toBe(0);
  });

  it("name the longer of their times", ({ expect }) => {
    const narrow = { bucket: { tokens: 0, at: NOW }, rate: slow };
    const wide = { bucket: { tokens: 0, at: NOW }, rate: sends };
    expect(takeTokens([narrow, wide], NOW)).toBe(1_000);
    expect(takeTokens([wide, narrow], NOW)).toBe(1_000);
  });
});

describe("a clock that goes back", () => {
  it("locks nobody out, and gives nothing by going back", ({ expect }) => {
    const bucket = fullBucket(sends, NOW);
    for (let n = 0; n < 40; n++) {
      takeToken(bucket, sends, NOW);
    }
    const earlier = NOW - 3_600_000;
    expect(takeToken(bucket, sends, earlier)).toBe(50);
    expect(takeToken(bucket, sends, earlier + 50)).toBe(0);
  });
});
