/**
 * Limits of the wire that schemas and the parser know by themselves, with their defaults. What an installation may
 * change (rates, sizes, times) comes from src/platform/settings.ts, which begins with these numbers.
 * Source of all: WIRE "Things", "Accounts", "Friends and conversations", "Messages", "Frames", "Limits".
 */
export const FRAME_LIMIT_BYTES = 64 * 1024;
export const BODY_LIMIT_BYTES = 256 * 1024;
export const ATTACHMENT_LIMIT_BYTES = 10 * 1024 * 1024;

/** Code points of a text message. */
export const TEXT_LIMIT_CODE_POINTS = 8_000;
/** Code points of a display name, a group's name, a device's name. */
export const NAME_LIMIT_CODE_POINTS = 64;
export const ANNOUNCEMENT_LIMIT_CODE_POINTS = 2_000;
/** Not in the contract: about a screen of text. */
export const BIO_LIMIT_CODE_POINTS = 500;
export const FRIEND_MESSAGE_LIMIT_CODE_POINTS = 200;
/** Not in the contract: what common file systems allow. */
export const FILE_NAME_LIMIT_CODE_POINTS = 255;
/** Not in the contract: what browsers and proxies take everywhere. */
export const URL_LIMIT_CHARS = 2_048;
/** Not in the contract: RFC 5321 section 4.5.3.1.3, 256 with the angle brackets. */
export const EMAIL_LIMIT_CHARS = 254;
/** Not in the contract: a search is a few words. */
export const QUERY_LIMIT_CODE_POINTS = 100;

export const PASSWORD_MIN_CODE_POINTS = 8;
export const PASSWORD_LIMIT_CODE_POINTS = 128;

export const MENTIONS_LIMIT = 50;
/** Different emoji on one message. */
export const REACTIONS_LIMIT = 20;
/** UTF-16 units; the longest emoji of Unicode 16 has 14, flags of regions 14. */
export const EMOJI_LIMIT_CHARS = 32;

/** UTF-16 units of a client frame's `id`. */
export const FRAME_ID_LIMIT = 64;
/** Heads in one `sync`: about as many as fit a frame. */
export const HEADS_LIMIT = 1_000;
/** Ids in one request that names users (new members, presence). */
export const USER_IDS_LIMIT = 500;

export const PAGE_DEFAULT = 20;
export const PAGE_LIMIT = 100;
export const MESSAGES_DEFAULT = 50;
export const MESSAGES_LIMIT = 200;
/** Messages after the known head that a `sync` answer carries for each conversation. */
export const SYNC_MESSAGES_LIMIT = 50;
/** No cursor of ours comes near. */
export const CURSOR_LIMIT_CHARS = 1_024;

export const MIN_MEMBERS_LIMIT = 2;
export const MAX_MEMBERS_DEFAULT = 500;
export const MAX_MEMBERS_LIMIT = 100_000;
/** Above this many members `readers` gives counts only. */
export const READERS_LIST_LIMIT = 500;

export const INVITE_LIFE_DEFAULT_MS = 7 * 24 * 3_600_000;
export const INVITE_LIFE_LIMIT_MS = 30 * 24 * 3_600_000;
/** Not in the contract: the largest group. */
export const INVITE_USES_LIMIT = MAX_MEMBERS_LIMIT;
