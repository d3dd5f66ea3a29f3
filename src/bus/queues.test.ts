import { describe, it } from "vitest";
import { queuesBus } from "./queues.ts";

type Sent = { queue: string; body: unknown };

/** Queues that put down what they get; `failing` throws. */
function queues(failing?: string) {
  const sent: Sent[] = [];
  const queueOf = (queue: string): Pick<Queue, "send" | "sendBatch"> => ({
    send: (body) => take(queue, [body]),
    sendBatch: (messages) =>
      take(
        queue,
        [...messages].map((message) => message.body),
      ),
  });
  function take(queue: string, bodies: unknown[]): Promise<QueueSendResponse> {
    if (queue === failing) {
      return Promise.reject(new Error("down"));
    }
    sent.push(...bodies.map((body) => ({ queue, body })));
    return Promise.resolve({ metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } } });
  }
  const env = { Q_USER_EVENTS: queueOf("ours"), Q_ANALYTICS: queueOf("copy") };
  return { sent, env: env as unknown as Env };
}

const TOPIC = "gochat.user-events";
const records = [1, 2, 3].map((n) => ({ key: `k${n}`, body: { n } }));
const ours = records.map(({ body }) => ({ queue: "ours", body }));

describe("a queue that is bound as Q_ANALYTICS", () => {
  it("gets every record with its topic, after ours", async ({ expect }) => {
    const { sent, env } = queues();
    await queuesBus(env).publish(TOPIC, records);
    await queuesBus(env).publish(TOPIC, records.slice(0, 1));
    await queuesBus(env).publish(TOPIC, []);
    const copies = records.map(({ key, body }) => ({ queue: "copy", body: { topic: TOPIC, key, body } }));
    expect(sent).toEqual([...ours, ...copies, ours[0], copies[0]]);
  });

  it("fails alone", async ({ expect }) => {
    const { sent, env } = queues("copy");
    await queuesBus(env).publish(TOPIC, records);
    expect(sent).toEqual(ours);
  });

  it("gets nothing that ours did not take", async ({ expect }) => {
    const { sent, env } = queues("ours");
    await expect(queuesBus(env).publish(TOPIC, records)).rejects.toThrow("down");
    expect(sent).toEqual([]);
  });
});
