import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { afterEach, describe, it } from "vitest";
import type { PushSettings } from "../settings.ts";
import { deliver, signatureOf } from "./delivery.ts";

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

type Seen = { path: string; headers: NodeJS.Dict<string | string[]>; body: string };

/** A worker that answers with this; nothing: it never does. */
async function worker(answer?: { status: number; body?: string; headers?: Record<string, string> }) {
  const seen: Seen[] = [];
  server = createServer((request, response) => {
    void text(request).then((body) => {
      seen.push({ path: request.url ?? "", headers: request.headers, body });
      if (answer) {
        response.writeHead(answer.status, answer.headers).end(answer.body);
      }
    });
  });
  await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { seen, settings: settingsFor(`http://127.0.0.1:${port}`) };
}

function settingsFor(workerUrl: string, timeoutMs = 2_000): PushSettings {
  const limits = { groups: [], maxTries: 3, batchRecords: 10, batchBytes: 1_000, memoryBytes: 10_000, timeoutMs };
  return { workerUrl, secret: "a-secret-of-some-length", ...limits };
}

const push = {
  group: "g",
  topic: "gochat.user-events",
  partition: 3,
  records: [{ offset: 12n, leaderEpoch: 0, key: "k", value: '{"é":1}', bytes: 9, tries: 1 }],
};
const send = (settings: PushSettings) => deliver(settings, push, new AbortController().signal);

describe("a push", () => {
  it("is signed over time, path and body", async ({ expect }) => {
    const { seen, settings } = await worker({ status: 204 });
    expect(await send(settings)).toEqual({ outcome: { kind: "done" }, status: 204 });
    const [{ path, headers, body } = { path: "", headers: {}, body: "" }] = seen;
    expect(path).toBe("/internal/bus/gochat.user-events");
    expect(JSON.parse(body)).toEqual({
      group: "g",
      topic: "gochat.user-events",
      partition: 3,
      attempt: 2,
      records: [{ offset: "12", key: "k", value: '{"é":1}' }],
    });
    const timeMs = Number(headers["x-gochat-time"]);
    expect(Math.abs(Date.now() - timeMs)).toBeLessThan(60_000);
    expect(headers["x-gochat-signature"]).toBe(signatureOf(settings.secret, { timeMs, path, body }));
  });

  it("has the signature that anybody can compute", ({ expect }) => {
    // printf '1700000000000\n/internal/bus/t\n{}' | openssl dgst -sha256 -hmac a-secret-of-some-length
    expect(
      signatureOf("a-secret-of-some-length", { timeMs: 1_700_000_000_000, path: "/internal/bus/t", body: "{}" }),
    ).toBe("e392a5946d5f992ae5d797cf674c8f3023c413bc3d0c7bfcf4cc8427ccd5a99d");
  });

  it.for([
    [{ status: 503, body: '{"failed":["12"],"retryAfterMs":700}' }, "failed"],
    [{ status: 500, body: '{"failed":["12"]}' }, "failed"],
    [{ status: 503, body: '{"error":{"code":1012}}' }, "unavailable"],
    [{ status: 503, body: "<html>" }, "unavailable"],
    [{ status: 502 }, "unavailable"],
    [{ status: 429 }, "unavailable"],
    [{ status: 401 }, "unavailable"],
    [{ status: 404 }, "unavailable"],
    [{ status: 307, headers: { location: "http://127.0.0.1:1/" } }, "unavailable"],
    [{ status: 500, body: "oops" }, "refused"],
    [{ status: 400 }, "refused"],
    [{ status: 413 }, "refused"],
    [{ status: 200, body: "anything" }, "done"],
  ] as const)("that is answered with %j is %s", async ([answer, kind], { expect }) => {
    const { settings } = await worker(answer);
    expect((await send(settings)).outcome.kind).toBe(kind);
  });

  it("hears when to come back", async ({ expect }) => {
    const { settings } = await worker({ status: 429, headers: { "retry-after": "7" } });
    expect((await send(settings)).outcome).toEqual({ kind: "unavailable", retryAfterMs: 7_000 });
  });

  it("tells a worker that is silent from one that is away", async ({ expect }) => {
    const { settings } = await worker();
    expect(await send({ ...settings, timeoutMs: 50 })).toEqual({ outcome: { kind: "refused" }, status: 0 });
    const away = await send(settingsFor("http://127.0.0.1:1"));
    expect(away).toEqual({ outcome: { kind: "unavailable", retryAfterMs: 0 }, status: 0 });
  });
});
