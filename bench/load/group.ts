/**
 * Workload: one member sends, all others read. A message counts as delivered when the last member has it, and only then
 * does the next one leave in its place: so many sends are in flight all the time, no more.
 */
import { IGNORE, type Line, Places } from "./lines.ts";
import { drain, Latencies, type Latency, type Load, LoadMeter, type Span } from "./measures.ts";

const DRAIN_MS = 20_000;

export interface GroupResult {
  readonly kind: "group";
  readonly members: number;
  readonly inFlight: number;
  readonly deliveriesPerSecond: number;
  readonly messagesPerSecond: number;
  readonly ack: Latency;
  readonly lastMember: Latency;
  readonly sent: number;
  readonly acked: number;
  readonly refused: number;
  readonly received: number;
  readonly expected: number;
  /** Deliveries of what had come before, and places left out. */
  readonly again: number;
  readonly skipped: number;
  readonly confirmed: number;
  readonly load: Load;
}

export async function measureGroup(
  sender: Line,
  readers: readonly Line[],
  inFlight: number,
  span: Span,
  serverPid: number,
  /** The bare object acknowledges nothing and confirms nothing. */
  acknowledges: boolean,
): Promise<GroupResult> {
  const ack = new Latencies();
  const lastMember = new Latencies();
  const counts = { sent: 0, acked: 0, refused: 0, received: 0, confirmed: 0, measured: 0, done: 0 };
  /** By message number: when it was sent, and how many readers do not have it. */
  const sentAt: number[] = [];
  const missing: number[] = [];
  const seen = readers.map(() => new Places());
  const measureFrom = performance.now() + span.warmMs;
  const measureTo = measureFrom + span.measureMs;

  const next = (): void => {
    const now = performance.now();
    if (now >= measureTo) {
      return;
    }
    const number = counts.sent;
    counts.sent += 1;
    sentAt[number] = now;
    missing[number] = readers.length;
    sender.send(number);
  };
  const completed = (number: number): void => {
    const now = performance.now();
    counts.done += 1;
    const at = sentAt[number] ?? 0;
    if (now >= measureFrom && now <= measureTo) {
      counts.measured += 1;
      if (at >= measureFrom) {
        lastMember.record(now - at);
      }
    }
    next();
  };
  sender.onAck = (number) => {
    counts.acked += 1;
    const at = sentAt[number] ?? 0;
    if (at >= measureFrom) {
      ack.record(performance.now() - at);
    }
  };
  sender.onRefused = (_number, reason) => {
    counts.refused += 1;
    console.error(`refused: ${reason}`);
  };
  sender.onConfirmed = () => {
    counts.confirmed += 1;
  };
  readers.forEach((reader, index) => {
    const mine = seen[index] ?? new Places();
    reader.onDelivered = ({ places, numbers }) => {
      for (let i = 0; i < numbers.length; i++) {
        if (mine.take(places[i] ?? 0)) {
          counts.received += 1;
          const number = numbers[i] ?? 0;
          const left = (missing[number] ?? 0) - 1;
          missing[number] = left;
          if (left === 0) {
            completed(number);
          }
        }
      }
    };
  });

  for (let i = 0; i < inFlight; i++) {
    next();
  }
  const meter = new LoadMeter(serverPid);
  await new Promise((resolve) => setTimeout(resolve, span.warmMs));
  meter.start();
  await new Promise((resolve) => setTimeout(resolve, measureTo - performance.now()));
  const load = meter.read();
  await drain(
    () => counts.done === counts.sent && (!acknowledges || counts.confirmed >= counts.sent - counts.refused),
    DRAIN_MS,
  );
  for (const line of [sender, ...readers]) {
    Object.assign(line, IGNORE);
  }
  const messagesPerSecond = counts.measured / (span.measureMs / 1_000);
  return {
    kind: "group",
    members: readers.length + 1,
    inFlight,
    deliveriesPerSecond: messagesPerSecond * readers.length,
    messagesPerSecond,
    ack: ack.summary(),
    lastMember: lastMember.summary(),
    sent: counts.sent,
    acked: counts.acked,
    refused: counts.refused,
    received: counts.received,
    expected: (counts.sent - counts.refused) * readers.length,
    again: seen.reduce((sum, mine) => sum + mine.again, 0),
    skipped: seen.reduce((sum, mine) => sum + mine.skipped, 0),
    confirmed: counts.confirmed,
    load,
  };
}
