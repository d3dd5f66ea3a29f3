/**
 * Who may do what: every REST route and every client frame, asked by everybody. Written from the contract (DESIGN section 4,
 * WIRE), so where the server answers otherwise, one of the two is wrong. A route or frame that is not in here fails
 * `rights.test.ts`, which asks them all. How each row is asked stands in `routes.ts` and `frames.ts`, under the same name.
 */

/**
 * Who asks. In a group: `muted` until a time, `admin` and `owner` by role, `removed` was a member, `blocked` is one, and all of them know each
 * other. Between two: everybody from `member` to `blocked` was befriended by `peer` once; `removed` is no friend any more, `blocked` has been
 * blocked by `peer`; who has no conversation with `peer` asks for that of `member`. `banned` had all of it and comes with the tokens
 * from before the ban; `sysadmin` is a user of role admin without any membership; `key` sends the admin key and no token.
 */
// oxfmt-ignore
export const ACTORS = [
  "nobody", "guest", "stranger", "member", "muted", "admin", "owner", "removed", "banned", "blocked", "sysadmin", "key",
] as const;
export type Actor = (typeof ACTORS)[number];

/** What a cell says: a status of success, `ok` of a frame that was taken, or one of these errors. On a socket that was refused: 401. */
export const REFUSALS = {
  "400": "INVALID_INPUT",
  "401": "UNAUTHENTICATED",
  "403": "PERMISSION_DENIED",
  "403b": "BANNED",
  "404": "NOT_FOUND",
  "404c": "CONVERSATION_NOT_FOUND",
  "404m": "MESSAGE_NOT_FOUND",
  "404u": "USER_NOT_FOUND",
  "405": "METHOD_NOT_ALLOWED",
  "409": "CONFLICT",
} as const;

// ---- REST: `route · case`, then a cell for each of ACTORS.

const ROUTES = `
                                                     nobody guest stranger member muted admin owner removed banned blocked sysadmin key
POST /api/auth/register                                 201   201      201    201   201   201   201     201    201     201      201 201
POST /api/auth/login · own password                     401   401      200    200   200   200   200     200   403b     200      200 401
POST /api/auth/login · wrong password                   401   401      401    401   401   401   401     401    401     401      401 401
POST /api/auth/guest                                    201   201      201    201   201   201   201     201    201     201      201 201
POST /api/auth/refresh                                  401   200      200    200   200   200   200     200    401     200      200 401
POST /api/auth/logout · this device                     401   200      200    200   200   200   200     200    401     200      200 401
POST /api/auth/logout · everywhere                      401   200      200    200   200   200   200     200    401     200      200 401
POST /api/auth/upgrade                                  401   200      409    409   409   409   409     409    401     409      409 401

GET /api/users/me                                       401   200      200    200   200   200   200     200    401     200      200 401
PATCH /api/users/me                                     401   200      200    200   200   200   200     200    401     200      200 401
GET /api/users                                          401   200      200    200   200   200   200     200    401     200      200 401
GET /api/users/{id}                                     401   200      200    200   200   200   200     200    401     200      200 401
GET /api/users/me/sessions                              401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/users/me/sessions                           401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/users/me/sessions/{deviceId} · own          401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/users/me/sessions/{deviceId} · another's    401   404      404    404   404   404   404     404    401     404      404 401

POST /api/friends/requests · to peer                    401   403      201    409   409   409   409     201    401     201      201 401
POST /api/friends/requests · to a guest                 401   403      403    403   403   403   403     403    401     403      403 401
POST /api/friends/requests · to oneself                 401   403      400    400   400   400   400     400    401     400      400 401
GET /api/friends/requests                               401   200      200    200   200   200   200     200    401     200      200 401
PUT /api/friends/requests/{id} · asked                  401   404      200    200   200   200   200     200    401     200      200 401
PUT /api/friends/requests/{id} · one's own              401   404      404    404   404   404   404     404    401     404      404 401
PUT /api/friends/requests/{id} · between others         401   404      404    404   404   404   404     404    401     404      404 401
GET /api/friends                                        401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/friends/{userId} · a friend                 401   404      200    200   200   200   200     200    401     200      200 401
DELETE /api/friends/{userId} · no friend                401   404      404    404   404   404   404     404    401     404      404 401
GET /api/blocks                                         401   200      200    200   200   200   200     200    401     200      200 401
PUT /api/blocks/{userId}                                401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/blocks/{userId} · blocked before            401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/blocks/{userId} · not blocked               401   404      404    404   404   404   404     404    401     404      404 401

POST /api/conversations · group with peer               401   403      201    201   201   201   201     201    401     403      201 401
POST /api/conversations · direct with peer              401   403      403    201   201   201   201     403    401     403      403 401
GET /api/conversations                                  401   200      200    200   200   200   200     200    401     200      200 401
GET /api/conversations/{id} · group                     401  404c     404c    200   200   200   200    404c    401     200     404c 401
GET /api/conversations/{id} · direct                    401  404c     404c    200   200   200   200     200    401     200     404c 401
GET /api/conversations/{id} · world                     401   200      200    200   200   200   200     200    401     200      200 401
PATCH /api/conversations/{id} · group                   401  404c     404c    403   403   200   200    404c    401     403     404c 401
PATCH /api/conversations/{id} · direct                  401  404c     404c    403   403   403   403     403    401     403     404c 401
PATCH /api/conversations/{id} · world                   401   403      403    403   403   403   403     403    401     403      200 401
DELETE /api/conversations/{id} · group                  401  404c     404c    403   403   403   200    404c    401     403      200 401
DELETE /api/conversations/{id} · direct                 401  404c     404c    403   403   403   403     403    401     403      403 401
DELETE /api/conversations/{id} · world                  401   403      403    403   403   403   403     403    401     403      403 401
POST /api/conversations/{id}/transfer · group           401  404c     404c    403   403   403   200    404c    401     403     404c 401
POST /api/conversations/{id}/transfer · direct          401  404c     404c    403   403   403   403     403    401     403     404c 401
POST /api/conversations/{id}/transfer · world           401   403      403    403   403   403   403     403    401     403      403 401
PUT /api/conversations/{id}/settings · group            401  404c     404c    200   200   200   200    404c    401     200     404c 401
PUT /api/conversations/{id}/settings · direct           401  404c     404c    200   200   200   200     200    401     200     404c 401
PUT /api/conversations/{id}/settings · world            401   200      200    200   200   200   200     200    401     200      200 401
PUT /api/conversations/{id}/read · group                401  404c     404c    200   200   200   200    404c    401     200     404c 401
PUT /api/conversations/{id}/read · direct               401  404c     404c    200   200   200   200     200    401     200     404c 401
PUT /api/conversations/{id}/read · world                401   200      200    200   200   200   200     200    401     200      200 401
POST /api/conversations/{id}/read · group               401  404c     404c    200   200   200   200    404c    401     200     404c 401

GET /api/conversations/{id}/members · group             401  404c     404c    200   200   200   200    404c    401     200     404c 401
GET /api/conversations/{id}/members · direct            401  404c     404c    200   200   200   200     200    401     200     404c 401
GET /api/conversations/{id}/members · world             401   200      200    200   200   200   200     200    401     200      200 401
POST /api/conversations/{id}/members · group            401  404c     404c    403   403   200   200    404c    401     403     404c 401
POST /api/conversations/{id}/members · direct           401  404c     404c    403   403   403   403     403    401     403     404c 401
POST /api/conversations/{id}/members · world            401   403      403    403   403   403   403     403    401     403      403 401
PUT /api/conversations/{id}/members/{userId} · role     401  404c     404c    403   403   403   200    404c    401     403     404c 401
PUT /api/conversations/{id}/members/{userId} · mute     401  404c     404c    403   403   200   200    404c    401     403     404c 401
PUT /api/conversations/{id}/members/{userId} · mute admin   401  404c  404c    403   403   403   200    404c    401     403     404c 401
PUT /api/conversations/{id}/members/{userId} · mute owner   401  404c  404c    403   403   403   403    404c    401     403     404c 401
PUT /api/conversations/{id}/members/{userId} · direct   401  404c     404c    403   403   403   403     403    401     403     404c 401
PUT /api/conversations/{id}/members/{userId} · world    401   403      403    403   403   403   403     403    401     403      200 401
DELETE /api/conversations/{id}/members/{userId} · peer  401  404c     404c    403   403   200   200    404c    401     403     404c 401
DELETE /api/conversations/{id}/members/{userId} · owner  401 404c     404c    403   403   403   409    404c    401     403     404c 401
DELETE /api/conversations/{id}/members/{userId} · self  401  404c     404c    200   200   200   409    404c    401     200     404c 401
DELETE /api/conversations/{id}/members/{userId} · self, direct  401 404c 404c 403   403   403   403     403    401     403     404c 401
DELETE /api/conversations/{id}/members/{userId} · self, world   401  403  403 403   403   403   403     403    401     403      403 401

POST /api/conversations/{id}/invites · group            401  404c     404c    403   403   201   201    404c    401     403     404c 401
POST /api/conversations/{id}/invites · direct           401  404c     404c    403   403   403   403     403    401     403     404c 401
POST /api/conversations/{id}/invites · world            401   403      403    403   403   403   403     403    401     403      403 401
GET /api/conversations/{id}/invites                     401  404c     404c    403   403   200   200    404c    401     403     404c 401
DELETE /api/conversations/{id}/invites/{code}           401  404c     404c    403   403   200   200    404c    401     403     404c 401
POST /api/invites/{code}/join · open                    401   403      200    200   200   200   200     200    401     200      200 401
POST /api/invites/{code}/join · approval                401   403      202    200   200   200   200     202    401     200      202 401
POST /api/invites/{code}/join · no such code            401   403      404    404   404   404   404     404    401     404      404 401
GET /api/conversations/{id}/join-requests               401  404c     404c    403   403   200   200    404c    401     403     404c 401
PUT /api/conversations/{id}/join-requests/{requestId}   401  404c     404c    403   403   200   200    404c    401     403     404c 401

GET /api/conversations/{id}/messages · group            401  404c     404c    200   200   200   200    404c    401     200     404c 401
GET /api/conversations/{id}/messages · direct           401  404c     404c    200   200   200   200     200    401     200     404c 401
GET /api/conversations/{id}/messages · world            401   200      200    200   200   200   200     200    401     200      200 401
POST /api/conversations/{id}/messages · group           401  404c     404c    201   403   201   201    404c    401     201     404c 401
POST /api/conversations/{id}/messages · all muted       401  404c     404c    403   403   201   201    404c    401     403     404c 401
POST /api/conversations/{id}/messages · direct          401  404c     404c    201   201   201   201     403    401     403     404c 401
POST /api/conversations/{id}/messages · world           401   201      201    201   201   201   201     201    401     201      201 401
POST /api/conversations/{id}/messages · system, group   401  404c     404c    403   403   403   403    404c    401     403     404c 401
POST /api/conversations/{id}/messages · system, world   401   403      403    403   403   403   403     403    401     403      201 401

                                                                                  nobody guest stranger member muted admin owner removed banned blocked sysadmin key
PATCH /api/conversations/{id}/messages/{messageId} · own                             401  404c     404c    200   403   200   200    404c    401     200     404c 401
PATCH /api/conversations/{id}/messages/{messageId} · another's                       401  404c     404c    403   403   403   403    404c    401     403     404c 401
PATCH /api/conversations/{id}/messages/{messageId} · own, direct                     401  404c     404c    200   200   200   200     403    401     403     404c 401
POST /api/conversations/{id}/messages/{messageId}/recall · own                       401  404c     404c    200   200   200   200    404c    401     200      200 401
POST /api/conversations/{id}/messages/{messageId}/recall · another's                 401  404c     404c    403   403   200   200    404c    401     403      200 401
POST /api/conversations/{id}/messages/{messageId}/recall · own, direct               401  404c     404c    200   200   200   200     200    401     200      200 401
POST /api/conversations/{id}/messages/{messageId}/recall · another's, direct         401  404c     404c    403   403   403   403     403    401     403      200 401
GET /api/conversations/{id}/messages/{messageId}/edits · group                       401  404c     404c    200   200   200   200    404c    401     200     404c 401
GET /api/conversations/{id}/messages/{messageId}/edits · direct                      401  404c     404c    200   200   200   200     200    401     200     404c 401
GET /api/conversations/{id}/messages/{messageId}/edits · world                       401   200      200    200   200   200   200     200    401     200      200 401
PUT /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · group           401  404c     404c    200   403   200   200    404c    401     200     404c 401
PUT /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · direct          401  404c     404c    200   200   200   200     403    401     403     404c 401
PUT /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · world           401   200      200    200   200   200   200     200    401     200      200 401
DELETE /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · group        401  404c     404c    200   200   200   200    404c    401     200     404c 401
DELETE /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · direct       401  404c     404c    200   200   200   200     200    401     200     404c 401
DELETE /api/conversations/{id}/messages/{messageId}/reactions/{emoji} · world        401   200      200    200   200   200   200     200    401     200      200 401
GET /api/conversations/{id}/messages/{messageId}/readers · group                     401  404c     404c    200   200   200   200    404c    401     200     404c 401
GET /api/conversations/{id}/messages/{messageId}/readers · direct                    401  404c     404c    200   200   200   200     200    401     200     404c 401
GET /api/conversations/{id}/messages/{messageId}/readers · world, nothing            401  404m     404m   404m  404m  404m  404m    404m    401    404m     404m 401
GET /api/conversations/{id}/messages/{messageId}/readers · world                     401   403      403    403   403   403   403     403    401     403      403 401

                                                     nobody guest stranger member muted admin owner removed banned blocked sysadmin key
GET /api/sync                                           401   200      200    200   200   200   200     200    401     200      200 401

GET /api/admin/users                                    401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/users/{id}/ban                          401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/users/{id}/unban                        401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/users/{id}/kick                         401   403      403    403   403   403   403     403    401     403      200 200
GET /api/admin/conversations/{id}                       401   403      403    403   403   403   403     403    401     403      200 200
DELETE /api/admin/conversations/{id} · group            401   403      403    403   403   403   403     403    401     403      200 200
DELETE /api/admin/conversations/{id} · world            401   403      403    403   403   403   403     403    401     403      403 403
DELETE /api/admin/conversations/{id}/messages/{messageId}    401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/announcements · to everyone             401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/announcements · to a group              401   403      403    403   403   403   403     403    401     403      200 200
GET /api/admin/audit                                    401   403      403    403   403   403   403     403    401     403      200 200
GET /api/admin/dead-letters                             401   403      403    403   403   403   403     403    401     403      200 200
POST /api/admin/dead-letters/{id}/replay                401   403      403    403   403   403   403     403    401     403      200 200
GET /api/admin/state                                    401   403      403    403   403   403   403     403    401     403      200 200

GET /health                                             200   200      200    200   200   200   200     200    200     200      200 200
GET /metrics                                            200   200      200    200   200   200   200     200    200     200      200 200
GET /openapi.json                                       200   200      200    200   200   200   200     200    200     200      200 200
GET /docs                                               200   200      200    200   200   200   200     200    200     200      200 200
POST /internal/bus/{topic}                              404   404      404    404   404   404   404     404    404     404      404 404
PUT /testing/faults                                     404   404      404    404   404   404   404     404    404     404      404 404
GET /ws                                                 401   101      101    101   101   101   101     101    401     101      101 401
GET /ws/rooms/{id} · world                              401   101      101    101   101   101   101     101    401     101      101 401
GET /ws/rooms/{id} · group                              401  404c     404c    400   400   400   400    404c    401     400     404c 401
GET /ws/rooms/{id} · direct                             401  404c     404c    400   400   400   400     400    401     400     404c 401
`;

/** Routes that `/openapi.json` leaves out: itself, its page, upgrades, and a switch that only tests can turn. */
export const UNDOCUMENTED = ["GET /openapi.json", "GET /docs", "PUT /testing/faults", "GET /ws", "GET /ws/rooms/{id}"];

// ---- Frames: `type · case`; on the user's own socket, unless it says room socket.

const FRAMES = `
                                                     nobody guest stranger member muted admin owner removed banned blocked sysadmin key
ping                                                    401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
send-message · group                                    401  404c     404c     ok   403    ok    ok    404c    401      ok     404c 401
send-message · all muted                                401  404c     404c    403   403    ok    ok    404c    401     403     404c 401
send-message · direct                                   401  404c     404c     ok    ok    ok    ok     403    401     403     404c 401
send-message · world                                    401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
send-message · system, group                            401  404c     404c    403   403   403   403    404c    401     403     404c 401
send-message · system, world                            401   403      403    403   403   403   403     403    401     403       ok 401
mark-read · group                                       401  404c     404c     ok    ok    ok    ok    404c    401      ok     404c 401
mark-read · direct                                      401  404c     404c     ok    ok    ok    ok      ok    401      ok     404c 401
mark-read · world                                       401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
typing · group                                          401  404c     404c     ok   403    ok    ok    404c    401      ok     404c 401
typing · direct                                         401  404c     404c     ok    ok    ok    ok     403    401     403     404c 401
typing · world                                          401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
sync                                                    401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
subscribe · group                                       401  404c     404c     ok    ok    ok    ok    404c    401      ok     404c 401
subscribe · direct                                      401  404c     404c     ok    ok    ok    ok      ok    401      ok     404c 401
subscribe · world                                       401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
subscribe · presence of peer                            401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
unsubscribe · group                                     401  404c     404c     ok    ok    ok    ok    404c    401      ok     404c 401
unsubscribe · world                                     401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
unsubscribe · presence of peer                          401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
ping · room socket                                      401    ok       ok     ok    ok    ok    ok      ok    401      ok       ok 401
send-message · room socket                              401   400      400    400   400   400   400     400    401     400      400 401
mark-read · room socket                                 401   400      400    400   400   400   400     400    401     400      400 401
typing · room socket                                    401   400      400    400   400   400   400     400    401     400      400 401
sync · room socket                                      401   400      400    400   400   400   400     400    401     400      400 401
subscribe · room socket                                 401   400      400    400   400   400   400     400    401     400      400 401
unsubscribe · room socket                               401   400      400    400   400   400   400     400    401     400      400 401
`;

export interface Row {
  /** `route · case` or `type · case`, as it stands in the table. */
  readonly name: string;
  /** Without the case: `GET /api/users/me`, or a type of frame. */
  readonly what: string;
  readonly cells: Readonly<Record<Actor, string>>;
}

export const ROUTE_ROWS = rowsOf(ROUTES);
export const FRAME_ROWS = rowsOf(FRAMES);

function rowsOf(text: string): Row[] {
  // The names of the actors stand above each block.
  const lines = text.split("\n").filter((line) => line.trim() !== "" && line.trim() !== ACTORS.join(" "));
  return lines.map((line) => {
    const words = line.trim().split(/\s+/);
    const cells = words.slice(-ACTORS.length);
    const name = words.slice(0, -ACTORS.length).join(" ");
    return {
      name,
      what: name.split(" · ")[0] ?? name,
      cells: Object.fromEntries(ACTORS.map((actor, i) => [actor, cells[i] ?? "?"])) as Record<Actor, string>,
    };
  });
}
