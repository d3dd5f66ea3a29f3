import { describe, it } from "vitest";
import { firstAnswer, serviceAddress } from "./support/addresses.ts";

describe("the servers that the tests run on", () => {
  it("Redis answers", async ({ expect }) => {
    expect(String(await firstAnswer(serviceAddress("REDIS_URL"), Buffer.from("PING\r\n")))).toBe("+PONG\r\n");
  });

  it("MariaDB greets", async ({ expect }) => {
    const greeting = await firstAnswer(serviceAddress("MYSQL_URL"), Buffer.alloc(0));
    // Protocol 10, after a header of four bytes.
    expect(greeting[4]).toBe(10);
    expect(String(greeting)).toContain("MariaDB");
  });

  it("Kafka answers which versions of its requests it knows", async ({ expect }) => {
    const correlation = 4711;
    const ask = Buffer.alloc(14);
    ask.writeInt32BE(10, 0); // Length of what follows.
    ask.writeInt16BE(18, 4); // ApiVersions,
    ask.writeInt16BE(0, 6); // version 0.
    ask.writeInt32BE(correlation, 8);
    ask.writeInt16BE(-1, 12); // No client id.
    const answer = await firstAnswer(serviceAddress("KAFKA_BROKERS"), ask);
    expect(answer.readInt32BE(4)).toBe(correlation);
    expect(answer.readInt16BE(8)).toBe(0);
  });
});
