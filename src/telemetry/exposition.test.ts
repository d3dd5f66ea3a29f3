import { describe, it } from "vitest";
import { addTo, expose, growth, joinGauges } from "./exposition.ts";

describe("sums over isolates", () => {
  it("add what has grown, and all of what began anew", ({ expect }) => {
    expect(growth({}, { a: 2, b: 0 })).toEqual({ a: 2 });
    expect(growth({ a: 2, b: 5 }, { a: 5, b: 5 })).toEqual({ a: 3 });
    expect(growth({ a: 9 }, { a: 1 })).toEqual({ a: 1 });
    const sums = { a: 1 };
    addTo(sums, { a: 2, b: 3 });
    expect(sums).toEqual({ a: 3, b: 3 });
  });

  it("join gauges by sum, or by the largest where that is what counts", ({ expect }) => {
    const joined = joinGauges(
      [
        { n: 1, 'age{x="1"}': 5 },
        { n: 2, 'age{x="1"}': 3 },
      ],
      new Set(["age"]),
    );
    expect(joined).toEqual({ n: 3, 'age{x="1"}': 5 });
  });
});

describe("the text", () => {
  it("has each family once with its samples, histograms with theirs, and nothing unknown", ({ expect }) => {
    const text = expose(
      [
        { name: "a_total", kind: "counter", help: "A." },
        { name: "h_seconds", kind: "histogram", help: "H." },
        { name: "h_seconds_extra", kind: "gauge", help: "Of its own." },
      ],
      {
        'a_total{code="1"}': 2,
        'h_seconds_bucket{le="+Inf"}': 1,
        h_seconds_sum: 0.5,
        h_seconds_count: 1,
        h_seconds_extra: 4,
        from_another_release: 9,
      },
    );
    expect(text).toBe(`# HELP a_total A.
# TYPE a_total counter
a_total{code="1"} 2
# HELP h_seconds H.
# TYPE h_seconds histogram
h_seconds_bucket{le="+Inf"} 1
h_seconds_sum 0.5
h_seconds_count 1
# HELP h_seconds_extra Of its own.
# TYPE h_seconds_extra gauge
h_seconds_extra 4
`);
  });
});
