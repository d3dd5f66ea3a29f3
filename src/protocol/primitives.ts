/**
 * What the things on the wire are made of: ids, texts, numbers. A rule that JSON Schema can say is said in the schema
 * (patterns in the dialect that JavaScript and Python share), so that documents generated from it do not promise more
 * than the parser takes. Checks are ordered by price: these run for every message.
 */
import * as z from "zod";
import {
  CURSOR_LIMIT_CHARS,
  EMAIL_LIMIT_CHARS,
  EMOJI_LIMIT_CHARS,
  NAME_LIMIT_CODE_POINTS,
  URL_LIMIT_CHARS,
} from "./limits.ts";

// ---- ids

/** 26 characters of Crockford's base 32; the first one is at most 7, since a ULID has 128 bits. */
const ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}";

function ulid(description: string) {
  return z
    .string()
    .regex(new RegExp(`^${ULID}$`), "is not an id")
    .meta({ description });
}

export const UserId = ulid("Id of a user (ULID)");
export const MessageId = ulid("Id of a message (ULID)");
export const RequestId = ulid("Id of a friend request or join request (ULID)");
/** An event of a room is `{conversationId}:{number}`, others are ULIDs: to clients it is opaque. */
export const EventId = z.string().min(1).max(256).meta({ description: "The same for every delivery of one event" });
export const ConversationId = z
  .string()
  .regex(new RegExp(`^(?:single_${ULID}_${ULID}|group_${ULID}|world_chat_room)$`), "is not a conversation id")
  .meta({ description: "`single_{a}_{b}` with the two user ids in order, `group_{ulid}` or `world_chat_room`" });
export const ClientMsgId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "must be 1 to 64 of A-Z a-z 0-9 _ . : -")
  .meta({ description: "The sender's own key of a message: a resend carries the same one" });
export const DeviceId = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,64}$/, "must be 1 to 64 of A-Z a-z 0-9 _ . : -")
  .meta({ description: "Id of a device, given by the server or chosen by the client" });
export const InviteCode = z
  .string()
  .regex(/^[A-Za-z0-9_-]{8,64}$/, "is not an invite code")
  .meta({ description: "Code of an invite link" });
export const AttachmentKey = z
  .string()
  .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$/, "is not an attachment key")
  .meta({ description: "Key of an attachment, as the upload answered it" });
export const Cursor = z
  .string()
  .regex(/^[A-Za-z0-9_-]+$/, "is not a cursor")
  .max(CURSOR_LIMIT_CHARS)
  .meta({ description: "`nextCursor` of the page before" });

// ---- numbers

/** A place in a conversation's order: a whole number that JSON carries exactly. */
export const SeqId = wholeNumber(0).meta({ description: "Sequence number within the conversation" });
/** The last moment that a JavaScript `Date` can hold. Source: ECMA-262, "Time Values". */
const LAST_TIME_MS = 8_640_000_000_000_000;
export const TimeMs = wholeNumber(0, LAST_TIME_MS).meta({ description: "Epoch milliseconds" });
export const Count = wholeNumber(0);

/** The upper bound is written out, because not every generator of documents knows the one inside `z.int()`. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z.int().min(min).max(max);
}

/**
 * A whole number in a query string, where everything is text: digits only, so that neither "" nor "1e3" nor "0x10"
 * count as one.
 */
export function queryNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z.preprocess(
    (value) => (typeof value === "string" && /^\d{1,16}$/.test(value) ? Number(value) : value),
    wholeNumber(min, max),
  );
}

/** `limit` of a list: outside the bounds is an error, never a silent correction. */
export function pageLimit(byDefault: number, max: number) {
  return queryNumber(1, max)
    .optional()
    .transform((limit) => limit ?? byDefault)
    .meta({ type: "integer", minimum: 1, maximum: max, default: byDefault });
}

// ---- texts

/** Code points, counted only where the number of UTF-16 units cannot decide. */
function fits(text: string, min: number, max: number): boolean {
  const units = text.length;
  if (units < min || units > 2 * max) {
    return false;
  }
  if (units <= max && units >= 2 * min) {
    return true;
  }
  let points = 0;
  for (const _char of text) {
    points += 1;
  }
  return points >= min && points <= max;
}

/** Marks, spaces and direction signs that show nothing, or make the text around them look like another. */
const INVISIBLE = "\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff";
const CONTROL = "\\u0000-\\u001f\\u007f-\\u009f";
const IN_LINE = `[^${CONTROL}\\u2028-\\u202e\\u2066-\\u2069]`;
const VISIBLE = `[^\\s${CONTROL}${INVISIBLE}]`;
/** Checked one after the other; as one expression, for documents only, they could take quadratic time. */
const LINE_PATTERN = new RegExp(`^${IN_LINE}*$`);
const VISIBLE_PATTERN = new RegExp(VISIBLE);
const LINE = `^${IN_LINE}*${VISIBLE}${IN_LINE}*$`;
/** Several lines: tab and line ends are the only control characters. */
const PROSE = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f]*$";
const PROSE_PATTERN = new RegExp(PROSE);

/**
 * The text of a message: `1` to `max` code points, something else than white space, no lone surrogates. It is kept as
 * it came, so nothing is trimmed and control characters are the sender's own business.
 */
export function messageText(max: number) {
  return z
    .string()
    .refine((text) => fits(text, 1, max) && /\S/.test(text) && text.isWellFormed(), {
      error: `must have 1 to ${max} characters, not only white space, and be well-formed Unicode`,
    })
    .meta({ minLength: 1, maxLength: max, pattern: "\\S" });
}

/** A name: one line, trimmed, 1 to `max` code points with something to see. */
export function lineText(max: number = NAME_LIMIT_CODE_POINTS) {
  return z
    .string()
    .trim()
    .refine(
      (text) => fits(text, 1, max) && text.isWellFormed() && LINE_PATTERN.test(text) && VISIBLE_PATTERN.test(text),
      { error: `must be one line of 1 to ${max} visible characters` },
    )
    .meta({ minLength: 1, maxLength: max, pattern: LINE });
}

/** Text of several lines that may be empty (which clears it), at most `max` code points. */
export function proseText(max: number) {
  return z
    .string()
    .refine((text) => fits(text, 0, max) && text.isWellFormed() && PROSE_PATTERN.test(text), {
      error: `must be text of at most ${max} characters`,
    })
    .meta({ maxLength: max, pattern: PROSE });
}

/** Any characters at all (a password), `min` to `max` code points of well-formed Unicode. */
export function anyText(min: number, max: number) {
  return z
    .string()
    .refine((text) => fits(text, min, max) && text.isWellFormed(), {
      error: `must have ${min} to ${max} characters`,
    })
    .meta({ minLength: min, maxLength: max });
}

/** An absolute http(s) URL in the characters of RFC 3986: nothing that could leave an attribute or a header. */
export const WebUrl = z
  .string()
  .max(URL_LIMIT_CHARS)
  .regex(/^https?:\/\/[A-Za-z0-9[][A-Za-z0-9._~:/?#[\]@!$&'()*+,;=%-]*$/, "must be an http or https URL");

/** A mail address as HTML forms take it, without its rarely true details. */
export const Email = z
  .string()
  .max(EMAIL_LIMIT_CHARS)
  .regex(/^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?$/, "must be a mail address");

/** One emoji: a flag, a keycap, or pictographs with their variations, skin tones and joiners. */
const EMOJI =
  /^(?:\p{Regional_Indicator}{2}|[0-9#*]\uFE0F?\u20E3|\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?[\u{E0020}-\u{E007F}]*(?:\u200D\p{Extended_Pictographic}[\uFE0F\p{Emoji_Modifier}]?)*)$/u;

export const Emoji = z
  .string()
  .refine((text) => text.length <= EMOJI_LIMIT_CHARS && EMOJI.test(text), { error: "must be one emoji" })
  // Property escapes are beyond what readers of JSON Schema share: the document says less than the parser here.
  .meta({ minLength: 1, maxLength: EMOJI_LIMIT_CHARS, description: "One emoji (a pictograph, a flag or a keycap)" });
