/** The body of a request as text: no more of it is kept than the limit, however much is sent. */

/**
 * Of a body that is too large, so much is still read and thrown away before it is refused. A client that is writing does not
 * read: were the answer sent and the connection closed while bytes are still coming, the kernel would answer those with
 * a reset, and the client would see a broken connection instead of PAYLOAD_TOO_LARGE. Larger than any body that somebody sends by
 * mistake (an attachment has 10 MiB); who sends more than this gets the answer at once, and may miss it.
 */
export const DRAIN_BYTES = 16 * 1024 * 1024;
/** Nobody holds a request open by sending the rest slowly. */
export const DRAIN_MS = 5_000;

/** How a body was read: `broken` is the sender's connection or chunking, `late` one that did not end in time. */
export type BodyText = { value: string } | "too large" | "not text" | "broken" | "late";

/**
 * Reads the body, keeping `limitBytes` of it at most, for `withinMs` at most. The bounds of what is thrown away are parameters for
 * tests.
 */
export async function readBodyText(
  request: Request,
  limitBytes: number,
  withinMs: number,
  drain: { bytes: number; ms: number } = { bytes: DRAIN_BYTES, ms: DRAIN_MS },
): Promise<BodyText> {
  const reader: ReadableStreamDefaultReader<Uint8Array> | undefined = request.body?.getReader();
  if (reader === undefined) {
    return { value: "" };
  }
  const announced = Number(request.headers.get("Content-Length") ?? 0);
  if (announced > limitBytes) {
    await throwAway(reader, announced > drain.bytes ? 0 : drain.bytes, drain.ms);
    return "too large";
  }
  const { promise: overdue, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), withinMs);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    for (;;) {
      const part = await Promise.race([reader.read(), overdue]);
      if (part === "late") {
        // Not waited for: it may take as long as the sender pleases.
        reader.cancel().catch(ignore);
        return "late";
      }
      if (part.done) {
        break;
      }
      bytes += part.value.byteLength;
      if (bytes > limitBytes) {
        chunks.length = 0;
        await throwAway(reader, drain.bytes - bytes, drain.ms);
        return "too large";
      }
      chunks.push(part.value);
    }
  } catch {
    // The sender's connection, not one of ours: to be reported as theirs, not as an outage.
    return "broken";
  } finally {
    clearTimeout(timer);
  }
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
    return { value: chunks.map((chunk) => decoder.decode(chunk, { stream: true })).join("") + decoder.decode() };
  } catch {
    return "not text";
  }
}

/** Reads on until the end, or until there has been enough; never rejects, since the answer is decided already. */
async function throwAway(reader: ReadableStreamDefaultReader<Uint8Array>, bytes: number, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  let over = false;
  const toTheEnd = async (): Promise<void> => {
    for (let left = bytes; left > 0 && !over;) {
      const part = await reader.read();
      if (part.done) {
        return;
      }
      left -= part.value.byteLength;
    }
  };
  const ended = toTheEnd().catch(ignore);
  await Promise.race([ended, late]);
  over = true;
  clearTimeout(timer);
  // Not waited for: it may take as long as the sender pleases.
  reader.cancel().catch(ignore);
}

function ignore(): void {}
