/** The pages of a sync: of everything that is gone, however many; of lists that are long, or whose items are. */
import { env } from "cloudflare:workers";
import { describe, it } from "vitest";
import { embeddedCache } from "../../src/cache/embedded.ts";
import { CACHE_KEYS } from "../../src/cache/types.ts";
import { newGroupId } from "../../src/platform/ids.ts";
import type { AuthAnswer } from "../../src/protocol/rest.ts";
import type { SyncedConversation } from "../../src/protocol/things.ts";
import { repositories } from "../../src/repo/index.ts";
import { conversation, groupId, member, state } from "../support/repo/recordMakers.ts";
import { eventually, newGroup } from "./support/harness.ts";
import { expectStatus, register, request } from "./support/http.ts";
import { connect } from "./support/socket.ts";

type Page = { conversations: SyncedConversation[]; removed: string[]; nextCursor: string | null };

/** Every page, asked with the same heads. */
async function pages(ask: (cursor: string | undefined) => Promise<Page>): Promise<Page[]> {
  const all: Page[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const page: Page = await ask(cursor);
    all.push(page);
    cursor = page.nextCursor;
  }
  return all;
}

function namesOf(all: readonly Page[]): string[] {
  return all.flatMap((page) => page.conversations.map((item) => item.conversation.conversationId));
}

describe("sync", () => {
  it("names everything that is gone, in pages, over REST", async ({ expect }) => {
    const me: AuthAnswer = await register();
    // A room knows its member before SQL does.
    const late = await newGroup([me.user.userId]);
    const gone = Array.from({ length: 230 }, (_, n) => newGroupId(1_000_000 + n));
    const heads = { ...Object.fromEntries(gone.map((id) => [id, 0])), [late]: { seqId: 0, version: 0 } };
    const all = await pages((cursor) => {
      const query = new URLSearchParams({ heads: JSON.stringify(heads), ...(cursor === undefined ? {} : { cursor }) });
      return expectStatus<Page>(200, request("GET", `/api/sync?${query.toString()}`, { token: me.accessToken }));
    });
    const asked = all.map((page) => page.removed.length + namesOf([page]).filter((id) => id === late).length);
    expect(asked).toEqual([100, 100, 31]);
    expect(all.flatMap((page) => page.removed).toSorted()).toEqual(gone.toSorted());
    expect(namesOf(all).toSorted()).toEqual([late, "world_chat_room"].toSorted());
  });

  it("names fewer conversations at a time where they are long, and all of them in the end", async ({ expect }) => {
    const me = await register();
    const announcement = "😀".repeat(2_000);
    const groups = Array.from({ length: 60 }, groupId);
    await repositories(env).persistence.applyRoomRecords(
      groups.flatMap((id) => [conversation(1, state(id, { announcement })), member(id, 2, me.user.userId)]),
    );
    const socket = await connect(me.user.userId, me.deviceId);
    const all = await pages(async (cursor) => {
      socket.send({ type: "sync", data: { heads: {}, ...(cursor === undefined ? {} : { cursor }) } });
      return (await socket.next("sync-result")).data;
    });
    expect(all.map((page) => page.conversations.length)).toEqual([10, 10, 10, 10, 10, 11]);
    expect(namesOf(all).toSorted()).toEqual([...groups, "world_chat_room"].toSorted());
  });

  it("goes on with the list behind what is gone, over the socket", async ({ expect }) => {
    const me = await register();
    const groups = Array.from({ length: 251 }, groupId);
    await repositories(env).persistence.applyRoomRecords(
      groups.flatMap((id) => [conversation(1, state(id)), member(id, 2, me.user.userId)]),
    );
    const gone = Array.from({ length: 101 }, (_, n) => newGroupId(2_000_000 + n));
    // One of the list's second page is named: it is neither gone nor told twice.
    const heads = Object.fromEntries([...gone, groups[0] ?? ""].map((id) => [id, 0]));
    const socket = await connect(me.user.userId, me.deviceId);
    const all = await pages(async (cursor) => {
      socket.send({ type: "sync", data: { heads, ...(cursor === undefined ? {} : { cursor }) } });
      return (await socket.next("sync-result")).data;
    });
    expect(all.map((page) => [page.removed.length, page.conversations.length > 0])).toEqual([
      [100, true],
      [1, false],
      [0, true],
    ]);
    expect(all.flatMap((page) => page.removed).toSorted()).toEqual(gone.toSorted());
    const named = namesOf(all);
    expect(new Set(named).size).toBe(named.length);
    expect(groups.every((id) => id === groups[0] || named.includes(id))).toBe(true);
    // For when SQL is away the first hundred are kept: all 250 would be too long.
    await eventually("the list is kept", async () => {
      const [kept] = await embeddedCache(env, 1).pipeline([["GET", CACHE_KEYS.conversations(me.user.userId)]]);
      const page = JSON.parse(typeof kept === "string" ? kept : "{}") as { items?: unknown[]; nextCursor?: null };
      return page.items?.length === 100 && page.nextCursor === null;
    });
  });
});
