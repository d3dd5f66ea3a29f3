import { describe, it } from "vitest";
import { Counter, CounterBy, Gauge, Histogram, Lately, type Meter, type Samples } from "./meters.ts";

function samplesOf(meter: Meter): Samples {
  const samples: Samples = {};
  meter.collect(samples);
  return samples;
}

describe("meters", () => {
  it("count, in all and by a label", ({ expect }) => {
    const counter = new Counter("a_total", "");
    counter.add();
    counter.add(2);
    expect(samplesOf(counter)).toEqual({ a_total: 3 });
    const by = new CounterBy("b_total", "code", "");
    by.add("1008");
    by.add("1008", 4);
    by.add('odd"\\\n');
    expect(samplesOf(by)).toEqual({ 'b_total{code="1008"}': 5, 'b_total{code="odd___"}': 1 });
  });

  it("sort times into buckets that hold all below their end", ({ expect }) => {
    const histogram = new Histogram("h_seconds", "");
    for (const ms of [0.5, 1, 30, 60_000, -5]) {
      histogram.observeMs(ms);
    }
    histogram.observeMs(150, 10);
    const samples = samplesOf(histogram);
    expect(samples['h_seconds_bucket{le="0.001"}']).toBe(3);
    expect(samples['h_seconds_bucket{le="0.025"}']).toBe(3);
    expect(samples['h_seconds_bucket{le="0.05"}']).toBe(4);
    expect(samples['h_seconds_bucket{le="0.2"}']).toBe(14);
    expect(samples['h_seconds_bucket{le="30"}']).toBe(14);
    expect(samples['h_seconds_bucket{le="+Inf"}']).toBe(15);
    expect(samples["h_seconds_count"]).toBe(15);
    expect(samples["h_seconds_sum"]).toBeCloseTo(61.5315);
  });

  it("read gauges when asked", ({ expect }) => {
    let value = 1;
    const gauge = new Gauge("g", "", () => [
      [{}, value],
      [{ dependency: "sql", state: "open" }, 2],
    ]);
    value = 7;
    expect(samplesOf(gauge)).toEqual({ g: 7, 'g{dependency="sql",state="open"}': 2 });
  });

  it("cost nanoseconds", ({ expect }) => {
    const counter = new Counter("a_total", "");
    const histogram = new Histogram("h_seconds", "");
    const began = performance.now();
    for (let n = 0; n < 200_000; n++) {
      counter.add();
      histogram.observeMs(n % 100);
    }
    // 0.4 million calls: 5 µs each would be a hundred times what they take.
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe("what was said lately", () => {
  it("counts until it is taken back, said anew, or too old", ({ expect }) => {
    const lately = new Lately(1_000);
    lately.say("a", 2, 0);
    lately.say("b", 5, 500);
    lately.say("a", 3, 600);
    expect([lately.sum(600), lately.max(600), lately.has("b")]).toEqual([8, 5, true]);
    expect([lately.sum(1_501), lately.max(1_501), lately.has("b")]).toEqual([3, 3, false]);
    lately.say("a", 0, 1_502);
    expect([lately.sum(1_502), lately.has("a")]).toEqual([0, false]);
  });
});
