/** How each REST row of the table is asked. */
import { PASSWORD, type Kind, type Place, type Stage } from "./stage.ts";
import type { Actor } from "./table.ts";
import type { Answer } from "../support/raw.ts";
import { uniqueName } from "../../support/names.ts";

export interface Ask {
  /** For the `{…}` of the path. */
  readonly params?: Record<string, string>;
  readonly query?: string;
  readonly body?: unknown;
  /** Instead of the actor's own. */
  readonly token?: string | undefined;
  /** A success has changed the group: the next cell gets another one. */
  readonly spoils?: boolean;
  /** After a success: puts back what was changed. */
  readonly undo?: (answer: Answer) => unknown;
}

export type Asking = (stage: Stage, actor: Actor) => Ask | Promise<Ask>;

const WORLD = { id: "world_chat_room" };
const NO_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const HOUR_MS = 3_600_000;

const plainly: Asking = () => ({});

// ---- conversations: the same question in a group, between two, in the world room

type More = Omit<Ask, "params"> & { params?: Record<string, string> };
type MoreOf = (stage: Stage, actor: Actor, place: Place) => More | Promise<More>;

function inPlace(find: (stage: Stage, actor: Actor) => Place | Promise<Place>, more: MoreOf): Asking {
  return async (stage, actor) => {
    const place = await find(stage, actor);
    const { params, ...rest } = await more(stage, actor, place);
    return { params: { id: place.id, ...params }, ...rest };
  };
}

const inGroup = (more: MoreOf, kind?: Kind): Asking => inPlace((stage) => stage.group(kind), more);
const direct = (more: MoreOf): Asking => inPlace((stage, actor) => stage.direct(actor), more);
const world = (more: MoreOf): Asking => inPlace((stage) => stage.world, more);

function everywhere(route: string, more: MoreOf, groupMore: Partial<Ask> = {}): Record<string, Asking> {
  return {
    [`${route} · group`]: inGroup(async (...asked) => ({ ...(await more(...asked)), ...groupMore })),
    [`${route} · direct`]: direct(more),
    [`${route} · world`]: world(more),
  };
}

const nothing: MoreOf = () => ({});
const userId = (role: "peer" | "owner" | "admin" | "spare"): MoreOf => {
  return (stage) => ({ body: { userId: stage.id(role) } });
};
const oneself: MoreOf = (stage, actor) => ({ params: { userId: stage.id(actor) } });
const text = (messageType = "text"): MoreOf => {
  return () => ({ body: { clientMsgId: uniqueName("m"), messageType, content: "hello" } });
};
const muteOf = (role: "peer" | "owner" | "admin"): MoreOf => {
  return (stage) => ({ params: { userId: stage.id(role) }, body: { mutedUntil: Date.now() + HOUR_MS }, spoils: true });
};

const MESSAGE = "/api/conversations/{id}/messages/{messageId}";
/** By `peer`, whom everybody hears. */
const anyMessage: MoreOf = (_stage, _actor, place) => ({ params: { messageId: place.messageOf("peer") } });
const reaction: MoreOf = (_stage, _actor, place) => ({ params: { messageId: place.messageOf("peer"), emoji: "👍" } });
const edited = (whose: "own" | "peer"): MoreOf => {
  return (_stage, actor, place) => ({
    params: { messageId: place.messageOf(whose === "own" ? actor : whose) },
    body: { content: uniqueName("edited") },
  });
};
const recalled = (whose: "own" | "peer"): MoreOf => {
  return (_stage, actor, place) => ({
    params: { messageId: place.recallableOf(whose === "own" ? actor : whose) },
    spoils: true,
  });
};

// ---- accounts

const newAccount: Asking = () => ({ body: { username: uniqueName("new"), password: PASSWORD } });

function login(password: string): Asking {
  return (stage, actor) => ({
    body: { username: stage.account(actor)?.username ?? "nobody-at-all", password },
    undo: (answer) => stage.keep(actor, answer),
  });
}

/** On a device that nobody needs any more. */
function onAnotherDevice(more: (deviceId: string) => Ask): Asking {
  return async (stage, actor) => {
    const device = await stage.anotherDevice(actor);
    return { ...more(device?.deviceId ?? "no-device"), token: device?.token };
  };
}

/** Signs everything out, so the actor comes back afterwards. */
const thenRenewed =
  (ask: Ask): Asking =>
  (stage, actor) => ({ ...ask, undo: () => stage.renew(actor) });

// ---- the table

export const HOW_TO_ASK: Record<string, Asking> = {
  "POST /api/auth/register": newAccount,
  "POST /api/auth/login · own password": login(PASSWORD),
  "POST /api/auth/login · wrong password": login("a wrong password"),
  "POST /api/auth/guest": plainly,
  "POST /api/auth/refresh": (stage, actor) => ({
    body: { refreshToken: stage.account(actor)?.refreshToken ?? `${NO_ID}.${"A".repeat(43)}` },
    undo: (answer) => stage.refreshed(actor, answer),
  }),
  "POST /api/auth/logout · this device": onAnotherDevice(() => ({})),
  "POST /api/auth/logout · everywhere": thenRenewed({ body: { everywhere: true } }),
  "POST /api/auth/upgrade": async (stage, actor) => ({
    ...(await newAccount(stage, actor)),
    undo: () => stage.renew(actor),
  }),

  "GET /api/users/me": plainly,
  "PATCH /api/users/me": () => ({ body: { bio: "as before" } }),
  "GET /api/users": () => ({ query: "q=peer" }),
  "GET /api/users/{id}": (stage) => ({ params: { id: stage.id("peer") } }),
  "GET /api/users/me/sessions": plainly,
  "DELETE /api/users/me/sessions": thenRenewed({}),
  "DELETE /api/users/me/sessions/{deviceId} · own": onAnotherDevice((deviceId) => ({ params: { deviceId } })),
  "DELETE /api/users/me/sessions/{deviceId} · another's": (stage) => ({
    params: { deviceId: stage.account("peer")?.deviceId ?? "" },
  }),

  "POST /api/friends/requests · to peer": (stage) => ({ body: { targetUserId: stage.id("peer") } }),
  "POST /api/friends/requests · to a guest": (stage) => ({ body: { targetUserId: stage.id("guest") } }),
  "POST /api/friends/requests · to oneself": (stage, actor) => ({ body: { targetUserId: stage.id(actor) } }),
  "GET /api/friends/requests": plainly,
  "PUT /api/friends/requests/{id} · asked": async (stage, actor) => ({
    params: { id: await stage.asked("asker", stage.isUser(actor) ? actor : "quiet") },
    body: { action: "accept" },
  }),
  "PUT /api/friends/requests/{id} · one's own": async (stage, actor) => ({
    params: { id: await stage.asked(stage.isUser(actor) ? actor : "asker", "quiet") },
    body: { action: "accept" },
  }),
  "PUT /api/friends/requests/{id} · between others": async (stage) => ({
    params: { id: await stage.asked("asker", "quiet") },
    body: { action: "reject" },
  }),
  "GET /api/friends": plainly,
  "DELETE /api/friends/{userId} · a friend": async (stage, actor) => {
    if (stage.isUser(actor)) {
      await stage.befriend(actor, "spare");
    }
    return { params: { userId: stage.id("spare") } };
  },
  "DELETE /api/friends/{userId} · no friend": (stage) => ({ params: { userId: stage.id("quiet") } }),
  "GET /api/blocks": plainly,
  "PUT /api/blocks/{userId}": (stage, actor) => ({
    params: { userId: stage.id("spare") },
    undo: () => stage.must("DELETE", `/api/blocks/${stage.id("spare")}`, actor),
  }),
  "DELETE /api/blocks/{userId} · blocked before": async (stage, actor) => {
    if (stage.isUser(actor) || actor === "guest") {
      await stage.must("PUT", `/api/blocks/${stage.id("spare")}`, actor);
    }
    return { params: { userId: stage.id("spare") } };
  },
  "DELETE /api/blocks/{userId} · not blocked": (stage) => ({ params: { userId: stage.id("quiet") } }),

  "POST /api/conversations · group with peer": (stage) => ({
    body: { type: 2, name: "another", memberIds: [stage.id("peer")] },
  }),
  "POST /api/conversations · direct with peer": (stage) => ({ body: { type: 1, memberIds: [stage.id("peer")] } }),
  "GET /api/conversations": plainly,
  ...everywhere("GET /api/conversations/{id}", nothing),
  ...everywhere("PATCH /api/conversations/{id}", () => ({ body: { announcement: uniqueName("news") } })),
  ...everywhere("DELETE /api/conversations/{id}", nothing, { spoils: true }),
  ...everywhere("POST /api/conversations/{id}/transfer", userId("peer"), { spoils: true }),
  ...everywhere("PUT /api/conversations/{id}/settings", () => ({ body: { pinned: true } })),
  ...everywhere("PUT /api/conversations/{id}/read", () => ({ body: { seqId: 1 } })),
  "POST /api/conversations/{id}/read · group": inGroup(() => ({ body: { seqId: 1 } })),

  ...everywhere("GET /api/conversations/{id}/members", nothing),
  ...everywhere("POST /api/conversations/{id}/members", (stage) => ({ body: { userIds: [stage.id("spare")] } }), {
    spoils: true,
  }),
  "PUT /api/conversations/{id}/members/{userId} · role": inGroup((stage) => ({
    params: { userId: stage.id("peer") },
    body: { role: 2 },
    spoils: true,
  })),
  "PUT /api/conversations/{id}/members/{userId} · mute": inGroup(muteOf("peer")),
  "PUT /api/conversations/{id}/members/{userId} · mute admin": inGroup(muteOf("admin")),
  "PUT /api/conversations/{id}/members/{userId} · mute owner": inGroup(muteOf("owner")),
  "PUT /api/conversations/{id}/members/{userId} · direct": direct(muteOf("peer")),
  // In the world `peer` goes on talking: the mute is over at once.
  "PUT /api/conversations/{id}/members/{userId} · world": world((stage) => ({
    params: { userId: stage.id("peer") },
    body: { mutedUntil: null },
  })),
  "DELETE /api/conversations/{id}/members/{userId} · peer": inGroup((stage) => ({
    params: { userId: stage.id("peer") },
    spoils: true,
  })),
  "DELETE /api/conversations/{id}/members/{userId} · owner": inGroup((stage) => ({
    params: { userId: stage.id("owner") },
  })),
  "DELETE /api/conversations/{id}/members/{userId} · self": inGroup((stage, actor) => ({
    params: { userId: stage.id(actor) },
    spoils: true,
  })),
  "DELETE /api/conversations/{id}/members/{userId} · self, direct": direct(oneself),
  "DELETE /api/conversations/{id}/members/{userId} · self, world": world(oneself),

  ...everywhere("POST /api/conversations/{id}/invites", () => ({ body: {} })),
  "GET /api/conversations/{id}/invites": inGroup(nothing),
  "DELETE /api/conversations/{id}/invites/{code}": inGroup(async (stage, _actor, group) => ({
    params: { code: await stage.invite(group) },
  })),
  "POST /api/invites/{code}/join · open": async (stage) => ({
    params: { code: await stage.invite(await stage.group()) },
    spoils: true,
  }),
  "POST /api/invites/{code}/join · approval": async (stage) => ({
    params: { code: await stage.invite(await stage.group("approval")) },
    spoils: true,
  }),
  "POST /api/invites/{code}/join · no such code": () => ({ params: { code: `${NO_ID}${"A".repeat(16)}` } }),
  "GET /api/conversations/{id}/join-requests": inGroup(nothing, "approval"),
  "PUT /api/conversations/{id}/join-requests/{requestId}": inGroup(async (stage, _actor, group) => {
    const code = await stage.invite(group);
    const { requestId } = await stage.must("POST", `/api/invites/${code}/join`, "quiet");
    return { params: { requestId: String(requestId) }, body: { action: "accept" }, spoils: true };
  }, "approval"),

  ...everywhere("GET /api/conversations/{id}/messages", nothing),
  ...everywhere("POST /api/conversations/{id}/messages", text()),
  "POST /api/conversations/{id}/messages · all muted": inGroup(text(), "all muted"),
  "POST /api/conversations/{id}/messages · system, group": inGroup(text("system")),
  "POST /api/conversations/{id}/messages · system, world": world(text("system")),
  [`PATCH ${MESSAGE} · own`]: inGroup(edited("own")),
  [`PATCH ${MESSAGE} · another's`]: inGroup(edited("peer")),
  [`PATCH ${MESSAGE} · own, direct`]: direct(edited("own")),
  [`POST ${MESSAGE}/recall · own`]: inGroup(recalled("own")),
  [`POST ${MESSAGE}/recall · another's`]: inGroup(recalled("peer")),
  [`POST ${MESSAGE}/recall · own, direct`]: direct(recalled("own")),
  [`POST ${MESSAGE}/recall · another's, direct`]: direct(recalled("peer")),
  ...everywhere(`GET ${MESSAGE}/edits`, anyMessage),
  ...everywhere(`PUT ${MESSAGE}/reactions/{emoji}`, reaction),
  ...everywhere(`DELETE ${MESSAGE}/reactions/{emoji}`, reaction),
  ...everywhere(`GET ${MESSAGE}/readers`, anyMessage),
  [`GET ${MESSAGE}/readers · world, nothing`]: world(() => ({ params: { messageId: NO_ID } })),
  "GET /api/sync": plainly,

  "GET /api/admin/users": plainly,
  "POST /api/admin/users/{id}/ban": (stage) => ({ params: { id: stage.id("victim") }, body: { reason: "a test" } }),
  "POST /api/admin/users/{id}/unban": (stage) => ({ params: { id: stage.id("victim") } }),
  "POST /api/admin/users/{id}/kick": (stage) => ({ params: { id: stage.id("victim") } }),
  "GET /api/admin/conversations/{id}": inGroup(nothing),
  "DELETE /api/admin/conversations/{id} · group": inGroup(() => ({ spoils: true })),
  "DELETE /api/admin/conversations/{id} · world": world(nothing),
  "DELETE /api/admin/conversations/{id}/messages/{messageId}": inGroup(async (stage, _actor, { id }) => {
    const body = { clientMsgId: uniqueName("m"), messageType: "text", content: "to be taken away" };
    const { messageId } = await stage.must("POST", `/api/conversations/${id}/messages`, "owner", body);
    return { params: { messageId: String(messageId) } };
  }),
  "POST /api/admin/announcements · to everyone": () => ({ body: { text: "to everyone" } }),
  "POST /api/admin/announcements · to a group": async (stage) => ({
    body: { text: "to a group", conversationId: (await stage.group()).id },
  }),
  "GET /api/admin/audit": plainly,
  "GET /api/admin/dead-letters": plainly,
  "POST /api/admin/dead-letters/{id}/replay": (stage) => ({ params: { id: stage.letterId } }),
  "GET /api/admin/state": plainly,

  "GET /health": plainly,
  // From the loopback; workers' tests ask from elsewhere.
  "GET /metrics": plainly,
  // With queues nobody brings anything; with Kafka only a signature helps (workers' tests).
  "POST /internal/bus/{topic}": () => ({ params: { topic: "gochat.user-events" }, body: {} }),
  "GET /openapi.json": plainly,
  "GET /docs": plainly,
  "PUT /testing/faults": () => ({ body: {} }),
  "GET /ws": plainly,
  "GET /ws/rooms/{id} · world": () => ({ params: WORLD }),
  "GET /ws/rooms/{id} · group": inGroup(nothing),
  "GET /ws/rooms/{id} · direct": direct(nothing),
};
