import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "vitest";
import type { Cache } from "./types.ts";
import { upstashCache } from "./upstash.ts";

const LIMIT_MS = 150;
/** For a server that answers, on a busy machine. */
const PATIENT_MS = 10_000;

type Asked = { path: string; authorization: string | undefined; encoding: unknown; body: unknown };

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    }),
  );
});

/** A server that answers each request with the next of these; `undefined`: never. Without any it does what it is told. */
async function serverWith(...answers: ({ status?: number; body: string } | undefined)[]) {
  const mayHang = answers.length > 0;
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    void read(request).then((text) => {
      asked.push({
        path: request.url ?? "",
        authorization: request.headers.authorization,
        encoding: request.headers["upstash-encoding"],
        body: JSON.parse(text),
      });
      const answer = mayHang ? answers.shift() : { body: doneText(text) };
      if (answer !== undefined) {
        response.writeHead(answer.status ?? 200, { "content-type": "application/json" }).end(answer.body);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const cache = upstashCache({ url: `http://127.0.0.1:${port}`, token: "a-token" }, mayHang ? LIMIT_MS : PATIENT_MS);
  return { asked, cache };
}

/** What a server answers that does all it is told: a text to each command, a list to those that read several. */
function doneText(text: string): string {
  const commands = JSON.parse(text) as string[][];
  return JSON.stringify(commands.map(([name]) => ({ result: name === "mget" ? ["1"] : "1" })));
}

async function read(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) {
    text += String(chunk);
  }
  return text;
}

function reasonOf(cache: Cache): Promise<string> {
  return cache.pipeline([["SET", "secret:key", "secret value"]]).then(
    () => "no reason",
    (error: unknown) => String(error),
  );
}

describe("the cache on Redis", () => {
  it("sends one request a pipeline, with the token, and reads each reply as it is", async ({ expect }) => {
    const results = ["123", ["1", null], "OK", null, "12", 1, 2, 7, 1, ["true"], 3];
    const { asked, cache } = await serverWith({ body: JSON.stringify(results.map((result) => ({ result }))) });
    expect(
      await cache.pipeline([
        ["GET", "a"],
        ["MGET", "a", "b"],
        ["SET", "a", '{"x":1}', 1_000.2],
        ["SETNX", "a", "1", 5],
        ["SETMAX", "m", "12"],
        ["DELIF", "d", "4"],
        ["ZADD", "z", 300, 1, "{}", 2, "two"],
        ["ZRANGE", "z", 0, -1],
        ["DEL", "a", "b", "c"],
      ]),
    ).toEqual(["123", ["1", null], "OK", 0, "12", 1, 2, ["true"], 3]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ path: "/pipeline", authorization: "Bearer a-token", encoding: undefined });
    const body = asked[0]?.body as unknown[][];
    expect(body.map(([name]) => String(name).toUpperCase())).toEqual(
      "GET MGET SET SET EVAL EVAL ZADD ZREMRANGEBYRANK PEXPIRE ZRANGE DEL".split(" "),
    );
    expect(body[2]).toEqual(["set", "a", '{"x":1}', "px", 1_001]);
    expect(body[7]?.slice(1)).toEqual(["z", 0, -301]);
    expect(body[8]?.slice(1)).toEqual(["z", 7 * 24 * 3_600_000]);
  });

  it("cuts what is too much for one request, in order, and answers it as one", async ({ expect }) => {
    const { asked, cache } = await serverWith();
    const big = "消".repeat(30_000);
    const pairs = Array.from({ length: 20 }, (_, n) => [n, `${n}${big}`]).flat();
    const reply = await cache.pipeline([
      ["SETMAX", "m", "1"],
      ["ZADD", "z", 300, ...pairs],
      ["MGET", "a", "b"],
    ]);
    expect(reply).toEqual(["1", 20, ["1"]]);
    expect(asked.length).toBeGreaterThan(2);
    const bodies = asked.map(({ body }) => body as unknown[][]);
    expect(bodies[0]?.[0]?.[0]).toBe("eval");
    expect(bodies.at(-1)?.at(-1)?.[0]).toBe("mget");
    const added = bodies.flat().filter(([name]) => name === "zadd");
    expect(added.flatMap((command) => command.slice(2).filter((_, n) => n % 2 === 0))).toEqual([
      ...Array.from({ length: 20 }).keys(),
    ]);
    for (const body of bodies) {
      expect(Buffer.byteLength(JSON.stringify(body))).toBeLessThan(1_000_000);
    }
  });

  it("asks nobody when there is nothing to ask", async ({ expect }) => {
    const { asked, cache } = await serverWith();
    expect(await cache.pipeline([])).toEqual([]);
    expect(await cache.pipeline([["MGET"], ["DEL"]])).toEqual([[], 0]);
    expect(asked).toEqual([]);
  });

  it("fails as a whole when one command is refused, and says only the code", async ({ expect }) => {
    const refused = [{ result: "1" }, { error: "OOM command not allowed when used memory > 'maxmemory' secret" }];
    const { cache } = await serverWith({ body: JSON.stringify(refused) });
    const failure = cache.pipeline([
      ["GET", "a"],
      ["SET", "secret:key", "secret"],
    ]);
    await expect(failure).rejects.toThrow(/^redis: OOM$/);
  });

  it("takes no answer that is too short: what is absent would be somebody who is away", async ({ expect }) => {
    const { cache } = await serverWith({ body: JSON.stringify([{ result: "1" }]) });
    const failure = cache.pipeline([
      ["GET", "a"],
      ["GET", "b"],
    ]);
    await expect(failure).rejects.toThrow(/^redis: incomplete$/);
  });

  it.for([
    [{ status: 401, body: '{"error":"WRONGPASS invalid or missing auth token"}' }, "WRONGPASS"],
    [{ status: 400, body: '{"error":"ERR max request size exceeded"}' }, "ERR"],
    [{ status: 502, body: "<html>Bad gateway</html>" }, "UpstashJSONParseError"],
    [{ status: 200, body: "" }, "UpstashJSONParseError"],
  ] as const)("tries once, and tells no contents: %j", async ([answer, code], { expect }) => {
    const { asked, cache } = await serverWith(answer);
    const reason = await reasonOf(cache);
    expect(reason).toContain(`redis: ${code}`);
    expect(reason).not.toContain("secret");
    expect(asked).toHaveLength(1);
  });

  it("gives up after its time limit, and does not ask again", async ({ expect }) => {
    const { asked, cache } = await serverWith(undefined);
    expect(await reasonOf(cache)).toContain("redis: TimeoutError");
    expect(asked).toHaveLength(1);
  });

  it("says that nobody is there", async ({ expect }) => {
    const cache = upstashCache({ url: "http://127.0.0.1:1", token: "t" }, LIMIT_MS);
    expect(await reasonOf(cache)).toMatch(/redis: (TypeError|fetch)/);
  });
});
