import { describe, it } from "vitest";
import { breakersIn, consumedIn, type Overview } from "./overview.ts";

const NOTHING: Overview = { totals: {}, gauges: {}, isolates: 0 };

describe("what all isolates say", () => {
  it("names the worst state of each breaker in any of them", ({ expect }) => {
    const gauges = {
      'gochat_breaker_state{dependency="sql",state="closed"}': 3,
      'gochat_breaker_state{dependency="sql",state="open"}': 1,
      'gochat_breaker_state{dependency="sql",state="half-open"}': 1,
      'gochat_breaker_state{dependency="cache",state="closed"}': 2,
      'gochat_breaker_state{dependency="cache",state="half-open"}': 1,
      'gochat_breaker_state{dependency="bus",state="closed"}': 5,
      'gochat_breaker_state{dependency="bus",state="open"}': 0,
    };
    expect(breakersIn({ ...NOTHING, gauges })).toEqual({ sql: "open", cache: "half-open", bus: "closed" });
    expect(breakersIn(NOTHING)).toEqual({});
  });

  it("sums what consumers have answered, by topic", ({ expect }) => {
    const totals = {
      'gochat_bus_consumed_total{topic="gochat.messages.persist"}': 7,
      'gochat_bus_consume_failures_total{topic="gochat.messages.persist"}': 2,
      'gochat_bus_consumed_total{topic="gochat.user-events"}': 1,
    };
    expect(consumedIn({ ...NOTHING, totals }, "gochat.messages.persist")).toEqual({ handled: 7, failed: 2 });
    expect(consumedIn({ ...NOTHING, totals }, "gochat.friend-events")).toEqual({ handled: 0, failed: 0 });
  });
});
