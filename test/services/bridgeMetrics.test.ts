/** Who may read the bridge's numbers: they tell how busy it is, so beyond this machine only whoever has the token. */
import { describe, it, onTestFinished } from "vitest";
import { serviceUrl } from "./support/addresses.ts";
import { bridgeWith } from "./support/bridge.ts";

const TOKEN = "a-token-for-metrics";
const ENGINE_TOKEN = "a-token-for-redis";
const BEYOND = { BRIDGE_HOST: "0.0.0.0" };
const WITH_TOKEN = { BRIDGE_METRICS_TOKEN: TOKEN };

/** Credentials that are not the token, however near they are. */
const WRONG: readonly (readonly [what: string, authorization: string])[] = [
  ["another token of the same length", `Bearer ${TOKEN.slice(0, -1)}x`],
  ["a shorter one", `Bearer ${TOKEN.slice(0, -1)}`],
  ["a longer one", `Bearer ${TOKEN}x`],
  ["one byte", "Bearer a"],
  ["a very long one", `Bearer ${TOKEN.repeat(100)}`],
  ["no token behind the word", "Bearer "],
  ["the token without the word", TOKEN],
  ["the token as a password", `Basic ${btoa(`metrics:${TOKEN}`)}`],
  ["the token of an engine", `Bearer ${ENGINE_TOKEN}`],
];

/** Of a bridge that ends with the test. */
async function metricsOf(settings: Readonly<Record<string, string>>): Promise<(authorization?: string) => Answer> {
  const bridge = await bridgeWith({
    REDIS_URL: serviceUrl("REDIS_URL"),
    BRIDGE_REDIS_TOKENS: ENGINE_TOKEN,
    ...settings,
  });
  onTestFinished(() => bridge.stop());
  return async (authorization) => {
    const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
    const answer = await fetch(`${bridge.url}/metrics`, { headers });
    return { status: answer.status, type: answer.headers.get("content-type"), text: await answer.text() };
  };
}

type Answer = Promise<{ status: number; type: string | null; text: string }>;

const REFUSED = { status: 401, text: JSON.stringify({ error: "Unauthorized", status: 401 }) };

describe("/metrics", () => {
  it("is open on this machine as long as no token is set", async ({ expect }) => {
    const metrics = await metricsOf({});
    const { status, type, text } = await metrics();
    expect(status).toBe(200);
    expect(type).toMatch(/^text\/plain/);
    expect(text).toMatch(/^bridge_bytes_in_flight 0$/m);
  });

  it.for([
    ["on this machine", {}],
    ["beyond this machine", BEYOND],
  ] as const)("with a token set %s answers whoever has it, and nobody else", async ([, where], { expect }) => {
    const metrics = await metricsOf({ ...where, ...WITH_TOKEN });
    expect(await metrics(), "no credentials").toMatchObject(REFUSED);
    for (const [what, authorization] of WRONG) {
      expect(await metrics(authorization), what).toMatchObject(REFUSED);
    }
    for (const word of ["Bearer", "bearer"]) {
      const { status, text } = await metrics(`${word} ${TOKEN}`);
      expect(status, word).toBe(200);
      expect(text).toMatch(/^bridge_bytes_in_flight 0$/m);
    }
  });

  it("beyond this machine without a token set answers nobody", async ({ expect }) => {
    const metrics = await metricsOf(BEYOND);
    expect(await metrics()).toMatchObject(REFUSED);
    for (const authorization of [`Bearer ${TOKEN}`, "Bearer undefined", "Bearer ", `Bearer ${ENGINE_TOKEN}`]) {
      expect(await metrics(authorization), authorization).toMatchObject(REFUSED);
    }
  });
});
