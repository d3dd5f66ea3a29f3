import { ProtocolError } from "@platformatic/kafka";
import { describe, it } from "vitest";
import { TopicFlights } from "./producing.ts";

/** A Kafka whose answers the test gives. */
function flightsWith() {
  const flights: { messages: readonly string[]; answer: (error?: Error) => void }[] = [];
  let idle = 0;
  const topic = new TopicFlights<string, string>(
    (messages) =>
      new Promise((resolve, reject) => {
        const answer = (error?: Error): void => (error ? reject(error) : resolve(messages.map((one) => `at ${one}`)));
        flights.push({ messages, answer });
      }),
    () => idle++,
  );
  const sent = () => flights.map(({ messages }) => messages);
  return { topic, flights, sent, idle: () => idle };
}

/** Lets what has been answered go on. */
const settle = () => new Promise(setImmediate);

describe("flights to a topic", () => {
  it("carry what came while the one before was under way, and answer each with its own", async ({ expect }) => {
    const { topic, flights, sent, idle } = flightsWith();
    const answers = [topic.produce(["a"], 1), topic.produce(["b", "c"], 2), topic.produce(["d"], 1)];
    expect(sent()).toEqual([["a"]]);
    flights[0]?.answer();
    await settle();
    expect(sent()).toEqual([["a"], ["b", "c", "d"]]);
    expect(idle()).toBe(0);
    flights[1]?.answer();
    expect(await Promise.all(answers)).toEqual([["at a"], ["at b", "at c"], ["at d"]]);
    await settle();
    expect(idle()).toBe(1);
  });

  it("are bounded, and take what is larger alone", async ({ expect }) => {
    const { topic, flights, sent } = flightsWith();
    const sizes = [1, 300_000, 300_000, 900_000, 1];
    const answers = sizes.map((bytes, n) => topic.produce([String(n)], bytes));
    for (let n = 0; n < 5; n++) {
      flights[n]?.answer();
      await settle();
    }
    await Promise.all(answers);
    expect(sent()).toEqual([["0"], ["1"], ["2"], ["3"], ["4"]]);
  });

  it("fail together when Kafka is away, and go on", async ({ expect }) => {
    const { topic, flights } = flightsWith();
    const first = topic.produce(["a"], 1);
    const [second, third] = [topic.produce(["b"], 1), topic.produce(["c"], 1)];
    const failed = Promise.allSettled([first, second, third]);
    flights[0]?.answer();
    await settle();
    const behind = expect(topic.produce(["behind"], 1)).rejects.toThrow("nobody there");
    flights[1]?.answer(new Error("nobody there"));
    expect((await failed).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
    await behind;
    const again = topic.produce(["d"], 1);
    await settle();
    flights[2]?.answer();
    expect(await again).toEqual(["at d"]);
  });

  it("let nobody suffer for another's message", async ({ expect }) => {
    const { topic, flights, sent } = flightsWith();
    const first = topic.produce(["a"], 1);
    const both = Promise.allSettled([topic.produce(["large"], 1), topic.produce(["small"], 1)]);
    flights[0]?.answer();
    await first;
    await settle();
    const tooLarge = new ProtocolError("MESSAGE_TOO_LARGE");
    flights[1]?.answer(tooLarge);
    await settle();
    flights[2]?.answer(tooLarge);
    await settle();
    flights[3]?.answer();
    expect(await both).toEqual([
      { status: "rejected", reason: tooLarge },
      { status: "fulfilled", value: ["at small"] },
    ]);
    expect(sent()).toEqual([["a"], ["large", "small"], ["large"], ["small"]]);
  });
});
