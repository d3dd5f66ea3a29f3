/**
 * Bodies, queries, path parameters and answers of REST, one file a resource. `createRoute` takes them as they are:
 * `…Body` and `…Query` and `…Params` come in and are strict, all others go out. Source: DESIGN section 4 "REST", WIRE.
 */
export * from "./rest/accounts.ts";
export * from "./rest/admin.ts";
export * from "./rest/conversations.ts";
export * from "./rest/friends.ts";
export * from "./rest/messages.ts";
