import { describe, it } from "vitest";
import { readBodyText } from "./bodyText.ts";

const LIMIT = 10;
const LONG_MS = 60_000;
const bytes = (length: number): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(0x20);

type Sent = { request: Request; read: () => number; cancelled: Promise<void> };

/** A request whose body comes in pieces as they are read; `Infinity` as a piece: nothing more comes, and no end. */
function sending(pieces: number[], headers: Record<string, string> = {}): Sent {
  let read = 0;
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = pieces[read];
        if (next === Infinity) {
          return new Promise(() => undefined);
        }
        read += 1;
        if (next === undefined) {
          controller.close();
        } else {
          controller.enqueue(bytes(next));
        }
        return undefined;
      },
      cancel: () => resolve(),
    },
    { highWaterMark: 0 },
  );
  const request = new Request("http://test/", { method: "POST", body, headers, duplex: "half" } as RequestInit);
  return { request, read: () => read, cancelled };
}

describe("a body", () => {
  it("is text, also when it comes in pieces that cut a character, or not at all", async ({ expect }) => {
    const text = new TextEncoder().encode("é€");
    const body = new ReadableStream({
      start(controller) {
        text.forEach((byte) => controller.enqueue(Uint8Array.of(byte)));
        controller.close();
      },
    });
    const request = new Request("http://test/", { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await readBodyText(request, LIMIT, LONG_MS)).toEqual({ value: "é€" });
    expect(await readBodyText(new Request("http://test/", { method: "POST" }), LIMIT, LONG_MS)).toEqual({ value: "" });
    expect(await readBodyText(sending([LIMIT]).request, LIMIT, LONG_MS)).toEqual({ value: " ".repeat(LIMIT) });
  });

  it("that is no UTF-8, or breaks off, is told apart from one that is too large", async ({ expect }) => {
    const latin = new Request("http://test/", { method: "POST", body: Uint8Array.of(0x22, 0xff, 0x22) });
    expect(await readBodyText(latin, LIMIT, LONG_MS)).toBe("not text");
    const body = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
    const broken = new Request("http://test/", { method: "POST", body, duplex: "half" } as RequestInit);
    expect(await readBodyText(broken, LIMIT, LONG_MS)).toBe("broken");
  });
});

describe("a body that does not end", () => {
  it("is waited for no longer than it may take, however it drips", async ({ expect }) => {
    const silent = sending([4, Infinity]);
    expect(await readBodyText(silent.request, LIMIT, 5)).toBe("late");
    await silent.cancelled;
    const dripping = new ReadableStream<Uint8Array>({
      pull: (controller) => new Promise((resolve) => setTimeout(resolve, 1)).then(() => controller.enqueue(bytes(0))),
    });
    const request = new Request("http://test/", { method: "POST", body: dripping, duplex: "half" } as RequestInit);
    expect(await readBodyText(request, LIMIT, 20)).toBe("late");
  });
});

describe("a body that is too large", () => {
  const drain = { bytes: 100, ms: 5_000 };

  it("is read to its end, so that the sender is there for the answer", async ({ expect }) => {
    const counted = sending([8, 8, 8, 8]);
    expect(await readBodyText(counted.request, LIMIT, LONG_MS, drain)).toBe("too large");
    expect(counted.read()).toBe(5);
    const announced = sending([8, 8, 8, 8], { "content-length": "32" });
    expect(await readBodyText(announced.request, LIMIT, LONG_MS, drain)).toBe("too large");
    expect(announced.read()).toBe(5);
  });

  it("is not read for ever: neither a huge one nor a slow one", async ({ expect }) => {
    const endless = sending(Array.from({ length: 1_000 }, () => 8));
    expect(await readBodyText(endless.request, LIMIT, LONG_MS, drain)).toBe("too large");
    await endless.cancelled;
    expect(endless.read()).toBeLessThan(20);
    const announced = sending([8], { "content-length": "101" });
    expect(await readBodyText(announced.request, LIMIT, LONG_MS, drain)).toBe("too large");
    await announced.cancelled;
    expect(announced.read()).toBe(0);
    const slow = sending([LIMIT + 1, Infinity]);
    expect(await readBodyText(slow.request, LIMIT, LONG_MS, { bytes: 100, ms: 5 })).toBe("too large");
    await slow.cancelled;
  });
});
