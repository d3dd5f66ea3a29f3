/**
 * Who acts when nobody is signed in: whoever holds the admin key. The nil ULID, which no account can have (its time is 1970);
 * events and frames name it as `operator_id`, the audit calls it `key`.
 */
export const SYSTEM_USER_ID = "00000000000000000000000000";
