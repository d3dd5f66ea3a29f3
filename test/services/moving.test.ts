/** Bus and cache of a server that has accounts go to Kafka and Redis and come back, as docs/operations.md tells it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, it, onTestFinished } from "vitest";
import { everybodyLeaves, makeFriends, Person } from "../e2e/support/people.ts";
import { freePort, startServer } from "../support/server.ts";
import { ServerEngines } from "./support/engines.ts";

/** Five starts of a server. */
const WITHIN_MS = 4 * 60_000;

afterEach(everybodyLeaves);

/** Settings of one part alone. */
function only(engines: ServerEngines, names: RegExp): Record<string, string> {
  return Object.fromEntries(Object.entries(engines.env).filter(([name]) => names.test(name)));
}

/** What the bridge has counted so far: records that it pushed, and requests to Redis that it answered. */
async function countsOf({ bridge }: ServerEngines): Promise<{ pushed: number; redis: number }> {
  const text = await (await fetch(`http://${bridge.address}/metrics`)).text();
  const sum = (line: RegExp): number => [...text.matchAll(line)].reduce((total, [, count]) => total + Number(count), 0);
  return {
    pushed: sum(/^bridge_pushed_records_total\{.*\} (\d+)$/gm),
    redis: sum(/^bridge_request_duration_seconds_count\{.*dialect="redis".*\} (\d+)$/gm),
  };
}

describe("a server whose bus and cache move", () => {
  it(
    "goes on with the same people, who need not sign in again, on each engine and back on its own",
    async ({ expect }) => {
      const dataDir = mkdtempSync(join(tmpdir(), "gochat-moving-"));
      onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
      const port = await freePort();
      const engines = await ServerEngines.make(port);
      onTestFinished(() => engines.dispose());
      const bus = only(engines, /^(BUS$|UPSTASH_KAFKA_|BRIDGE_SECRET$)/);
      const cache = only(engines, /^(CACHE$|UPSTASH_REDIS_)/);
      expect([Object.keys(bus).length, Object.keys(cache).length]).toEqual([5, 3]);

      let people: [Person, Person] | undefined;
      let direct = "";
      const said: string[] = [];
      const steps = [
        { name: "embedded", env: {}, moves: { bus: false, cache: false } },
        { name: "bus", env: bus, moves: { bus: true, cache: false } },
        { name: "bus and cache", env: { ...bus, ...cache }, moves: { bus: true, cache: true } },
        { name: "cache", env: cache, moves: { bus: false, cache: true } },
        { name: "embedded again", env: {}, moves: { bus: false, cache: false } },
      ];
      for (const { name, env, moves } of steps) {
        const before = await countsOf(engines);
        const server = await startServer({ dataDir, port, env });
        onTestFinished(() => server.dispose());
        if (people === undefined) {
          people = [await Person.register(server), await Person.register(server)];
          direct = await makeFriends(...people);
        }
        const [ana, ben] = people;
        said.push(name);
        await ana.say(direct, name);
        await ben.until(`what was said on ${name}`, () => ben.received(direct).at(-1)?.content === name);
        // The message went over the bus: it is in SQL.
        await ana.until(`"stored" on ${name}`, () => ana.all("stored").length === said.length);
        const history = await ben.in(direct).history();
        expect(
          history.map(({ content }) => content),
          name,
        ).toEqual(said);
        const { items } = await ben.chat.listConversations();
        expect(items.find(({ conversation }) => conversation.conversationId === direct)).toMatchObject({
          conversation: { headSeqId: said.length },
          lastMessage: { content: name },
        });
        const after = await countsOf(engines);
        expect({ bus: after.pushed > before.pushed, cache: after.redis > before.redis }, name).toEqual(moves);
        expect((await server.stop()).code, server.output).toBe(0);
      }
    },
    WITHIN_MS,
  );
});
