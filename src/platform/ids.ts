/** The only place where adapters make ids and random values; the core in src/domain gets both as parameters. */
import { monotonicFactory } from "ulid";

/**
 * Makes strictly growing ULIDs within one isolate, which plain `ulid()` does not (several in one millisecond come
 * unsorted). The factory holds no random value before its first call, so it may stand at module scope.
 */
const nextUlid = monotonicFactory();

/**
 * A new ULID (26 characters of Crockford's base 32).
 * @param now epoch milliseconds; the time part of the id
 */
export function newId(now: number): string {
  return nextUlid(now);
}

/**
 * Random bytes as base64url without padding, for secrets (refresh tokens) and guest names.
 * @param bytes how many random bytes; the string is a third longer
 */
export function randomToken(bytes: number): string {
  const raw = crypto.getRandomValues(new Uint8Array(bytes));
  return btoa(String.fromCharCode(...raw))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/** Letters and digits that nobody takes for one another. There are 32, so five random bits pick one evenly. */
const NAME_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789";

/** A random name of so many characters, for guests. */
export function randomName(chars: number): string {
  const raw = crypto.getRandomValues(new Uint8Array(chars));
  return Array.from(raw, (byte) => NAME_ALPHABET.charAt(byte % NAME_ALPHABET.length)).join("");
}

/** The id of the direct conversation of two users, the same whichever of them comes first. */
export function directConversationId(a: string, b: string): string {
  return a < b ? `single_${a}_${b}` : `single_${b}_${a}`;
}

/** The two users of a direct conversation's id, or `null` when it is the id of something else. */
export function usersOfDirect(conversationId: string): readonly [string, string] | null {
  const parts = conversationId.split("_");
  const [kind, a, b] = parts;
  return kind === "single" && parts.length === 3 && a !== undefined && b !== undefined ? [a, b] : null;
}

/** The other user of a direct conversation, or `null`. */
export function peerOfDirect(conversationId: string, userId: string): string | null {
  const pair = usersOfDirect(conversationId);
  if (pair === null || !pair.includes(userId)) {
    return null;
  }
  return pair[0] === userId ? pair[1] : pair[0];
}

/** The id of a new group. */
export function newGroupId(now: number): string {
  return `group_${newId(now)}`;
}

/** Of an invite code, behind the group's part: 96 bits that nobody guesses. */
const INVITE_RANDOM_BYTES = 12;
const GROUP_PREFIX = "group_";
const ULID_CHARS = 26;
const INVITE_CODE = /^[0-7][0-9A-HJKMNP-TV-Z]{25}[A-Za-z0-9_-]{16}$/;

/** A new code of an invite to this group. It names the group, so that its room is found without asking SQL. */
export function newInviteCode(conversationId: string): string {
  return conversationId.slice(GROUP_PREFIX.length) + randomToken(INVITE_RANDOM_BYTES);
}

/** The group that a code names, whether or not there is such an invite; `null` when it cannot be one of ours. */
export function groupOfInvite(code: string): string | null {
  return INVITE_CODE.test(code) ? GROUP_PREFIX + code.slice(0, ULID_CHARS) : null;
}
