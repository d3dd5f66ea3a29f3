import { describe, it } from "vitest";
import { newId } from "../../../src/platform/ids.ts";
import { EVENTS } from "../../../src/protocol/events.ts";
import type { User } from "../../../src/protocol/things.ts";
import type { RepoUnderTest } from "./underTest.ts";

const NOW = 1_700_000_000_000;

/** Blocks, the admin's lists and acts, and the outbox. */
export function peopleCases({ repo, sql }: RepoUnderTest): void {
  async function newUser(displayName?: string): Promise<User> {
    const userId = newId(NOW);
    const username = `p-${userId.slice(-12).toLowerCase()}`;
    const eventId = newId(NOW);
    const made = await repo.users.create({
      userId,
      username,
      email: `${username}@example.org`,
      passwordHash: null,
      displayName: displayName ?? username,
      isGuest: false,
      eventId,
      now: NOW,
    });
    await repo.outbox.published([eventId]);
    if (!made.ok) {
      throw new Error(made.fault.name);
    }
    return { userId, username, displayName: made.value.displayName, isGuest: false, role: "user", createdAt: NOW };
  }

  function block(user: User, other: User) {
    return repo.blocks.block({ userId: user.userId, targetUserId: other.userId, eventId: newId(NOW), now: NOW });
  }

  function ask(from: User, to: User) {
    const [requestId, eventId] = [newId(NOW), newId(NOW)];
    return repo.friends.request({ requester: from, targetUserId: to.userId, requestId, eventId, now: NOW });
  }

  async function eventTypes(user: User): Promise<string[]> {
    const rows = await repo.outbox.pending(user.userId, 100);
    return rows
      .filter((row) => row.topic === "gochat.friend-events")
      .map((row) => EVENTS["gochat.friend-events"].parse(JSON.parse(row.body)).event_type);
  }

  describe("blocks", () => {
    it("end a friendship, once, and are listed page by page", async ({ expect }) => {
      const [a, b, c] = [await newUser(), await newUser(), await newUser()];
      await ask(a, b);
      await ask(b, a);
      expect(await block(a, b)).toEqual({ ok: true, value: undefined });
      expect(await block(a, b)).toEqual({ ok: true, value: undefined });
      expect(await block(a, c)).toEqual({ ok: true, value: undefined });
      expect(await repo.friends.areFriends(b.userId, a.userId)).toBe(false);
      expect((await eventTypes(a)).filter((type) => type === "friend.removed")).toHaveLength(1);

      const first = await repo.blocks.list(a.userId, { limit: 1 });
      const cursor = (first.ok && first.value.nextCursor) || undefined;
      const second = await repo.blocks.list(a.userId, { limit: 1, cursor });
      const all = [first, second].flatMap((page) => (page.ok ? page.value.items : []));
      expect(all.map((row) => [row.user.userId, row.since])).toEqual(
        [b, c].map((user) => [user.userId, NOW]).toSorted(([x], [y]) => (String(x) < String(y) ? -1 : 1)),
      );
      expect(await repo.blocks.unblock(a.userId, b.userId)).toBe(true);
      expect(await repo.blocks.unblock(a.userId, b.userId)).toBe(false);
      expect(await repo.friends.blockedAmong(b.userId, [a.userId])).toEqual([]);
    });

    it("hide what the other side asks, and take back what oneself has asked", async ({ expect }) => {
      const [a, b, c] = [await newUser(), await newUser(), await newUser()];
      const asked = await ask(b, a);
      await ask(a, c);
      await block(a, b);
      await block(a, c);
      expect(await repo.friends.isWaiting(asked.ok ? asked.value.request.requestId : "")).toBe(false);
      const outgoing = await repo.friends.requests(b.userId, { direction: "outgoing", limit: 10 });
      expect(outgoing.ok && outgoing.value.items).toHaveLength(1);
      expect(await repo.friends.requests(c.userId, { direction: "incoming", limit: 10 })).toMatchObject({
        value: { items: [] },
      });
    });

    it("refuse oneself and nobody", async ({ expect }) => {
      const a = await newUser();
      expect(await block(a, a)).toMatchObject({ fault: { name: "INVALID_INPUT" } });
      expect(await block(a, { ...a, userId: newId(NOW) })).toMatchObject({ fault: { name: "USER_NOT_FOUND" } });
    });

    it("at the same moment as an acceptance leave no friendship", async ({ expect }) => {
      for (let round = 0; round < 4; round++) {
        const [a, b] = [await newUser(), await newUser()];
        const asked = await ask(a, b);
        const requestId = asked.ok ? asked.value.request.requestId : "";
        const accept = () =>
          repo.friends.decide({ requestId, actor: b, action: "accept", eventId: newId(NOW), now: NOW });
        await Promise.all([accept(), block(a, b), repo.friends.remove(a.userId, b.userId, newId(NOW), NOW)]);
        const rows = await sql("SELECT * FROM friendships WHERE user_id IN (?, ?)", a.userId, b.userId);
        expect(rows).toEqual([]);
      }
    });
  });

  describe("accounts", () => {
    it("are walked through by id", async ({ expect }) => {
      const users = [await newUser(), await newUser(), await newUser()].map((user) => user.userId).toSorted();
      const found: string[] = [];
      for (let after = ""; ;) {
        const page = await repo.users.after(after, 2);
        found.push(...page.map((user) => user.userId));
        const last = page.at(-1);
        if (last === undefined) {
          break;
        }
        after = last.userId;
      }
      expect(found).toEqual(found.toSorted());
      expect(found.filter((id) => users.includes(id))).toEqual(users);
    });

    it("remember when they were last seen, and the later time wins", async ({ expect }) => {
      const [a, b] = [await newUser(), await newUser()];
      await ask(a, b);
      await ask(b, a);
      const seen = async (): Promise<number | null | undefined> => {
        const page = await repo.friends.friends(a.userId, { limit: 1 });
        return page.ok ? page.value.items[0]?.lastSeenAt : undefined;
      };
      expect(await seen()).toBeNull();
      await repo.users.seen(b.userId, NOW + 5);
      await repo.users.seen(b.userId, NOW + 1);
      expect(await seen()).toBe(NOW + 5);
    });

    it("tell names apart that differ in more than case", async ({ expect }) => {
      const names = ["resume", "résumé", "straße", "strasse", "ı", "i"];
      for (const name of names) {
        const user = await newUser(`${name} of the accents`);
        const page = await repo.users.search(`${name.toUpperCase()} OF THE ACC`, { limit: 10 });
        const exact = await repo.users.search(`${name} of the acc`, { limit: 10 });
        const ids = exact.ok ? exact.value.items.map((found) => found.userId) : [];
        expect(ids, name).toEqual([user.userId]);
        // The application's lower case decides, never the database's.
        const sameLower = name.toUpperCase().toLowerCase() === name;
        expect(page.ok && page.value.items.some((found) => found.userId === user.userId), name).toBe(sameLower);
      }
    });
  });

  describe("admins", () => {
    const audit = (action: "announcement" | "user.kick", at: number) => ({
      auditId: newId(at),
      actor: "key",
      operatorId: newId(NOW),
      action,
      targetKind: "conversation" as const,
      targetId: "group_x",
      createdAt: at,
    });

    it("find accounts by name, mail and id", async ({ expect }) => {
      const user = await newUser("Somebody Special");
      for (const text of [user.username.toUpperCase(), `${user.username}@EX`, "somebody sp", user.userId]) {
        const page = await repo.admin.users(text, { limit: 10 });
        expect(page.ok && page.value.items.map((found) => found.userId), text).toEqual([user.userId]);
      }
      const all = await repo.admin.users(undefined, { limit: 1 });
      expect(all.ok && all.value.nextCursor).toBeTypeOf("string");
    });

    it("announce with event and audit, and take an act back that was refused", async ({ expect }) => {
      const act = {
        eventId: newId(NOW),
        conversationId: `group_${newId(NOW)}`,
        text: 'it\'s "new"',
        audit: audit("announcement", NOW + 9),
      };
      await repo.admin.announce(act);
      const rows = await repo.outbox.pending(act.audit.operatorId, 10);
      expect(rows.map((row) => EVENTS["gochat.notifications"].parse(JSON.parse(row.body)))).toMatchObject([
        { event_type: "group.announcement", conversation_id: act.conversationId, payload: { text: act.text } },
      ]);
      const kick = audit("user.kick", NOW + 10);
      await repo.admin.audit(kick);
      const newest = async () => {
        const page = await repo.admin.auditLog({ limit: 1 });
        return page.ok ? page.value.items[0]?.auditId : undefined;
      };
      expect(await newest()).toBe(kick.auditId);
      await repo.admin.withdrawAudit(kick.auditId);
      expect(await newest()).toBe(act.audit.auditId);
    });
  });

  describe("the outbox", () => {
    it("says how much waits, and since when", async ({ expect }) => {
      await newUser();
      const before = await repo.outbox.backlog();
      const [a, b] = [await newUser(), await newUser()];
      await ask(a, b);
      const after = await repo.outbox.backlog();
      expect(after.count - before.count).toBe(2);
      expect(after.oldestAt).toBeLessThanOrEqual(NOW);
      await repo.outbox.published([]);
    });
  });
}
