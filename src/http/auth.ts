/** Register, log in, guest, refresh, log out, upgrade. Rules: WIRE "Accounts". */
import { createRoute } from "@hono/zod-openapi";
import { writeProfile } from "../cache/profiles.ts";
import { newId, randomName } from "../platform/ids.ts";
import { hashPassword, needsRehash, verifyPassword } from "../platform/passwords.ts";
import type { DeviceWish, SignedIn } from "../platform/rpc.ts";
import { userOfRefreshToken } from "../platform/tokens.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import {
  AuthAnswer,
  EmptyAnswer,
  GuestAnswer,
  GuestBody,
  LoginBody,
  LogoutBody,
  RefreshBody,
  RegisterBody,
  UpgradeBody,
} from "../protocol/rest.ts";
import type { NewUser, UserRow } from "../repo/types.ts";
import { addressOf, background, fail, newRouter, type Ctx } from "./context.ts";
import { presentConversation, presentSelf } from "./present.ts";
import { acceptNames } from "./names.ts";
import { answer, body, optionalBody, refusals } from "./route.ts";
import { signedIn } from "./signedIn.ts";
import { worldView } from "./views.ts";

export const auth = newRouter();

const tags = ["accounts"];

/** Two guests with one name would need a wonder; three tries make it two wonders. */
const GUEST_NAME_TRIES = 3;
const GUEST_NAME_CHARS = 8;

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/register",
    tags,
    summary: "Make an account",
    request: { body: body(RegisterBody) },
    responses: { 201: answer(AuthAnswer, "Signed in"), ...refusals("CONFLICT", "CONTENT_REJECTED") },
  }),
  async (c) => {
    const services = c.get("services");
    const { brakes } = services;
    const wish = c.req.valid("json");
    const braked = await brakes.registration(addressOf(c));
    if (!braked.ok) {
      return fail(c, braked.fault);
    }
    const named = acceptNames(services, { username: wish.username, displayName: wish.displayName });
    if (!named.ok) {
      return fail(c, named.fault);
    }
    const passwordHash = await hashPassword(wish.password);
    const created = await createAccount(c, {
      username: wish.username,
      email: wish.email,
      passwordHash,
      displayName: wish.displayName ?? wish.username,
      isGuest: false,
    });
    if (!created.ok) {
      return fail(c, created.fault);
    }
    const session = await signIn(c, created.value, wish.device ?? {});
    return session.ok ? c.json(session.value, 201) : fail(c, session.fault);
  },
);

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/login",
    tags,
    summary: "Sign in with user name or mail address",
    request: { body: body(LoginBody) },
    responses: { 200: answer(AuthAnswer, "Signed in"), ...refusals("UNAUTHENTICATED", "BANNED") },
  }),
  async (c) => {
    const { repo, brakes, clock } = c.get("services");
    const { username, password, device } = c.req.valid("json");
    const address = addressOf(c);
    // Before the hash, which is what guessing would make us spend.
    const braked = await brakes.login(address, username);
    if (!braked.ok) {
      return fail(c, braked.fault);
    }
    const user = await repo.users.findByLogin(username);
    const stored = user?.passwordHash ?? null;
    const right = await verifyPassword(password, stored);
    if (!right || user === null || stored === null) {
      await brakes.failedLogin(address, username);
      return fail(c, { name: "UNAUTHENTICATED" });
    }
    if (user.bannedAt !== null) {
      return fail(c, { name: "BANNED" });
    }
    if (needsRehash(stored)) {
      const better = hashPassword(password).then((hash) =>
        repo.users.replaceHash(user.userId, stored, hash, clock.now()),
      );
      background(c, "rehashing a password", better);
    }
    const session = await signIn(c, user, device ?? {});
    return session.ok ? c.json(session.value, 200) : fail(c, session.fault);
  },
);

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/guest",
    tags,
    summary: "Come in without an account",
    request: { body: optionalBody(GuestBody) },
    responses: { 201: answer(GuestAnswer, "Signed in, in the world room"), ...refusals() },
  }),
  async (c) => {
    const services = c.get("services");
    const braked = await services.brakes.registration(addressOf(c));
    if (!braked.ok) {
      return fail(c, braked.fault);
    }
    const guest = await newGuest(c);
    if (!guest.ok) {
      return fail(c, guest.fault);
    }
    const session = await signIn(c, guest.value, c.req.valid("json").device ?? {});
    if (!session.ok) {
      return fail(c, session.fault);
    }
    const world = await worldView(services, { userId: guest.value.userId, isGuest: true, isAdmin: false });
    if (!world.ok) {
      return fail(c, world.fault);
    }
    const conversation = presentConversation(world.value.conversation, world.value.headSeqId);
    return c.json({ ...session.value, conversation }, 201);
  },
);

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/refresh",
    tags,
    summary: "New tokens for a refresh token, which is used up by it",
    request: { body: body(RefreshBody) },
    responses: { 200: answer(AuthAnswer, "New tokens"), ...refusals("UNAUTHENTICATED", "BANNED") },
  }),
  async (c) => {
    const { repo, session } = c.get("services");
    const { refreshToken } = c.req.valid("json");
    const userId = userOfRefreshToken(refreshToken);
    // SQL before the rotation: when SQL is away, the client keeps a refresh token that is still good.
    const user = userId === null ? null : await repo.users.byId(userId);
    if (user === null) {
      return fail(c, { name: "UNAUTHENTICATED" });
    }
    const rotated = await session(user.userId).refresh(refreshToken);
    if (!rotated.ok) {
      return fail(c, rotated.fault);
    }
    if (user.bannedAt !== null) {
      return fail(c, { name: "BANNED" });
    }
    return c.json(await tokensFor(c, user, rotated.value), 200);
  },
);

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/logout",
    tags,
    summary: "Sign this device out, or all of them",
    ...signedIn,
    request: { body: optionalBody(LogoutBody) },
    responses: { 200: answer(EmptyAnswer, "Signed out; sockets are closed"), ...refusals("UNAUTHENTICATED") },
  }),
  async (c) => {
    const { actor, deviceId } = c.get("viewer");
    const session = c.get("services").session(actor.userId);
    if (c.req.valid("json").everywhere === true) {
      await session.kick();
      return c.json({}, 200);
    }
    const left = await session.signOut(deviceId);
    return left.ok || left.fault.name === "NOT_FOUND" ? c.json({}, 200) : fail(c, left.fault);
  },
);

auth.openapi(
  createRoute({
    method: "post",
    path: "/auth/upgrade",
    tags,
    summary: "A guest becomes a user and keeps id and history",
    ...signedIn,
    request: { body: body(UpgradeBody) },
    responses: {
      200: answer(AuthAnswer, "Signed in as the user"),
      ...refusals("UNAUTHENTICATED", "CONFLICT", "CONTENT_REJECTED"),
    },
  }),
  async (c) => {
    const services = c.get("services");
    const { repo, brakes, cache, clock, session } = services;
    const { actor, deviceId } = c.get("viewer");
    const wish = c.req.valid("json");
    if (!actor.isGuest) {
      return fail(c, { name: "CONFLICT", detail: "not a guest" });
    }
    const braked = await brakes.registration(addressOf(c));
    if (!braked.ok) {
      return fail(c, braked.fault);
    }
    const named = acceptNames(services, { username: wish.username, displayName: wish.displayName });
    if (!named.ok) {
      return fail(c, named.fault);
    }
    const { password, ...account } = wish;
    const passwordHash = await hashPassword(password);
    const upgraded = await repo.users.upgradeGuest(actor.userId, { ...account, passwordHash }, clock.now());
    if (!upgraded.ok) {
      return fail(c, upgraded.fault);
    }
    const { userId, role } = upgraded.value;
    await writeProfile(cache, upgraded.value).catch(() => undefined);
    await session(userId).accountChanged({ userId, isGuest: false, role });
    const signed = await signIn(c, upgraded.value, { id: deviceId });
    return signed.ok ? c.json(signed.value, 200) : fail(c, signed.fault);
  },
);

/** The row of a new account, with its welcome on the way. */
async function createAccount(c: Ctx, account: Omit<NewUser, "userId" | "eventId" | "now">): Promise<Result<UserRow>> {
  const { repo, clock, session, publishEvents } = c.get("services");
  const now = clock.now();
  const userId = newId(now);
  await session(userId).watchOutbox();
  const created = await repo.users.create({ ...account, userId, eventId: newId(now), now });
  if (created.ok) {
    background(c, "publishing events", publishEvents(userId));
  }
  return created;
}

/** A guest's account, under a name that nobody has. */
async function newGuest(c: Ctx): Promise<Result<UserRow>> {
  for (let attempt = 0; attempt < GUEST_NAME_TRIES; attempt++) {
    const username = `guest_${randomName(GUEST_NAME_CHARS)}`;
    const created = await createAccount(c, { username, passwordHash: null, displayName: username, isGuest: true });
    if (created.ok || created.fault.name !== "CONFLICT") {
      return created;
    }
  }
  return err({ name: "UNAVAILABLE", detail: "no free guest name found" });
}

/** A device and tokens for a user who has proved who they are. */
async function signIn(c: Ctx, user: UserRow, device: DeviceWish): Promise<Result<AuthAnswer>> {
  const { userId, isGuest, role } = user;
  const signed = await c.get("services").session(userId).signIn({ userId, isGuest, role }, device);
  return signed.ok ? ok(await tokensFor(c, user, signed.value)) : signed;
}

async function tokensFor(c: Ctx, user: UserRow, signed: SignedIn): Promise<AuthAnswer> {
  const { tokens, clock, settings } = c.get("services");
  const { userId, role, isGuest } = user;
  const { deviceId, refreshToken, validFrom } = signed;
  const issuedAt = Math.max(clock.now(), validFrom);
  return {
    user: presentSelf(user),
    deviceId,
    accessToken: await tokens.sign({ userId, deviceId, role, isGuest, issuedAt }),
    refreshToken,
    expiresIn: Math.floor(settings.limits.accessTokenMs / 1000),
  };
}
