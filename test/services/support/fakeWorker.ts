/** Stands for the Worker: checks signatures, remembers what was pushed, answers what the test says. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { signatureOf } from "../../../bridge/src/kafka/push/delivery.ts";

export interface PushBody {
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  readonly records: readonly { readonly offset: string; readonly key: string; readonly value: string }[];
}

export interface FakeWorker {
  readonly url: string;
  readonly secret: string;
  /** In the order of their arrival. */
  readonly pushes: PushBody[];
  /** What broke a rule: a wrong signature, two pushes of a partition at the same time. */
  readonly complaints: string[];
  answer: (push: PushBody) => { status: number; body?: unknown } | Promise<{ status: number; body?: unknown }>;
  close(): Promise<void>;
}

export async function fakeWorker(port = 0): Promise<FakeWorker> {
  const secret = "a-secret-of-some-length";
  const inFlight = new Set<string>();
  const server = createServer((request, response) => void take(request, response));
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await text(request);
    const path = request.url ?? "";
    const timeMs = Number(request.headers["x-gochat-time"]);
    if (request.headers["x-gochat-signature"] !== signatureOf(secret, { timeMs, path, body })) {
      worker.complaints.push("a wrong signature");
    }
    const push = JSON.parse(body) as PushBody;
    const lane = `${push.group} ${push.topic} ${push.partition}`;
    if (inFlight.has(lane)) {
      worker.complaints.push(`two pushes of ${lane}`);
    }
    inFlight.add(lane);
    response.once("close", () => inFlight.delete(lane));
    worker.pushes.push(push);
    await reply(response, worker, push);
  };
  const worker: FakeWorker = {
    url: "",
    secret,
    pushes: [],
    complaints: [],
    answer: () => ({ status: 204 }),
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return Object.assign(worker, { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` });
}

async function reply(response: ServerResponse, worker: FakeWorker, push: PushBody): Promise<void> {
  const { status, body } = await worker.answer(push);
  response.writeHead(status, { "content-type": "application/json" });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
