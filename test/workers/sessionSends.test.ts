import { env } from "cloudflare:workers";
import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, it, vi } from "vitest";
import { ConversationRoom } from "../../src/objects/ConversationRoom.ts";
import { sessionOf } from "../../src/platform/stubs.ts";
import {
  actorOf,
  advance,
  HeldBus,
  must,
  nameOf,
  newDirect,
  newUserId,
  resetClock,
  signIn,
} from "./support/harness.ts";
import { connect } from "./support/socket.ts";

/** Issue time of a token that is newer than any sign-in: the clock of a test stands still between its calls. */
const LATER_MS = Date.now() + 3_600_000;

beforeEach(() => {
  new HeldBus();
});
afterEach(() => {
  resetClock();
  vi.restoreAllMocks();
});

const stubOf = (userId: string) => env.SESSIONS.getByName(userId);

describe("tokens", () => {
  it("rotates; a used token that comes back kills its family and sockets, and no other device", async ({ expect }) => {
    const userId = newUserId();
    const [stolen, other] = [await signIn(userId, { kind: "ios" }), await signIn(userId)];
    const [socket, otherSocket] = [await connect(userId, stolen.deviceId), await connect(userId, other.deviceId)];
    const session = sessionOf(env, userId);
    const second = must(await session.refresh(stolen.refreshToken));
    expect(second).toMatchObject({ deviceId: stolen.deviceId, user: { userId, isGuest: false, role: "user" } });
    const third = must(await session.refresh(second.refreshToken));
    expect(new Set([stolen.refreshToken, second.refreshToken, third.refreshToken]).size).toBe(3);

    expect(nameOf(await session.refresh(stolen.refreshToken))).toBe("UNAUTHENTICATED");
    expect((await socket.untilClosed()).code).toBe(4006);
    expect(nameOf(await session.refresh(third.refreshToken))).toBe("UNAUTHENTICATED");
    expect(nameOf(await session.admit(stolen.deviceId, LATER_MS))).toBe("UNAUTHENTICATED");

    await otherSocket.settle();
    expect(nameOf(await session.refresh(other.refreshToken))).toBe("ok");
    expect(nameOf(await session.admit(other.deviceId, LATER_MS))).toBe("ok");
  });

  it("stores no token in clear, and knows none after thirty days", async ({ expect }) => {
    const userId = newUserId();
    const { refreshToken } = await signIn(userId);
    const stored = await runInDurableObject(stubOf(userId), (_session, state) =>
      JSON.stringify(state.storage.sql.exec("SELECT * FROM refresh_tokens").toArray()),
    );
    expect(stored).not.toContain(refreshToken.split(".")[1]);
    advance(30 * 24 * 3_600_000 + 1);
    expect(nameOf(await sessionOf(env, userId).refresh(refreshToken))).toBe("UNAUTHENTICATED");
  });

  it("refuses a foreign token without harm to anybody", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId, refreshToken } = await signIn(userId);
    const session = sessionOf(env, userId);
    for (const token of ["", userId, `${userId}.`, `${userId}.AAAA`, `${newUserId()}.${refreshToken.split(".")[1]}`]) {
      expect(nameOf(await session.refresh(token)), token).toBe("UNAUTHENTICATED");
    }
    expect(nameOf(await session.admit(deviceId, LATER_MS))).toBe("ok");
  });

  it("closes the sockets of a removed device at once, and of no other", async ({ expect }) => {
    const userId = newUserId();
    const [gone, stays] = [await signIn(userId), await signIn(userId)];
    const sockets = [await connect(userId, gone.deviceId), await connect(userId, gone.deviceId)];
    const other = await connect(userId, stays.deviceId);
    const session = sessionOf(env, userId);
    must(await session.removeDevice(gone.deviceId));
    for (const socket of sockets) {
      expect((await socket.untilClosed()).code).toBe(4006);
    }
    expect(nameOf(await session.removeDevice(gone.deviceId))).toBe("NOT_FOUND");
    await other.settle();
  });
});

describe("sends", () => {
  it("keeps a socket's order under load, one flight at a time, and acknowledges each", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const alice = await connect(a);
    const { append } = ConversationRoom.prototype;
    const allAreHere = Promise.withResolvers<void>();
    const flights = vi.spyOn(ConversationRoom.prototype, "append");
    flights.mockImplementationOnce(async function held(this: ConversationRoom, batch) {
      await allAreHere.promise;
      return append.call(this, batch);
    });
    for (let n = 1; n <= 30; n++) {
      const data = { clientMsgId: String(n), conversationId: id, messageType: "text" as const, content: `no. ${n}` };
      alice.send({ type: "send-message", data });
    }
    await alice.settle();
    allAreHere.resolve();
    await alice.until("30 acks", () => alice.all("message-ack").length === 30);
    expect(alice.all("message-ack").map(({ data }) => [Number(data.clientMsgId), data.seqId])).toEqual(
      Array.from({ length: 30 }, (_, i) => [i + 1, i + 1]),
    );
    expect(flights.mock.calls.map(([batch]) => batch.length)).toEqual([1, 29]);
  });

  it("counts a frame that is read and refused like one that is served", async ({ expect }) => {
    const userId = newUserId();
    const { deviceId } = await signIn(userId);
    const socket = await connect(userId, deviceId);
    // More than the burst, by far: what comes back meanwhile does not matter.
    for (let n = 0; n < 200; n++) {
      socket.send({ type: "mark-read", data: { conversationId: "nowhere", seqId: 1 } });
    }
    await socket.until("200 refusals", () => socket.all("error").length === 200);
    const names = socket.all("error").map(({ data }) => data.error.name);
    expect(names.slice(0, 50)).toEqual(Array.from({ length: 50 }, () => "INVALID_INPUT"));
    expect(names).toContain("RATE_LIMITED");
    expect(socket.closed).toBeUndefined();
  });

  it("limits a user's rate, with a time that holds, and lets nothing overtake", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const session = sessionOf(env, a);
    const send = (n: number) =>
      session.send(actorOf(a), id, { clientMsgId: String(n), messageType: "text", content: "x" });
    const outcomes = await Promise.all(Array.from({ length: 60 }, (_, i) => send(i)));
    const refused = outcomes.filter((outcome) => !outcome.ok);
    expect(refused.length).toBeGreaterThan(10);
    expect(new Set(refused.map(nameOf))).toEqual(new Set(["RATE_LIMITED"]));
    const first = outcomes.findIndex((outcome) => !outcome.ok);
    // From the first refusal on all are refused, so that order holds when the client repeats them.
    expect(outcomes.slice(first).every((outcome) => !outcome.ok)).toBe(true);
    const wait = outcomes[first];
    const waitMs = wait === undefined || wait.ok ? 0 : (wait.fault.retryAfterMs ?? 0);
    expect(waitMs).toBeGreaterThan(0);
    advance(waitMs);
    expect(nameOf(await send(first))).toBe("ok");
  });

  it("answers the sender of a resend, and shows it to the other devices once", async ({ expect }) => {
    const [a, b] = [newUserId(), newUserId()];
    const id = await newDirect(a, b);
    const [one, two] = [await connect(a), await connect(a)];
    const data = { clientMsgId: "k", conversationId: id, messageType: "text" as const, content: "once" };
    one.send({ type: "send-message", data });
    const first = await one.next("message-ack");
    one.send({ type: "send-message", data });
    const second = await one.next("message-ack");
    expect(second).toEqual(first);
    await two.settle();
    expect(two.pushed(id)).toEqual([1]);
    one.send({ type: "send-message", data: { ...data, content: "twice" } });
    expect((await one.next("message-error")).data).toMatchObject({
      clientMsgId: "k",
      conversationId: id,
      error: { code: 1003, name: "DUPLICATE_MESSAGE", retry: "never" },
    });
  });
});
