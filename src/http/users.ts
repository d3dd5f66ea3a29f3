/** Profiles, finding users, the own devices. */
import { createRoute } from "@hono/zod-openapi";
import { writeProfile } from "../cache/profiles.ts";
import { newId } from "../platform/ids.ts";
import { decodeCursor, encodeCursor } from "../repo/cursor.ts";
import {
  DeviceList,
  DeviceParams,
  EmptyAnswer,
  PageQuery,
  ProfileBody,
  UserList,
  UserParams,
  UserSearchQuery,
} from "../protocol/rest.ts";
import { SelfUser, User } from "../protocol/things.ts";
import { background, fail, newRouter } from "./context.ts";
import { acceptNames } from "./names.ts";
import { presentSelf, presentUser } from "./present.ts";
import { answer, optionalBody, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";

export const users = newRouter();

const tags = ["users"];

users.openapi(
  createRoute({
    method: "get",
    path: "/users/me",
    tags,
    summary: "The own account",
    ...signedIn,
    responses: { 200: answer(SelfUser, "The account"), ...refusals("UNAUTHENTICATED", "USER_NOT_FOUND") },
  }),
  async (c) => {
    const row = await c.get("services").repo.users.byId(c.get("viewer").actor.userId);
    return row === null ? fail(c, { name: "USER_NOT_FOUND" }) : c.json(presentSelf(row), 200);
  },
);

users.openapi(
  createRoute({
    method: "patch",
    path: "/users/me",
    tags,
    summary: "Change the own profile",
    ...signedIn,
    request: { body: optionalBody(ProfileBody) },
    responses: {
      200: answer(SelfUser, "The account"),
      ...refusals("UNAUTHENTICATED", "USER_NOT_FOUND", "CONTENT_REJECTED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const { repo, cache, clock, session, publishEvents } = services;
    const { userId } = c.get("viewer").actor;
    const wish = c.req.valid("json");
    const named = acceptNames(services, { displayName: wish.displayName });
    if (!named.ok) {
      return fail(c, named.fault);
    }
    const now = clock.now();
    await session(userId).watchOutbox();
    const changed = await repo.users.updateProfile(userId, wish, newId(now), now);
    if (!changed.ok) {
      return fail(c, changed.fault);
    }
    // Whoever changed it sees it with the next read; when this fails, the event's consumer does it.
    await writeProfile(cache, changed.value).catch(() => undefined);
    background(c, "publishing events", publishEvents(userId));
    return c.json(presentSelf(changed.value), 200);
  },
);

users.openapi(
  createRoute({
    method: "get",
    path: "/users/me/sessions",
    tags,
    summary: "The devices that are signed in",
    ...signedIn,
    request: { query: PageQuery },
    responses: { 200: answer(DeviceList, "By id"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const { actor, deviceId } = c.get("viewer");
    const { cursor, limit } = c.req.valid("query");
    const key = decodeCursor(cursor, [""]);
    if (!key.ok) {
      return fail(c, key.fault);
    }
    const after = key.value?.[0] ?? "";
    const devices = await c.get("services").session(actor.userId).devices(deviceId);
    const rest = devices.filter((device) => device.deviceId > after);
    const items = rest.toSorted((a, b) => (a.deviceId < b.deviceId ? -1 : 1)).slice(0, limit);
    const nextCursor = rest.length > limit ? encodeCursor([items.at(-1)?.deviceId ?? ""]) : null;
    return c.json({ items, nextCursor }, 200);
  },
);

users.openapi(
  createRoute({
    method: "delete",
    path: "/users/me/sessions/{deviceId}",
    tags,
    summary: "Sign a device out",
    ...signedIn,
    request: { params: DeviceParams },
    responses: {
      200: answer(EmptyAnswer, "Signed out; its sockets are closed"),
      ...refusals("UNAUTHENTICATED", "NOT_FOUND"),
    },
  }),
  async (c) => {
    const { actor } = c.get("viewer");
    const removed = await c.get("services").session(actor.userId).removeDevice(c.req.valid("param").deviceId);
    return removed.ok ? c.json({}, 200) : fail(c, removed.fault);
  },
);

users.openapi(
  createRoute({
    method: "delete",
    path: "/users/me/sessions",
    tags,
    summary: "Log out everywhere: sign all devices out, this one too",
    ...signedIn,
    responses: { 200: answer(EmptyAnswer, "Signed out; all sockets are closed"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    await c.get("services").session(c.get("viewer").actor.userId).kick();
    return c.json({}, 200);
  },
);

users.openapi(
  createRoute({
    method: "get",
    path: "/users",
    tags,
    summary: "Users whose user name or display name begins so",
    ...signedIn,
    request: { query: UserSearchQuery },
    responses: { 200: answer(UserList, "By user name"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const { q, limit, cursor } = c.req.valid("query");
    const page = await c.get("services").repo.users.search(q, { limit, cursor });
    if (!page.ok) {
      return fail(c, page.fault);
    }
    return c.json({ items: page.value.items.map(presentUser), nextCursor: page.value.nextCursor }, 200);
  },
);

users.openapi(
  createRoute({
    method: "get",
    path: "/users/{id}",
    tags,
    summary: "A user's profile",
    ...signedIn,
    request: { params: UserParams },
    responses: { 200: answer(User, "The profile"), ...refusals("UNAUTHENTICATED", "USER_NOT_FOUND") },
  }),
  async (c) => {
    const row = await c.get("services").repo.users.byId(c.req.valid("param").id);
    return row === null ? fail(c, { name: "USER_NOT_FOUND" }) : c.json(presentUser(row), 200);
  },
);
