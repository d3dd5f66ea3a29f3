import { describe, it } from "vitest";
import type * as z from "zod";
import { Emoji, WebUrl } from "./primitives.ts";
import * as rest from "./rest.ts";
import { DisplayName, SendBody } from "./things.ts";

const U1 = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const U2 = "01BX5ZZKBKACTAV9WEVGEMMVRZ";
const GROUP = `group_${U1}`;

const account = { username: "ada", password: "correct horse" };

/** Schema, what it takes, what it refuses. */
const CASES: [name: string, schema: z.ZodType, accepted: unknown[], refused: unknown[]][] = [
  [
    "register",
    rest.RegisterBody,
    [
      account,
      {
        ...account,
        displayName: "Ada 🦉",
        email: "ada@example.org",
        device: { kind: "web", name: "laptop", id: "d-1" },
      },
      { ...account, password: "\u0000".repeat(8) },
      { ...account, password: "😀".repeat(128) },
      { ...account, username: "A_b.c-9" },
      { ...account, device: {} },
    ],
    [
      { ...account, username: "ab" },
      { ...account, username: "x".repeat(33) },
      { ...account, username: "ada\n" },
      { ...account, username: "ädä" },
      { ...account, password: "1234567" },
      { ...account, password: "😀".repeat(129) },
      { ...account, password: "\ud800".repeat(8) },
      { ...account, email: "ada" },
      { ...account, email: "ada@example.org\r\nBcc: x@y" },
      { ...account, displayName: " \u200b" },
      { ...account, device: { kind: "toaster" } },
      { ...account, device: { id: "a/b" } },
      { username: "ada" },
      null,
      [],
    ],
  ],
  [
    "log-in",
    rest.LoginBody,
    [account, { ...account, username: "ada@example.org", password: "x" }],
    [{ ...account, username: "" }, {}],
  ],
  ["guest", rest.GuestBody, [{}, { device: { kind: "ios" } }], [{ device: "web" }, null]],
  [
    "profile",
    rest.ProfileBody,
    [{}, { avatarUrl: null, bio: null }, { bio: "two\nlines" }, { avatarUrl: "https://a.example/b.png?c=d" }],
    [
      { avatarUrl: "javascript:alert(1)" },
      { avatarUrl: 'https://a/"><script>' },
      { bio: "\u0000" },
      { displayName: null },
    ],
  ],
  [
    "friend request",
    rest.FriendRequestBody,
    [{ targetUserId: U1 }, { targetUserId: U1, message: "x".repeat(200) }],
    [{ targetUserId: "ada" }, { targetUserId: U1, message: "x".repeat(201) }, {}],
  ],
  ["decision", rest.DecisionBody, [{ action: "accept" }], [{ action: "maybe" }, {}]],
  [
    "conversation",
    rest.ConversationBody,
    [
      { type: 1, memberIds: [U1] },
      { type: 2, memberIds: [], name: "Group" },
      { type: 2, memberIds: [U1, U2], maxMembers: 2 },
    ],
    [
      { type: 1, memberIds: [] },
      { type: 1, memberIds: [U1, U2] },
      { type: 3, memberIds: [U1] },
      { type: "2", memberIds: [U1] },
      { type: 2, memberIds: ["a/b"] },
      { type: 2, memberIds: [U1], maxMembers: 1 },
      { type: 2, memberIds: [U1], maxMembers: 100_001 },
      { type: 2, memberIds: [U1], name: "two\nlines" },
      { type: 2, memberIds: [U1], name: "\u202egnp.exe" },
    ],
  ],
  [
    "change of a conversation",
    rest.ConversationChangeBody,
    [{}, { announcement: null }, { announcement: "😀".repeat(2_000), muteAll: true }],
    [{ announcement: "x".repeat(2_001) }, { name: "" }, { muteAll: 1 }],
  ],
  [
    "change of a member",
    rest.MemberChangeBody,
    [{ role: 2 }, { mutedUntil: 5 }, { mutedUntil: null }],
    [{}, { role: 3 }, { role: "2" }, { mutedUntil: -1 }, { mutedUntil: 1e300 }],
  ],
  [
    "new members",
    rest.AddMembersBody,
    [{ userIds: [U1] }],
    [{ userIds: [] }, { userIds: Array(501).fill(U1) }, { userIds: U1 }],
  ],
  ["invite", rest.InviteBody, [{}, { expiresAt: 5, maxUses: 1 }], [{ maxUses: 0 }, { expiresAt: "tomorrow" }]],
  [
    "send",
    SendBody,
    [{ clientMsgId: "c", messageType: "text", content: "hello" }],
    [
      { clientMsgId: "c", messageType: "text" },
      { messageType: "text", content: "hello" },
    ],
  ],
  ["read", rest.ReadBody, [{ seqId: 0 }], [{ seqId: -1 }, { seqId: "1" }, {}]],
  [
    "path of a conversation",
    rest.ConversationParams,
    [{ id: GROUP }, { id: "world_chat_room" }],
    [{ id: "x" }, { id: "group_a/b" }],
  ],
  [
    "announcement",
    rest.AnnouncementBody,
    [{ text: "hello\nall" }],
    [{ text: "" }, { text: " " }, { text: "x".repeat(2_001) }],
  ],
];

describe("bodies and parameters", () => {
  it.for(CASES)("%s", ([, schema, accepted, refused], { expect }) => {
    for (const input of accepted) {
      expect(schema.safeParse(input).error, JSON.stringify(input)).toBeUndefined();
    }
    for (const input of refused) {
      expect(schema.safeParse(input).success, JSON.stringify(input)).toBe(false);
    }
  });

  it("ignore what they do not know, and take no prototype over", ({ expect }) => {
    const body: unknown = JSON.parse('{"action":"accept","more":1,"__proto__":{"admin":true}}');
    expect(rest.DecisionBody.parse(body)).toEqual({ action: "accept" });
    expect(Reflect.get(rest.DecisionBody.parse(body), "admin")).toBeUndefined();
  });

  it("trim names", ({ expect }) => {
    expect(DisplayName.parse("  Ada  Lovelace ")).toBe("Ada  Lovelace");
    expect(DisplayName.parse("😀".repeat(64))).toHaveLength(128);
    expect(DisplayName.safeParse("😀".repeat(65)).success).toBe(false);
  });
});

describe("queries", () => {
  it("have the defaults of the wire", ({ expect }) => {
    expect(rest.PageQuery.parse({})).toEqual({ limit: 20 });
    expect(rest.MessagesQuery.parse({})).toEqual({ limit: 50 });
    expect(rest.FriendRequestsQuery.parse({})).toEqual({ limit: 20, direction: "incoming" });
    expect(rest.SyncQuery.parse({})).toEqual({ heads: {} });
  });

  it.for([
    [rest.PageQuery, "100", 100],
    [rest.PageQuery, "1", 1],
    [rest.MessagesQuery, "200", 200],
  ] as const)("limit %#", ([schema, limit, expected], { expect }) => {
    expect(schema.parse({ limit }).limit).toBe(expected);
  });

  it.for(["0", "101", "-1", "1.5", "1e1", "0x10", "", " 5", "abc", "99999999999999999999", ["1", "2"]])(
    "limit %j is an error, not corrected",
    (limit, { expect }) => {
      expect(rest.PageQuery.safeParse({ limit }).success).toBe(false);
    },
  );

  it("take sequences as digits", ({ expect }) => {
    expect(rest.MessagesQuery.parse({ before: "7", after: "0" })).toEqual({ before: 7, after: 0, limit: 50 });
    expect(rest.MessagesQuery.safeParse({ before: "9007199254740992" }).success).toBe(false);
    expect(rest.MessagesQuery.safeParse({ after: "-1" }).success).toBe(false);
  });

  it("take heads as JSON", ({ expect }) => {
    const heads = { [GROUP]: 5, world_chat_room: { seqId: 1, version: 2 } };
    expect(rest.SyncQuery.parse({ heads: JSON.stringify(heads) })).toEqual({ heads });
    for (const wrong of ["", "{", "[]", "null", '{"x":1}', `{"${GROUP}":-1}`]) {
      expect(rest.SyncQuery.safeParse({ heads: wrong }).success, wrong).toBe(false);
    }
  });
});

describe("small things", () => {
  it.for(["👍", "👍🏽", "❤️", "🇩🇪", "1️⃣", "#⃣", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚀", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "©️"])("%s is one emoji", (emoji, { expect }) => {
    expect(Emoji.safeParse(emoji).success).toBe(true);
  });

  it.for(["", "a", "1", "#", "👍👍", "👍 ", "🇩", "🇩🇪🇫🇷", ":+1:", "\ud83d", "👨‍", "<b>"])(
    "%j is not",
    (emoji, { expect }) => {
      expect(Emoji.safeParse(emoji).success).toBe(false);
    },
  );

  it.for([
    "ftp://a.example",
    "//a.example",
    "https://",
    "https:///x",
    "https://a b",
    "https://a.example/\n",
    "data:text/html,x",
  ])("%j is no address of the web", (url, { expect }) => {
    expect(WebUrl.safeParse(url).success).toBe(false);
  });
});
