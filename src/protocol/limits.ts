/** Limits of the wire. Source of all: WIRE "Limits" and "Things". */
export const FRAME_LIMIT_BYTES = 64 * 1024;
export const BODY_LIMIT_BYTES = 256 * 1024;
export const TEXT_LIMIT_CODE_POINTS = 8_000;
export const NAME_LIMIT_CODE_POINTS = 64;
export const ANNOUNCEMENT_LIMIT_CODE_POINTS = 2_000;
export const BIO_LIMIT_CODE_POINTS = 500;
export const FRIEND_MESSAGE_LIMIT_CODE_POINTS = 200;
export const MENTIONS_LIMIT = 50;
export const FRAME_ID_LIMIT = 64;
export const PAGE_DEFAULT = 20;
export const PAGE_LIMIT = 100;
export const MESSAGES_DEFAULT = 50;
export const MESSAGES_LIMIT = 200;
export const MAX_MEMBERS_LIMIT = 100_000;
/** Ids in one request that names users. */
export const USER_IDS_LIMIT = 500;
/** Heads in one `sync`: as many as fit a frame comfortably. */
export const HEADS_LIMIT = 1_000;
