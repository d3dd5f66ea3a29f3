import { describe, test } from "vitest";
import { Harness, syncedItem, wireError } from "../testing/harness.ts";
import { afterClose, retryDelayMs } from "./reconnect.ts";

describe("delays", () => {
  test("full jitter: the first within 300 ms, then from 500 ms up to 15.5 s", ({ expect }) => {
    const highest = () => 0.999_999;
    const lowest = () => 0;
    expect([0, 1, 2, 3, 4, 5, 6, 50].map((failures) => retryDelayMs(failures, lowest))).toEqual([
      0, 500, 500, 500, 500, 500, 500, 500,
    ]);
    expect([0, 1, 2, 3, 4, 5, 6, 50].map((failures) => retryDelayMs(failures, highest))).toEqual([
      299, 1_499, 2_499, 4_499, 8_499, 15_499, 15_499, 15_499,
    ]);
  });

  test("the table of close codes", ({ expect }) => {
    const half = () => 0.5;
    expect(afterClose(4006, 0, half)).toEqual({ kind: "refresh" });
    expect(afterClose(4017, 0, half)).toEqual({ kind: "stop", reason: "banned" });
    expect(afterClose(4018, 0, half)).toEqual({ kind: "stop", reason: "session-replaced" });
    expect(afterClose(4019, 0, half)).toEqual({ kind: "retry", afterMs: 0 });
    expect(afterClose(4019, 1, half)).toEqual({ kind: "retry", afterMs: 1_000 });
    expect(afterClose(4020, 5, half)).toEqual({ kind: "retry", afterMs: 1_000 });
    expect(afterClose(4007, 0, half, 2_000)).toEqual({ kind: "retry", afterMs: 2_150 });
    expect(afterClose(1006, 0, half)).toEqual({ kind: "retry", afterMs: 150 });
    expect(afterClose(4000, 1, half)).toEqual({ kind: "retry", afterMs: 1_000 });
  });
});

describe("life of a connection", () => {
  test("connecting, online, lost, online again", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.do(client.core.connect(client.now));
    expect(client.wishes).toEqual([{ kind: "open", link: "" }]);
    client.greeted();
    client.closed(1006);
    client.pass(150);
    expect(client.wishes).toHaveLength(2);
    client.greeted();
    expect(client.of("state").map((event) => event.state)).toEqual(["connecting", "online", "reconnecting", "online"]);
  });

  test("the back-off ends only with a finished sync and 5 s of life", ({ expect }) => {
    const client = new Harness().online();
    const waits = (): number => {
      const [state] = client.of("state").slice(-1);
      return (state?.retryAt ?? 0) - client.now;
    };
    client.closed(1006);
    expect(waits()).toBe(150);
    client.pass(150);
    client.greeted();
    client.synced();
    client.pass(4_999);
    client.closed(1006);
    expect(waits()).toBe(1_000);
    client.pass(1_000);
    client.greeted();
    client.pass(6_000);
    client.closed(1006);
    expect(waits()).toBe(1_500);
    client.pass(1_500);
    client.greeted();
    client.synced();
    client.pass(5_000);
    client.closed(1006);
    expect(waits()).toBe(150);
  });

  test("pings, hears, and takes silence for death", ({ expect }) => {
    const client = new Harness().online();
    client.pass(30_000);
    expect(client.frames).toEqual([{ type: "ping" }]);
    client.receive({ type: "pong" });
    client.pass(39_999);
    expect(client.wishes).toEqual([]);
    client.pass(1);
    expect(client.wishes).toMatchObject([{ kind: "close", link: "", code: 1000 }]);
    expect(client.of("state").at(-1)).toMatchObject({ state: "reconnecting", reason: "heartbeat" });
    client.closed(1006);
    expect(client.of("state")).toHaveLength(1);
  });

  test("pings once when it is greeted, and not again when the greeting is repeated", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.greeted();
    client.greeted();
    expect(client.frames.map((frame) => frame.type)).toEqual(["ping", "sync", "sync"]);
    client.synced();
    expect(client.core.state).toBe("online");
  });

  test("a socket that never greets is given up", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.pass(15_000);
    expect(client.wishes.at(-1)?.kind).toBe("close");
    client.pass(1_000);
    expect(client.wishes.at(-1)?.kind).toBe("open");
  });

  test("retryNow opens at once, one try", ({ expect }) => {
    const client = new Harness().online();
    client.closed(1006);
    client.do(client.core.retryNow(client.now));
    client.do(client.core.retryNow(client.now));
    client.pass(10_000);
    expect(client.wishes).toEqual([{ kind: "open", link: "" }]);
  });

  test("disconnect keeps what waits and ends what runs", ({ expect }) => {
    const client = new Harness().online(syncedItem([1]));
    client.send("a");
    client.do(client.core.disconnect(client.now));
    expect(client.core.state).toBe("idle");
    expect(client.core.pendingCount).toBe(1);
    client.forget();
    client.pass(3_600_000);
    expect(client.wishes).toEqual([]);
    client.do(client.core.connect(client.now));
    client.greeted();
    expect(client.sent()).toEqual(["a"]);
  });

  test("a rate limit told before the close sets the wait", ({ expect }) => {
    const client = new Harness().online();
    client.receive({
      type: "error",
      data: { error: wireError({ name: "RATE_LIMITED", retry: "later", retryAfterMs: 4_000 }) },
    });
    client.closed(4007);
    client.pass(4_149);
    expect(client.wishes).toEqual([]);
    client.pass(1);
    expect(client.wishes).toHaveLength(1);
  });
});

describe("tokens", () => {
  test("4006 refreshes once; a second refusal means sign in", ({ expect }) => {
    const client = new Harness().online();
    client.closed(4006);
    expect(client.wishes).toEqual([{ kind: "refreshToken", why: "rejected" }]);
    client.do(client.core.tokenRefreshed(client.now));
    expect(client.wishes.at(-1)).toEqual({ kind: "open", link: "" });
    client.closed(4006);
    expect(client.core.state).toBe("needs-auth");
    client.pass(3_600_000);
    expect(client.wishes).toHaveLength(2);
  });

  test("an accepted token may be refreshed again later", ({ expect }) => {
    const client = new Harness().online();
    for (let round = 0; round < 3; round++) {
      client.closed(4006);
      client.do(client.core.tokenRefreshed(client.now));
      client.greeted();
    }
    expect(client.core.state).toBe("online");
  });

  test("a refresh that reaches nobody is tried again with the next connection", ({ expect }) => {
    const client = new Harness().online();
    client.closed(4006);
    client.do(client.core.tokenUnavailable(client.now));
    client.pass(1_000);
    expect(client.wishes.at(-1)).toEqual({ kind: "open", link: "" });
    client.closed(4006);
    expect(client.wishes.at(-1)).toEqual({ kind: "refreshToken", why: "rejected" });
  });

  test("the second silent refusal of an upgrade is suspicious", ({ expect }) => {
    const client = new Harness();
    client.do(client.core.connect(client.now));
    client.closed(1006);
    client.pass(1_000);
    client.closed(1006);
    expect(client.wishes.at(-1)).toEqual({ kind: "refreshToken", why: "suspected" });
    client.pass(20_000);
    expect(client.wishes.at(-1)?.kind).toBe("open");
    client.do(client.core.authFailed(client.now));
    expect(client.core.state).toBe("needs-auth");
  });

  test("a ban and a replaced session end it", ({ expect }) => {
    for (const [code, reason] of [
      [4017, "banned"],
      [4018, "session-replaced"],
    ] as const) {
      const client = new Harness().online();
      client.closed(code);
      expect(client.of("state").at(-1)).toEqual({ type: "state", state: "stopped", reason });
      client.pass(3_600_000);
      expect(client.wishes).toEqual([]);
    }
  });
});
