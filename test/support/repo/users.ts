import { describe, it } from "vitest";
import { SYSTEM_USER_ID } from "../../../src/domain/systemUser.ts";
import { newId } from "../../../src/platform/ids.ts";
import { EVENTS } from "../../../src/protocol/events.ts";
import type { RepoUnderTest } from "./underTest.ts";
import type { NewUser, UserRow } from "../../../src/repo/types.ts";

const NOW = 1_700_000_000_000;
let names = 0;

/** A user name that no other test has. */
function freshName(prefix = "user"): string {
  names += 1;
  return `${prefix}-${names}`;
}

function newUser(over: Partial<NewUser> = {}): NewUser {
  const username = freshName();
  return {
    userId: newId(NOW),
    username,
    passwordHash: "hash",
    displayName: username,
    isGuest: false,
    eventId: newId(NOW),
    now: NOW,
    ...over,
  };
}

/** Accounts: creating, finding, changing, banning. */
export function userCases({ repo, sql }: RepoUnderTest): void {
  async function created(over: Partial<NewUser> = {}): Promise<UserRow> {
    const user = newUser(over);
    const result = await repo.users.create(user);
    // Its welcome has been told: what the outbox holds afterwards is what a test did.
    await repo.outbox.published([user.eventId]);
    if (!result.ok) {
      throw new Error(`not created: ${result.fault.name}`);
    }
    return result.value;
  }

  async function worldMembers(): Promise<number> {
    const [item] = await repo.conversations.items("nobody", ["world_chat_room"]);
    return item?.conversation.memberCount ?? -1;
  }

  describe("users", () => {
    it("creates, and finds by id, name and mail without case", async ({ expect }) => {
      const name = freshName("Alice");
      const user = await created({ username: name, email: `${name}@Example.org`, displayName: "Alice" });
      expect(user).toMatchObject({ username: name, isGuest: false, role: "user", bannedAt: null, createdAt: NOW });
      expect(await repo.users.byId(user.userId)).toEqual(user);
      expect(await repo.users.findByLogin(name.toUpperCase())).toEqual(user);
      expect(await repo.users.findByLogin(`${name}@example.ORG`.toUpperCase())).toEqual(user);
      expect(await repo.users.findByLogin("nobody")).toBeNull();
      expect(await repo.users.byId("nobody")).toBeNull();
    });

    it("names the taken field, stores nothing and does not count", async ({ expect }) => {
      const name = freshName("Bob");
      await created({ username: name, email: `${name}@example.org` });
      const before = await worldMembers();
      const again = newUser({ username: name.toLowerCase() });
      expect(await repo.users.create(again)).toMatchObject({
        ok: false,
        fault: { name: "CONFLICT", fields: [{ path: "username" }] },
      });
      expect(await repo.users.create(newUser({ email: `${name}@EXAMPLE.org` }))).toMatchObject({
        ok: false,
        fault: { name: "CONFLICT", fields: [{ path: "email" }] },
      });
      expect(await repo.users.byId(again.userId)).toBeNull();
      expect(await worldMembers()).toBe(before);
    });

    it("lets one of many simultaneous registrations of a name through", async ({ expect }) => {
      const username = freshName("race");
      const before = await worldMembers();
      const results = await Promise.all(Array.from({ length: 8 }, () => repo.users.create(newUser({ username }))));
      expect(results.filter((result) => result.ok)).toHaveLength(1);
      expect(await worldMembers()).toBe(before + 1);
    });

    it("answers many ids at once, more than D1 binds", async ({ expect }) => {
      const [a, b] = [await created(), await created()];
      const strangers = Array.from({ length: 300 }, (_, i) => `nobody-${i}`);
      const rows = await repo.users.byIds([a.userId, ...strangers, b.userId]);
      expect(rows.map((row) => row.userId).toSorted()).toEqual([a.userId, b.userId].toSorted());
      expect(await repo.users.byIds([])).toEqual([]);
    });

    it("changes a profile, and only what is named", async ({ expect }) => {
      const user = await created();
      await repo.users.updateProfile(
        user.userId,
        { bio: "hello", avatarUrl: "https://a.example/a.png" },
        newId(NOW),
        NOW,
      );
      const change = { displayName: 'New "name"', avatarUrl: null };
      const changed = await repo.users.updateProfile(user.userId, change, newId(NOW), NOW + 2000);
      expect(changed).toMatchObject({ ok: true, value: { displayName: 'New "name"', bio: "hello", avatarUrl: null } });
      const rows = await repo.outbox.pending(user.userId, 10);
      const events = rows.map((row) => EVENTS["gochat.user-events"].parse(JSON.parse(row.body)));
      expect(events).toMatchObject([
        {
          event_type: "user.profile.updated",
          user_id: user.userId,
          payload: { user: { avatarUrl: "https://a.example/a.png" } },
        },
        { timestamp: NOW / 1000 + 2, payload: { user: { displayName: 'New "name"', bio: "hello", isGuest: false } } },
      ]);
      expect(await repo.users.updateProfile(user.userId, { bio: "" }, newId(NOW), NOW)).toMatchObject({
        value: { bio: null },
      });
      expect(await repo.users.updateProfile("nobody", { bio: "x" }, newId(NOW), NOW)).toMatchObject({
        ok: false,
        fault: { name: "USER_NOT_FOUND" },
      });
    });

    it("upgrades a guest once, keeping id and age", async ({ expect }) => {
      const guest = await created({ isGuest: true, passwordHash: null });
      const taken = await created();
      const upgrade = { username: freshName("Up"), passwordHash: "new", displayName: "Upgraded" };
      expect(
        await repo.users.upgradeGuest(guest.userId, { ...upgrade, username: taken.username }, NOW + 1),
      ).toMatchObject({ ok: false, fault: { name: "CONFLICT", fields: [{ path: "username" }] } });
      expect(await repo.users.upgradeGuest(guest.userId, upgrade, NOW + 1)).toMatchObject({
        ok: true,
        value: { userId: guest.userId, isGuest: false, displayName: "Upgraded", passwordHash: "new", createdAt: NOW },
      });
      expect(await repo.users.upgradeGuest(guest.userId, { ...upgrade, username: freshName() }, NOW)).toMatchObject({
        ok: false,
        fault: { name: "CONFLICT" },
      });
      expect((await repo.users.findByLogin(upgrade.username))?.userId).toBe(guest.userId);
    });

    it("replaces a hash only while it is the old one", async ({ expect }) => {
      const user = await created();
      await repo.users.replaceHash(user.userId, "hash", "better", NOW);
      await repo.users.replaceHash(user.userId, "hash", "worse", NOW);
      expect((await repo.users.byId(user.userId))?.passwordHash).toBe("better");
    });

    it("searches by the beginning of user name or display name, page by page", async ({ expect }) => {
      const prefix = freshName("srch_");
      for (const [username, displayName] of [
        [`${prefix}a`, "One"],
        [`${prefix}B`, "Two"],
        [`x-${prefix}`, `${prefix.toUpperCase()} three`],
      ] as const) {
        await created({ username, displayName });
      }
      await created({ username: `${prefix}guest`, isGuest: true });
      const banned = await created({ username: `${prefix}banned` });
      await sql("UPDATE users SET banned_at = ? WHERE user_id = ?", NOW, banned.userId);
      await created({ username: freshName("other") });

      const found = async (cursor?: string): Promise<[string[], string | null]> => {
        const page = await repo.users.search(prefix, { limit: 2, cursor });
        return page.ok ? [page.value.items.map((user) => user.username), page.value.nextCursor] : [[], "failed"];
      };
      const [first, cursor] = await found();
      expect(first).toEqual([`${prefix}a`, `${prefix}B`]);
      const [second, end] = await found(cursor ?? undefined);
      expect(second).toEqual([`x-${prefix}`]);
      expect(end).toBeNull();
      expect(await repo.users.search("srch%", { limit: 2 })).toMatchObject({ ok: true, value: { items: [] } });
      for (const bad of ["???", "bm9wZQ", btoa("[1]"), "A".repeat(5000)]) {
        expect(await repo.users.search(prefix, { limit: 2, cursor: bad }), bad).toMatchObject({
          ok: false,
          fault: { name: "INVALID_INPUT", fields: [{ path: "cursor" }] },
        });
      }
    });

    it("bans and lifts bans, each with its event and its row in the audit", async ({ expect }) => {
      const user = await created();
      const act = (userId: string, banned: boolean, at: number) => ({
        userId,
        banned,
        eventId: newId(at),
        audit: {
          auditId: newId(at),
          actor: "key",
          operatorId: SYSTEM_USER_ID,
          action: banned ? ("user.ban" as const) : ("user.unban" as const),
          targetKind: "user" as const,
          targetId: userId,
          reason: "why",
          createdAt: at,
        },
      });
      const acts = [act(user.userId, true, NOW + 5), act(user.userId, true, NOW + 6), act(user.userId, false, NOW + 7)];
      const bannedAt = [];
      for (const one of acts) {
        const done = await repo.admin.setBan(one);
        bannedAt.push(done.ok ? done.value.bannedAt : done.fault.name);
      }
      expect(bannedAt).toEqual([NOW + 5, NOW + 5, null]);
      expect((await repo.users.byId(user.userId))?.bannedAt).toBeNull();
      const left = await repo.outbox.pending(user.userId, 10);
      expect(left.map((row) => EVENTS["gochat.user-events"].parse(JSON.parse(row.body)))).toMatchObject([
        { event_type: "user.banned", user_id: user.userId, operator_id: SYSTEM_USER_ID, payload: { at: NOW + 5 } },
        { event_type: "user.banned", payload: { at: NOW + 6 } },
        { event_type: "user.unbanned", payload: { at: NOW + 7 } },
      ]);
      const book = await repo.admin.auditLog({ limit: 3 });
      expect(book.ok && book.value.items.map((row) => row.auditId)).toEqual(
        acts.map((one) => one.audit.auditId).toReversed(),
      );

      const nobody = act(newId(NOW), true, NOW + 8);
      expect(await repo.admin.setBan(nobody)).toMatchObject({ ok: false, fault: { name: "USER_NOT_FOUND" } });
      expect(await repo.outbox.pending(nobody.userId, 10)).toEqual([]);
      expect(await repo.admin.auditLog({ limit: 1 })).toMatchObject({
        value: { items: [{ auditId: acts[2]?.audit.auditId, reason: "why", targetKind: "user", actor: "key" }] },
      });
    });

    it("takes hostile text for text", async ({ expect }) => {
      const displayName = "'; DROP TABLE users; -- %_\\\u0007 \u{1F600} $.x";
      const user = await created({ displayName });
      expect((await repo.users.byId(user.userId))?.displayName).toBe(displayName);
    });
  });
}
