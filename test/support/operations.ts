/**
 * What each operation is known to cost (test/workers/cost.test.ts): Worker requests, frames from clients, requests to objects,
 * rows written, statements and waits of SQL, queue messages, commands and waits of the cache. In sends a watermark that is saved
 * with another change, or by itself, is a row of the room more or less.
 */
export const OPERATIONS = {
  "direct, receiver online":
    /^frames 1; objects room 3, session 2, cache 1; rows room [56], sql 4; SQL 3 in 1; queue 1; cache 2 in 1$/,
  "direct, receiver away":
    /^frames 1; objects room 3, session 1, cache 1; rows room [56], sql 4; SQL 3 in 1; queue 1; cache 5 in 1$/,
  "group of 50, all online":
    /^frames 1; objects room 3, session 50, cache 1; rows room [56], sql 3; SQL 3 in 1; queue 1; cache 2 in 1$/,
  "group of 500, only the sender online":
    /^frames 1; objects room 3, session 1, cache 1; rows room [56], sql 3; SQL 3 in 1; queue 1; cache 5 in 1$/,
  "group of 500, all online":
    /^frames 1; objects room 3, session 500, cache 1; rows room [567], sql 3; SQL 3 in 1; queue 1; cache 2 in 1$/,
  "world, 2 users follow it":
    /^frames 1; objects room 4, session 3, shard 9, cache 1; rows room [56], session 1, sql 3; SQL 2 in 1; queue 2; cache 2 in 1$/,
  connect:
    /^worker 1; objects session 4, shard 1, cache 2; rows session [23], shard 1, cache 1; SQL 1 in 1; queue 1; cache 4 in 2$/,
  "stay connected, each 2 minutes": /^objects session 1, shard 1, cache 1; rows session 1, cache 1; cache 2 in 1$/,
  disconnect: /^objects shard 1, cache 1; rows session 3, shard 1, cache 2; cache 3 in 1$/,
  "be known as away, 30 s later":
    /^objects session 4, shard 1, cache 2; rows session 3, cache 1, sql 1; SQL 2 in 2; queue 1; cache 5 in 2$/,
  "list page": /^worker 1; objects session 4, cache 2; SQL 5 in 2; cache 24 in 2$/,
  "history page": /^worker 1; objects room 1, session 1$/,
  "sync, everything is new": /^worker 1; objects session 4, cache 3; SQL 1 in 1; cache 24 in 3$/,
  "sync by socket, nothing is new": /^frames 1; objects cache 2; SQL 1 in 1; cache 3 in 2$/,
  "sync by socket, all has been read elsewhere": /^frames 1; objects cache 3; SQL 1 in 1; cache 23 in 3$/,
  "friend request":
    /^worker 1; objects session 4, shard 1, cache 1; rows session 4, cache 1, sql 14; SQL 17 in 7; queue 2; cache 2 in 1$/,
  "read pointer, by socket": /^frames 1; objects room 5, session 1; rows room [67], sql 2; SQL 1 in 1; queue 2$/,
  "read pointer, by REST": /^worker 1; objects room 5, session 3; rows room [67], sql 1; SQL 1 in 1; queue 1$/,
  "member added":
    /^worker 1; objects room 7, session 3, cache 2; rows room 12, sql 7; SQL 6 in 2; queue 2; cache 3 in 2$/,
  "member removed":
    /^worker 1; objects room 5, session 3, cache 1; rows room 10, sql 4; SQL 3 in 1; queue 1; cache 2 in 1$/,
} as const satisfies Record<string, RegExp>;

export type OperationName = keyof typeof OPERATIONS;
