/** The ways up through a shard: sends of many users in few flights, in order, and what becomes of them when one is lost. */
import { describe, it } from "vitest";
import type { SendCommand } from "../../src/domain/commands.ts";
import { ShardSends } from "../../src/objects/ShardSends.ts";
import { err, ok, type Result } from "../../src/protocol/errors.ts";
import { newUserId, text } from "./support/harness.ts";

const keysOf = (commands: readonly SendCommand[]): string[] => commands.map(({ clientMsgId }) => clientMsgId);

/** A way whose flights come back when the test says so. */
function newWay() {
  const flights: { keys: string[]; land: (outcomes: Result<string>[]) => void; lose: (error: unknown) => void }[] = [];
  const way = new ShardSends<string>("world", (commands) => {
    const { promise, resolve, reject } = Promise.withResolvers<Result<string>[]>();
    flights.push({ keys: keysOf(commands), land: resolve, lose: reject });
    return promise;
  });
  const send = (key: string): Promise<Result<string>[]> => way.send([text(newUserId(), key)]);
  return { flights, send };
}

describe("a way up through a shard", () => {
  it("gathers what comes while a flight is under way, and answers each its own", async ({ expect }) => {
    const { flights, send } = newWay();
    const answers = ["1", "2", "3"].map((key) => send(key));
    expect(flights.map(({ keys }) => keys)).toEqual([["1"]]);
    flights[0]?.land([ok("first")]);
    expect(await answers[0]).toEqual([ok("first")]);
    expect(flights.map(({ keys }) => keys)).toEqual([["1"], ["2", "3"]]);
    const refused = err({ name: "PERMISSION_DENIED" } as const);
    flights[1]?.land([refused, ok("third")]);
    expect(await Promise.all(answers.slice(1))).toEqual([[refused], [ok("third")]]);
  });

  it("gives up what waits behind a lost flight: repeated, it must not stand before it", async ({ expect }) => {
    const { flights, send } = newWay();
    const answers = ["1", "2", "3"].map((key) => send(key));
    flights[0]?.lose(new Error("kafka: no answer"));
    const outcomes = (await Promise.all(answers)).flat();
    expect(outcomes.map((outcome) => !outcome.ok && outcome.fault.name)).toEqual(Array(3).fill("UNAVAILABLE"));
    const again = send("1");
    expect(flights.map(({ keys }) => keys)).toEqual([["1"], ["1"]]);
    flights[1]?.land([ok("now")]);
    expect(await again).toEqual([ok("now")]);
  });

  it("answers RATE_LIMITED where an overloaded object says so", async ({ expect }) => {
    const { flights, send } = newWay();
    const answer = send("1");
    flights[0]?.lose(Object.assign(new Error("Durable Object is overloaded."), { overloaded: true }));
    expect((await answer).map((outcome) => !outcome.ok && outcome.fault.name)).toEqual(["RATE_LIMITED"]);
  });
});
