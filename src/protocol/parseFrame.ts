/**
 * The one parser of what clients send. It never throws, and it is on the way of every message: no work is done twice,
 * and what is rarely wrong is looked at closely only when it is.
 */
import { invalidInput, type Fault, type FieldFault } from "./errors.ts";
import { CLIENT_FRAMES, FrameId, type ClientFrame, type ClientFrameType } from "./frames.ts";
import { FRAME_ID_LIMIT, FRAME_LIMIT_BYTES } from "./limits.ts";

export type ParsedFrame =
  | { ok: true; value: ClientFrame }
  | {
      ok: false;
      fault: Fault;
      /** The refused frame's own id, when it has a valid one. */
      ref?: string;
      /** Set for a refused send that names itself, by whatever texts: the answer is `message-error`, else `error`. */
      send?: { clientMsgId: string; conversationId: string };
      /** No frame at all: not text, too long, no JSON object, no type. Who sends many of them is no client of ours. */
      unreadable?: true;
    };

/** Reads a frame. @param limitBytes of the text in UTF-8 */
export function parseClientFrame(input: string | ArrayBuffer, limitBytes: number = FRAME_LIMIT_BYTES): ParsedFrame {
  if (typeof input !== "string") {
    return unreadable([{ path: "", message: "must be a text frame" }]);
  }
  if (isLonger(input, limitBytes)) {
    return { ok: false, fault: { name: "PAYLOAD_TOO_LARGE" }, unreadable: true };
  }
  const frame = readObject(input);
  if (frame === undefined) {
    return unreadable([{ path: "", message: "must be a JSON object" }]);
  }
  const { type, data, id } = frame;
  const ref = typeof id === "string" && FrameId.safeParse(id).success ? id : undefined;
  if (typeof type !== "string") {
    return unreadable([{ path: "type", message: "is not a type of frame" }], ref);
  }
  if (!isClientFrameType(type)) {
    return refused([{ path: "type", message: "is not a type of frame" }], ref);
  }
  const send = (): { clientMsgId: string; conversationId: string } | undefined =>
    type === "send-message" ? nameOfSend(data) : undefined;
  if (id !== undefined && ref === undefined) {
    return refused([{ path: "id", message: `must be a string of at most ${FRAME_ID_LIMIT} characters` }], ref, send());
  }
  const parsed = CLIENT_FRAMES[type].safeParse(data);
  if (!parsed.success) {
    return refused(invalidInput(parsed.error.issues, ["data"]).fields ?? [], ref, send());
  }
  // The table's key is the type of its data; the compiler cannot follow the pair.
  const value = { type, data: parsed.data } as ClientFrame;
  if (ref !== undefined) {
    value.id = ref;
  }
  return { ok: true, value };
}

/** A UTF-16 unit is one to three bytes of UTF-8: only texts near the limit are measured. */
function isLonger(text: string, limitBytes: number): boolean {
  if (text.length * 3 <= limitBytes) {
    return false;
  }
  if (text.length > limitBytes) {
    return true;
  }
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) {
      // Half of a surrogate pair counts 2, since the pair has 4.
      bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
    }
  }
  return bytes > limitBytes;
}

function readObject(text: string): { type?: unknown; data?: unknown; id?: unknown } | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Malformed: the caller is told, there is nothing more to know.
    return undefined;
  }
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
}

function isClientFrameType(type: unknown): type is ClientFrameType {
  // Own keys only: "constructor" and "__proto__" are not types.
  return typeof type === "string" && Object.hasOwn(CLIENT_FRAMES, type);
}

function refused(
  fields: FieldFault[],
  ref?: string,
  send?: { clientMsgId: string; conversationId: string },
): ParsedFrame {
  return {
    ok: false,
    fault: { name: "INVALID_INPUT", fields },
    ...(ref === undefined ? {} : { ref }),
    ...(send === undefined ? {} : { send }),
  };
}

function unreadable(fields: FieldFault[], ref?: string): ParsedFrame {
  return {
    ok: false,
    fault: { name: "INVALID_INPUT", fields },
    unreadable: true,
    ...(ref === undefined ? {} : { ref }),
  };
}

/** Longer names are rubbish and not repeated in an answer. */
const NAME_LIMIT_CHARS = 128;

function isName(text: unknown): text is string {
  return typeof text === "string" && text !== "" && text.length <= NAME_LIMIT_CHARS && text.isWellFormed();
}

/** A send names itself with two texts, valid as ids or not: its sender waits for an answer by these names. */
function nameOfSend(data: unknown): { clientMsgId: string; conversationId: string } | undefined {
  if (typeof data !== "object" || data === null) {
    return undefined;
  }
  const { clientMsgId, conversationId } = data as { clientMsgId?: unknown; conversationId?: unknown };
  return isName(clientMsgId) && isName(conversationId) ? { clientMsgId, conversationId } : undefined;
}
