/** Workload: each line has one message in flight; the next leaves when the last is acknowledged. */
import { IGNORE, type Line, Places } from "./lines.ts";
import { drain, Latencies, type Latency, type Load, LoadMeter, type Span } from "./measures.ts";

const DRAIN_MS = 20_000;

export interface AckResult {
  readonly kind: "acks";
  readonly acksPerSecond: number;
  readonly ack: Latency;
  /** From the send to the frame at the other side; no count for the bare object, which has no other side. */
  readonly delivery: Latency;
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  /** Different messages that came to the other side of their line, after the drain. */
  readonly received: number;
  /** Deliveries of what had come before, and places left out. */
  readonly again: number;
  readonly skipped: number;
  /** Messages in SQL after the drain, and how long after the last acknowledgement the last one was. */
  readonly confirmed: number;
  readonly confirmedAfterMs: number;
  readonly load: Load;
}

/** A line, and the line of whoever reads what is sent on it. */
export interface Pair {
  readonly from: Line;
  readonly to: Line | undefined;
}

/** Drives all pairs for the span and waits until everything that was sent has come everywhere. */
export async function measureAcks(pairs: readonly Pair[], span: Span, serverPid: number): Promise<AckResult> {
  const ack = new Latencies();
  const delivery = new Latencies();
  const counts = { sent: 0, acked: 0, refused: 0, received: 0, confirmed: 0, measured: 0 };
  const places: Places[] = [];
  const begun = performance.now();
  const measureFrom = begun + span.warmMs;
  const measureTo = measureFrom + span.measureMs;
  const finished = pairs.map(async ({ from, to }) => {
    await new Promise<void>((done) => {
      let number = 0;
      let sentAt = 0;
      const next = (): void => {
        sentAt = performance.now();
        if (sentAt >= measureTo) {
          done();
          return;
        }
        number += 1;
        counts.sent += 1;
        from.send(number);
      };
      from.onAck = (acked) => {
        const now = performance.now();
        counts.acked += 1;
        if (acked === number && sentAt >= measureFrom) {
          ack.record(now - sentAt);
          counts.measured += now <= measureTo ? 1 : 0;
        }
        next();
      };
      from.onRefused = (_number, reason) => {
        counts.refused += 1;
        console.error(`refused: ${reason}`);
        next();
      };
      from.onConfirmed = () => {
        counts.confirmed += 1;
      };
      if (to !== undefined) {
        const seen = new Places();
        places.push(seen);
        to.onDelivered = ({ places: at, numbers }) => {
          counts.received += at.filter((place) => seen.take(place)).length;
          if (sentAt >= measureFrom && numbers.at(-1) === number) {
            delivery.record(performance.now() - sentAt);
          }
        };
      }
      next();
    });
  });
  const meter = new LoadMeter(serverPid);
  await new Promise((resolve) => setTimeout(resolve, span.warmMs));
  meter.start();
  await Promise.all(finished);
  const load = meter.read();
  const readers = pairs[0]?.to === undefined ? 0 : 1;
  const drained = await drain(
    () => readers === 0 || (counts.received >= counts.acked && counts.confirmed >= counts.acked),
    DRAIN_MS,
  );
  for (const { from, to } of pairs) {
    Object.assign(from, IGNORE);
    Object.assign(to ?? {}, IGNORE);
  }
  return {
    kind: "acks",
    acksPerSecond: counts.measured / (span.measureMs / 1_000),
    ack: ack.summary(),
    delivery: delivery.summary(),
    sent: counts.sent,
    acked: counts.acked,
    refused: counts.refused,
    received: counts.received,
    again: places.reduce((sum, seen) => sum + seen.again, 0),
    skipped: places.reduce((sum, seen) => sum + seen.skipped, 0),
    confirmed: counts.confirmed,
    confirmedAfterMs: drained.tookMs,
    load,
  };
}
