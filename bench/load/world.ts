/**
 * Workload: messages at a fixed rate from many senders, thousands of readers. A delivery's latency runs from the moment
 * at which its message was due, not from the one at which it left: a server (or client) that holds up the sender would
 * otherwise look fast (coordinated omission).
 */
import { IGNORE, type Line, Places } from "./lines.ts";
import { drain, Latencies, type Latency, type Load, LoadMeter, type Span } from "./measures.ts";

const TICK_MS = 4;

export interface WorldResult {
  readonly kind: "world";
  readonly readers: number;
  readonly senders: number;
  readonly offeredPerSecond: number;
  readonly actualPerSecond: number;
  readonly ack: Latency;
  readonly delivery: Latency;
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  readonly received: number;
  readonly expected: number;
  /** Deliveries of what had come before, and places left out. */
  readonly again: number;
  readonly skipped: number;
  /** From the last send until everybody had everything, or until the patience ended. */
  readonly drainMs: number;
  readonly complete: boolean;
  readonly load: Load;
}

export async function measureWorld(
  senders: readonly Line[],
  readers: readonly Line[],
  rate: number,
  span: Span & { readonly patienceMs: number },
  serverPid: number,
  /** Whether sends are acknowledged; the bare object only hands them on. */
  acknowledges: boolean,
): Promise<WorldResult> {
  const ack = new Latencies();
  const delivery = new Latencies();
  const counts = { sent: 0, acked: 0, refused: 0, received: 0 };
  const dueAt: number[] = [];
  const seen = readers.map(() => new Places());
  const begun = performance.now() + 50;
  const measureFrom = begun + span.warmMs;
  const total = Math.round((rate * (span.warmMs + span.measureMs)) / 1_000);

  for (const sender of senders) {
    sender.onAck = (number) => {
      counts.acked += 1;
      const at = dueAt[number] ?? 0;
      if (at >= measureFrom) {
        ack.record(performance.now() - at);
      }
    };
    sender.onRefused = (_number, reason) => {
      counts.refused += 1;
      console.error(`refused: ${reason}`);
    };
  }
  readers.forEach((reader, index) => {
    const mine = seen[index] ?? new Places();
    reader.onDelivered = ({ places, numbers }) => {
      const now = performance.now();
      for (let i = 0; i < numbers.length; i++) {
        if (mine.take(places[i] ?? 0)) {
          counts.received += 1;
          const due = dueAt[numbers[i] ?? 0] ?? 0;
          if (due >= measureFrom) {
            delivery.record(now - due);
          }
        }
      }
    };
  });

  const meter = new LoadMeter(serverPid);
  let measuring = false;
  await new Promise<void>((sentAll) => {
    const timer = setInterval(() => {
      const now = performance.now();
      if (!measuring && now >= measureFrom) {
        measuring = true;
        meter.start();
      }
      const due = Math.min(total, Math.floor(((now - begun) / 1_000) * rate) + 1);
      while (counts.sent < due) {
        const number = counts.sent;
        dueAt[number] = begun + (number / rate) * 1_000;
        counts.sent += 1;
        senders[number % senders.length]?.send(number);
      }
      if (counts.sent === total) {
        clearInterval(timer);
        sentAll();
      }
    }, TICK_MS);
  });
  const lastedS = (performance.now() - begun) / 1_000;
  const load = meter.read();
  const expected = (): number => (counts.sent - counts.refused) * readers.length;
  const settled = (): boolean => !acknowledges || counts.acked + counts.refused === counts.sent;
  const drained = await drain(() => settled() && counts.received >= expected(), span.patienceMs);
  for (const line of [...senders, ...readers]) {
    Object.assign(line, IGNORE);
  }
  return {
    kind: "world",
    readers: readers.length,
    senders: senders.length,
    offeredPerSecond: rate,
    actualPerSecond: counts.sent / lastedS,
    ack: ack.summary(),
    delivery: delivery.summary(),
    sent: counts.sent,
    acked: counts.acked,
    refused: counts.refused,
    received: counts.received,
    expected: expected(),
    again: seen.reduce((sum, mine) => sum + mine.again, 0),
    skipped: seen.reduce((sum, mine) => sum + mine.skipped, 0),
    drainMs: drained.tookMs,
    complete: drained.complete && counts.received === expected(),
    load,
  };
}
