import { describe, it } from "vitest";
import { newId } from "../../../src/platform/ids.ts";
import { EVENTS } from "../../../src/protocol/events.ts";
import type { User } from "../../../src/protocol/things.ts";
import type { RepoUnderTest } from "./underTest.ts";

const NOW = 1_700_000_000_000;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Friend requests and friendships. */
export function friendCases({ repo, sql }: RepoUnderTest): void {
  async function newUser(isGuest = false): Promise<User> {
    const userId = newId(NOW);
    const username = `f-${userId.slice(-12).toLowerCase()}`;
    const made = await repo.users.create({
      userId,
      username,
      passwordHash: null,
      displayName: username,
      isGuest,
      eventId: newId(NOW),
      now: NOW,
    });
    if (!made.ok) {
      throw new Error(made.fault.name);
    }
    return { userId, username, displayName: username, isGuest, role: "user", createdAt: NOW };
  }

  function ask(from: User, to: User, now = NOW, message?: string) {
    const id = newId(now);
    return repo.friends.request({
      requester: from,
      targetUserId: to.userId,
      message,
      requestId: id,
      eventId: newId(now),
      now,
    });
  }

  function decide(requestId: string, actor: User, action: "accept" | "reject", now = NOW) {
    return repo.friends.decide({ requestId, actor, action, eventId: newId(now), now });
  }

  /** Events in the outbox of both users, checked against the schema of the topic. */
  async function eventsOf(...users: User[]) {
    const rows = await Promise.all(users.map((user) => repo.outbox.pending(user.userId, 100)));
    const events = rows.flat().filter((row) => row.topic === "gochat.friend-events");
    return events.map((row) => EVENTS["gochat.friend-events"].parse(JSON.parse(row.body)));
  }

  /** What a push service would tell of this user's requests. */
  async function noticesOf(user: User) {
    const rows = await repo.outbox.pending(user.userId, 100);
    const notices = rows.filter((row) => row.topic === "gochat.notifications");
    const events = notices.map((row) => EVENTS["gochat.notifications"].parse(JSON.parse(row.body)));
    // A new account is welcomed as well.
    return events.filter((event) => event.event_type !== "welcome");
  }

  async function block(user: User, other: User): Promise<void> {
    await sql("INSERT INTO blocks VALUES (?, ?, ?)", user.userId, other.userId, NOW);
  }

  async function unblock(user: User, other: User): Promise<void> {
    await sql("DELETE FROM blocks WHERE user_id = ? AND blocked_user_id = ?", user.userId, other.userId);
  }

  async function pair(): Promise<[User, User]> {
    return [await newUser(), await newUser()];
  }

  describe("friend requests", () => {
    it("are stored with their event, and lead to a friendship", async ({ expect }) => {
      const [a, b] = await pair();
      const asked = await ask(a, b, NOW, "hi");
      expect(asked).toMatchObject({
        ok: true,
        value: {
          kind: "created",
          request: { requesterId: a.userId, targetUserId: b.userId, message: "hi", status: "pending" },
        },
      });
      const requestId = asked.ok ? asked.value.request.requestId : "";
      expect(await eventsOf(a, b)).toMatchObject([
        {
          event_type: "friend.request.sent",
          timestamp: NOW / 1000,
          user_id: a.userId,
          target_user_id: b.userId,
          payload: { request: asked.ok ? asked.value.request : {}, user: a },
        },
      ]);
      expect(await noticesOf(a)).toMatchObject([
        {
          event_type: "friend.request.new",
          user_id: a.userId,
          target_user_id: b.userId,
          payload: { request: { requestId } },
        },
      ]);
      expect(await repo.friends.areFriends(a.userId, b.userId)).toBe(false);

      const accepted = await decide(requestId, b, "accept", NOW + 2000);
      expect(accepted).toMatchObject({ ok: true, value: { requestId, status: "accepted", updatedAt: NOW + 2000 } });
      expect(await repo.friends.areFriends(a.userId, b.userId)).toBe(true);
      expect(await repo.friends.areFriends(b.userId, a.userId)).toBe(true);
      expect((await eventsOf(b))[0]).toMatchObject({
        event_type: "friend.request.accepted",
        user_id: b.userId,
        target_user_id: a.userId,
        payload: { user: b, request: { requestId, status: "accepted" } },
      });
      // Again changes nothing, and says nothing again.
      expect(await decide(requestId, b, "accept")).toMatchObject({ ok: true, value: { updatedAt: NOW + 2000 } });
      expect(await decide(requestId, b, "reject")).toMatchObject({ ok: false, fault: { name: "CONFLICT" } });
      expect(await eventsOf(a, b)).toHaveLength(2);
      expect(await ask(a, b)).toMatchObject({ ok: false, fault: { name: "CONFLICT" } });
      expect(await ask(b, a)).toMatchObject({ ok: false, fault: { name: "CONFLICT" } });
    });

    it("leave out a message that is not there", async ({ expect }) => {
      const [a, b] = await pair();
      const asked = await ask(a, b);
      expect(asked.ok && "message" in asked.value.request).toBe(false);
      const [event] = await eventsOf(a);
      expect(event?.event_type === "friend.request.sent" && "message" in event.payload.request).toBe(false);
    });

    it("asked twice are one", async ({ expect }) => {
      const [a, b] = await pair();
      const first = await ask(a, b, NOW, "first");
      const second = await ask(a, b, NOW + 1, "second");
      expect(second).toMatchObject({ ok: true, value: { kind: "existing", request: { message: "first" } } });
      expect(second.ok && second.value.request.requestId).toBe(first.ok && first.value.request.requestId);
      expect(await eventsOf(a, b)).toHaveLength(1);
      expect(await noticesOf(a)).toHaveLength(1);
    });

    it("that cross make friends, one after the other", async ({ expect }) => {
      const [a, b] = await pair();
      await ask(a, b);
      expect(await ask(b, a)).toMatchObject({
        ok: true,
        value: { kind: "accepted", request: { requesterId: a.userId, status: "accepted" } },
      });
      expect(await repo.friends.areFriends(a.userId, b.userId)).toBe(true);
      expect((await eventsOf(a, b)).map((event) => event.event_type)).toEqual([
        "friend.request.sent",
        "friend.request.accepted",
      ]);
    });

    it("that cross at the same moment make friends once", async ({ expect }) => {
      for (let round = 0; round < 5; round++) {
        const [a, b] = await pair();
        const results = await Promise.all([ask(a, b), ask(b, a), ask(a, b), ask(b, a)]);
        const kinds = results.map((result) => (result.ok ? result.value.kind : result.fault.name));
        expect(kinds.filter((kind) => kind === "created")).toHaveLength(1);
        expect(kinds.filter((kind) => kind === "accepted")).toHaveLength(1);
        expect(await repo.friends.areFriends(a.userId, b.userId)).toBe(true);
        expect(await repo.friends.areFriends(b.userId, a.userId)).toBe(true);
        const rows = await sql("SELECT * FROM friendship_requests WHERE requester_id IN (?, ?)", a.userId, b.userId);
        expect(rows).toHaveLength(1);
        expect(await eventsOf(a, b)).toHaveLength(2);
      }
    });

    it("are decided by the addressee alone, once, also under a race", async ({ expect }) => {
      const [a, b] = await pair();
      const asked = await ask(a, b);
      const requestId = asked.ok ? asked.value.request.requestId : "";
      for (const stranger of [a, await newUser()]) {
        expect(await decide(requestId, stranger, "accept")).toMatchObject({ ok: false, fault: { name: "NOT_FOUND" } });
      }
      expect(await decide("nothing", b, "accept")).toMatchObject({ ok: false, fault: { name: "NOT_FOUND" } });
      const results = await Promise.all([decide(requestId, b, "accept"), decide(requestId, b, "reject")]);
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      expect(await repo.friends.areFriends(a.userId, b.userId)).toBe(results[0].ok);
      expect(await eventsOf(b)).toHaveLength(1);
    });

    it("may be repeated a day after a rejection, and by the other side at once", async ({ expect }) => {
      const [a, b] = await pair();
      const asked = await ask(a, b);
      await decide(asked.ok ? asked.value.request.requestId : "", b, "reject");
      expect((await eventsOf(b))[0]).toMatchObject({ event_type: "friend.request.rejected", target_user_id: a.userId });
      expect(await ask(a, b, NOW + DAY_MS - 1)).toMatchObject({ ok: false, fault: { name: "CONFLICT" } });
      expect(await ask(a, b, NOW + DAY_MS)).toMatchObject({ ok: true, value: { kind: "created" } });

      const [c, d] = await pair();
      const other = await ask(c, d);
      await decide(other.ok ? other.value.request.requestId : "", d, "reject");
      expect(await ask(d, c)).toMatchObject({ ok: true, value: { kind: "created" } });
    });

    it("refuse oneself, guests and nobody", async ({ expect }) => {
      const [a, guest] = [await newUser(), await newUser(true)];
      expect(await ask(a, a)).toMatchObject({ ok: false, fault: { name: "INVALID_INPUT" } });
      expect(await ask(a, guest)).toMatchObject({ ok: false, fault: { name: "PERMISSION_DENIED" } });
      expect(await ask(a, { ...a, userId: newId(NOW) })).toMatchObject({
        ok: false,
        fault: { name: "USER_NOT_FOUND" },
      });
      expect(await eventsOf(a)).toEqual([]);
    });

    it("to someone who has blocked the asker look like any other, and reach nobody", async ({ expect }) => {
      const [a, b] = await pair();
      await block(b, a);
      const asked = await ask(a, b, NOW, "let me in");
      expect(asked).toMatchObject({ ok: true, value: { kind: "created", request: { status: "pending" } } });
      expect(await ask(a, b)).toMatchObject({ ok: true, value: { kind: "existing" } });
      const outgoing = await repo.friends.requests(a.userId, { direction: "outgoing", limit: 10 });
      expect(outgoing.ok && outgoing.value.items).toHaveLength(1);
      const incoming = await repo.friends.requests(b.userId, { direction: "incoming", limit: 10 });
      expect(incoming.ok && incoming.value.items).toHaveLength(0);
      const requestId = asked.ok ? asked.value.request.requestId : "";
      expect(await decide(requestId, b, "accept")).toMatchObject({ ok: false, fault: { name: "NOT_FOUND" } });
      expect(await eventsOf(a, b)).toEqual([]);
      expect(await noticesOf(a)).toEqual([]);
      // Whoever blocks cannot ask either, and is told so.
      expect(await ask(b, a)).toMatchObject({ ok: false, fault: { name: "PERMISSION_DENIED" } });
      expect(await repo.friends.blockedAmong(a.userId, [b.userId, "nobody"])).toEqual([b.userId]);
      expect(await repo.friends.blockedAmong(b.userId, [a.userId])).toEqual([a.userId]);
      const { accounts, blocked } = await repo.friends.accountsAmong(b.userId, [a.userId, "nobody"]);
      expect([accounts.map(({ userId }) => userId), blocked]).toEqual([[a.userId], [a.userId]]);
      expect(await repo.friends.accountsAmong(b.userId, [])).toEqual({ accounts: [], blocked: [] });
      // Once the block is gone, asking again makes the request appear.
      await unblock(b, a);
      expect(await ask(a, b, NOW + 5)).toMatchObject({ ok: true, value: { kind: "existing" } });
      expect((await eventsOf(a)).map((event) => event.event_type)).toEqual(["friend.request.sent"]);
      expect(await decide(requestId, b, "accept")).toMatchObject({ ok: true });
    });

    it("are listed by direction and status, newest first, page by page", async ({ expect }) => {
      const [a, ...others] = [await newUser(), await newUser(), await newUser(), await newUser()];
      const ids: string[] = [];
      for (const [i, other] of others.entries()) {
        const asked = await ask(other, a, NOW + i);
        ids.unshift(asked.ok ? asked.value.request.requestId : "");
      }
      const page = async (cursor?: string, status?: "pending" | "rejected") => {
        const list = await repo.friends.requests(a.userId, { direction: "incoming", limit: 2, cursor, status });
        return list.ok
          ? { ids: list.value.items.map((r) => r.requestId), next: list.value.nextCursor }
          : { ids: [], next: "" };
      };
      const first = await page();
      expect(first.ids).toEqual(ids.slice(0, 2));
      expect(await page(first.next ?? undefined)).toEqual({ ids: ids.slice(2), next: null });
      await decide(ids[0] ?? "", a, "reject");
      expect(await page(undefined, "rejected")).toEqual({ ids: ids.slice(0, 1), next: null });
      expect(await page(undefined, "pending")).toEqual({ ids: ids.slice(1), next: null });
    });
  });

  describe("friends", () => {
    it("are listed with their accounts and removed from both sides, once", async ({ expect }) => {
      const [a, b] = await pair();
      const c = await newUser();
      for (const other of [b, c]) {
        await ask(a, other);
        await ask(other, a);
      }
      const first = await repo.friends.friends(a.userId, { limit: 1 });
      const cursor = (first.ok && first.value.nextCursor) || undefined;
      const second = await repo.friends.friends(a.userId, { limit: 1, cursor });
      const both = [first, second].flatMap((page) => (page.ok ? page.value.items : []));
      expect(both.map((friend) => friend.user.userId)).toEqual([b.userId, c.userId].toSorted());
      expect(second.ok && second.value.nextCursor).toBeNull();

      expect(await repo.friends.remove(a.userId, b.userId, newId(NOW), NOW)).toBe(true);
      expect(await repo.friends.remove(a.userId, b.userId, newId(NOW), NOW)).toBe(false);
      expect(await repo.friends.areFriends(b.userId, a.userId)).toBe(false);
      const removed = (await eventsOf(a)).filter((event) => event.event_type === "friend.removed");
      expect(removed).toMatchObject([
        { user_id: a.userId, target_user_id: b.userId, payload: { user_ids: [a.userId, b.userId] } },
      ]);
      expect(await ask(b, a)).toMatchObject({ ok: true, value: { kind: "created" } });
    });

    it("are found by id, for one user and for several, and among others", async ({ expect }) => {
      const [a, b, c, d] = [await newUser(), await newUser(), await newUser(), await newUser()];
      for (const [one, other] of [
        [a, b],
        [a, c],
        [b, c],
      ] as const) {
        await ask(one, other);
        await ask(other, one);
      }
      const sorted = (...users: User[]) => users.map((user) => user.userId).toSorted();
      const ofA = sorted(b, c);
      expect(await repo.friends.friendIds(a.userId, "", 10)).toEqual(ofA);
      expect(await repo.friends.friendIds(a.userId, "", 1)).toEqual(ofA.slice(0, 1));
      expect(await repo.friends.friendIds(a.userId, ofA[0] ?? "", 10)).toEqual(ofA.slice(1));
      expect(await repo.friends.firstFriendIds([a.userId, b.userId, d.userId], 10)).toEqual(
        new Map([
          [a.userId, ofA],
          [b.userId, sorted(a, c)],
        ]),
      );
      expect((await repo.friends.firstFriendIds([a.userId], 1)).get(a.userId)).toEqual(ofA.slice(0, 1));
      expect((await repo.friends.friendsAmong(a.userId, [d.userId, b.userId, "nobody"])).toSorted()).toEqual(sorted(b));
      expect(await repo.friends.friendsAmong(a.userId, [])).toEqual([]);
    });

    it("leave the outbox when the bus has their events", async ({ expect }) => {
      const [a, b] = await pair();
      await ask(a, b);
      const waiting = async () =>
        (await repo.outbox.pending(a.userId, 10)).filter((row) => row.body.includes("friend."));
      const rows = await waiting();
      expect(rows).toMatchObject([{ topic: "gochat.friend-events" }, { topic: "gochat.notifications" }]);
      expect((await repo.outbox.backlog()).count).toBeGreaterThan(0);
      await repo.outbox.published(rows.map((row) => row.eventId));
      expect(await waiting()).toEqual([]);
    });
  });
}
