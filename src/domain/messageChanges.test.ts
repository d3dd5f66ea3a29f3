import { describe, it } from "vitest";
import { GroupHarness, actorOf, kinds, must, nameOf, NOW, text } from "./testing/groupHarness.ts";
import type { Content } from "../protocol/things.ts";
import type { SendCommand } from "./commands.ts";
import { changeMember, updateConversation } from "./groupChanges.ts";
import { continueRecalls, editMessage, react, recallMessage } from "./messageChanges.ts";
import { EDITS_LIMIT } from "./messageRules.ts";
import { changedSince, editsOf } from "./messageViews.ts";
import { PREVIEWS_PAGE } from "./previews.ts";
import type { FanoutTask, RoomRecord, StoredMessage } from "./records.ts";
import { removeMember } from "./roomChanges.ts";
import { EDIT_WINDOW_MS, RECALL_WINDOW_MS } from "./roomContext.ts";

const [ADA, BEN, CAT, EVE] = ["ada", "ben", "cat", "eve"];
const ROOT = actorOf("root", { isAdmin: true });

/** A group of three that Ada owns, and Ben's first message in it. */
function talk(): { harness: GroupHarness; message: StoredMessage } {
  const harness = GroupHarness.group([ADA, BEN, CAT]);
  return { harness, message: say(harness, BEN, "first", { content: "secret" }) };
}

function say(harness: GroupHarness, userId: string, key: string, more: Partial<SendCommand> = {}): StoredMessage {
  const [outcome] = harness.core.append([{ ...text(userId, key), ...more }], harness.now);
  return must(outcome ?? { ok: false, fault: { name: "INTERNAL" } });
}

const edit = (harness: GroupHarness, userId: string, id: string, content: Content, now = harness.now) =>
  editMessage(harness.core, actorOf(userId), id, content, now);
const recall = (harness: GroupHarness, userId: string, id: string, now = harness.now) =>
  recallMessage(harness.core, actorOf(userId), id, now);
const tap = (harness: GroupHarness, userId: string, id: string, emoji: string, wanted = true) =>
  react(harness.core, actorOf(userId), id, emoji, wanted, harness.now);

function historyOf(harness: GroupHarness, userId: string) {
  return must(harness.core.history(actorOf(userId), { limit: 100 })).messages;
}

/** Everything that the room still has on disk or is about to send, as text. */
function everything({ core, store }: GroupHarness): string {
  return JSON.stringify([store.messagesAfter(0, 10_000), store.outbox(10_000), core.takeEffects()]);
}

function tasks(harness: GroupHarness): FanoutTask[] {
  const rows = harness.store.outbox(1_000).filter((row) => row.topic === "gochat.tasks.fanout");
  return rows.map((row) => JSON.parse(row.body) as FanoutTask);
}

describe("an edit", () => {
  it("changes the content in its place, keeps the version before, and is told to readers and to the bus", ({
    expect,
  }) => {
    const { harness, message } = talk();
    harness.core.takeEffects();
    const changed = must(edit(harness, BEN, message.messageId, "better", NOW + 5));
    expect(changed.value).toEqual({ ...message, content: "better", editedAt: NOW + 5 });
    expect(kinds(changed)).toEqual(["message", "edit"]);
    expect(historyOf(harness, ADA)).toEqual([changed.value]);
    const { edits } = must(editsOf(harness.core, actorOf(CAT), message.messageId));
    expect(edits).toEqual([{ content: "secret", editedAt: NOW + 5 }]);
    expect(tasks(harness)).toMatchObject([{ notice: { kind: "edited", seqId: 1, version: 2 }, messages: [] }]);
    const published = harness.store.outbox(10).filter((row) => row.topic === "gochat.message-events");
    expect(published.map((row) => JSON.parse(row.body))).toMatchObject([
      { event_type: "message.edited", operator_id: BEN, payload: { seq_id: 1, content: "better" } },
    ]);
  });

  it("does nothing when nothing changes, and two at the same moment are told apart", ({ expect }) => {
    const { harness, message } = talk();
    expect(must(edit(harness, BEN, message.messageId, "secret")).records).toEqual([]);
    must(edit(harness, BEN, message.messageId, "one"));
    const second = must(edit(harness, BEN, message.messageId, "two")).value;
    expect(second.editedAt).toBe(NOW + 2);
    const { edits } = must(editsOf(harness.core, actorOf(BEN), message.messageId));
    expect(edits.map(({ content }) => content)).toEqual(["secret", "one"]);
  });

  it("is the sender's alone, in time, while they may send", ({ expect }) => {
    const { harness, message } = talk();
    const { messageId } = message;
    const image = { key: "k", width: 1, height: 1, size: 1, mimeType: "image/png" };
    expect(nameOf(edit(harness, ADA, messageId, "x"))).toBe("PERMISSION_DENIED");
    expect(nameOf(edit(harness, EVE, messageId, "x"))).toBe("CONVERSATION_NOT_FOUND");
    expect(nameOf(edit(harness, BEN, messageId, image))).toBe("INVALID_INPUT");
    expect(nameOf(edit(harness, BEN, `7${messageId.slice(1)}`, "x"))).toBe("MESSAGE_NOT_FOUND");
    expect(nameOf(edit(harness, BEN, messageId, "x", NOW + EDIT_WINDOW_MS))).toBe("ok");
    expect(nameOf(edit(harness, BEN, messageId, "y", NOW + EDIT_WINDOW_MS + 1))).toBe("PERMISSION_DENIED");
    must(changeMember(harness.core, actorOf(ADA), BEN, { mutedUntil: NOW + 1_000 }, NOW));
    expect(nameOf(edit(harness, BEN, messageId, "z"))).toBe("PERMISSION_DENIED");
    must(removeMember(harness.core, actorOf(ADA), BEN, NOW));
    expect(nameOf(edit(harness, BEN, messageId, "z"))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("is refused when all are muted, and after too many", ({ expect }) => {
    const { harness, message } = talk();
    for (let n = 0; n < EDITS_LIMIT; n++) {
      must(edit(harness, BEN, message.messageId, `version ${n}`));
    }
    expect(nameOf(edit(harness, BEN, message.messageId, "one more"))).toBe("CONFLICT");
    const own = say(harness, CAT, "mine");
    must(updateConversation(harness.core, actorOf(ADA), { muteAll: true }, NOW));
    expect(nameOf(edit(harness, CAT, own.messageId, "still mine"))).toBe("PERMISSION_DENIED");
  });

  it("keeps an image an image and a file a file", ({ expect }) => {
    const harness = GroupHarness.group([ADA, BEN]);
    const file = { key: "k", name: "a.pdf", size: 10, mimeType: "application/pdf" };
    const sent = say(harness, ADA, "f", { messageType: "file", content: file });
    // The schema lets it pass as an image; what makes it one does not stay.
    const wider = { ...file, name: "b.pdf", width: 3, height: 4 };
    const edited = must(edit(harness, ADA, sent.messageId, wider));
    expect(edited.value.content).toEqual({ ...file, name: "b.pdf" });
    expect(nameOf(edit(harness, ADA, sent.messageId, "text"))).toBe("INVALID_INPUT");
  });
});

describe("a recall", () => {
  it("leaves a tombstone, and the content nowhere", ({ expect }) => {
    const { harness, message } = talk();
    const { messageId } = message;
    must(edit(harness, BEN, messageId, "secret too"));
    must(tap(harness, ADA, messageId, "👍"));
    const answer = say(harness, ADA, "answer", { replyTo: messageId });
    expect(answer.replyTo?.preview).toBe("secret too");
    must(edit(harness, ADA, answer.messageId, "another answer"));
    const gone = must(recall(harness, BEN, messageId));
    expect(gone.value).toMatchObject({ messageId, seqId: 1, senderId: BEN, recalledAt: NOW });
    for (const field of ["content", "mentions", "editedAt", "reactions"]) {
      expect(gone.value).not.toHaveProperty(field);
    }
    expect(historyOf(harness, CAT).map((row) => [row.seqId, row.content, row.replyTo?.preview])).toEqual([
      [1, undefined, undefined],
      [2, "another answer", ""],
    ]);
    expect(must(editsOf(harness.core, actorOf(CAT), messageId)).edits).toEqual([]);
    // The first effects were made before the recall; what is made from now on knows nothing.
    harness.core.takeEffects();
    harness.restart();
    expect(everything(harness)).not.toContain("secret");
    // The answer's own edit still comes to SQL, without the preview.
    const records = harness.store.outbox(100).flatMap((row) => {
      const record = row.topic === "gochat.messages.persist" ? (JSON.parse(row.body) as RoomRecord) : undefined;
      return record?.kind === "message" && record.message.seqId === 2 ? [record.message.content] : [];
    });
    expect(records).toEqual(["another answer"]);
  });

  it("is for the sender for two minutes, also a muted one; for owner, admins and system admins always", ({
    expect,
  }) => {
    const later = NOW + RECALL_WINDOW_MS + 1;
    const outcome = (who: string, now: number, role?: 2): string => {
      const { harness, message } = talk();
      if (role !== undefined) {
        must(changeMember(harness.core, actorOf(ADA), who, { role }, NOW));
      }
      must(changeMember(harness.core, actorOf(ADA), BEN, { mutedUntil: later + 1 }, NOW));
      return nameOf(recall(harness, who, message.messageId, now));
    };
    expect([outcome(BEN, NOW + RECALL_WINDOW_MS), outcome(BEN, later)]).toEqual(["ok", "PERMISSION_DENIED"]);
    expect([outcome(CAT, NOW), outcome(CAT, later, 2)]).toEqual(["PERMISSION_DENIED", "ok"]);
    expect([outcome(ADA, later), outcome(EVE, NOW)]).toEqual(["ok", "CONVERSATION_NOT_FOUND"]);
    const { harness, message } = talk();
    expect(nameOf(recallMessage(harness.core, ROOT, message.messageId, later))).toBe("ok");
  });

  it("of two at the same time counts once; afterwards nothing more can be done to the message", ({ expect }) => {
    const { harness, message } = talk();
    const first = must(recall(harness, ADA, message.messageId, NOW + 1));
    const again = must(recall(harness, BEN, message.messageId, NOW + 2));
    expect(again).toEqual({ value: first.value, records: [], outboxIds: [] });
    expect(nameOf(edit(harness, BEN, message.messageId, "x"))).toBe("CONFLICT");
    expect(nameOf(tap(harness, BEN, message.messageId, "👍"))).toBe("CONFLICT");
    expect(must(tap(harness, BEN, message.messageId, "👍", false)).value.count).toBe(0);
    // Whoever did not get the answer to the send gets the same ids.
    const [resent] = harness.core.append([{ ...text(BEN, "first"), content: "secret" }], NOW + 3);
    expect(must(resent ?? { ok: false, fault: { name: "INTERNAL" } })).toEqual(first.value);
    expect(harness.core.headSeqId).toBe(1);
    // An answer to it has nothing to show.
    expect(say(harness, CAT, "what was it?", { replyTo: message.messageId }).replyTo?.preview).toBe("");
  });

  it("goes on from the alarm where there are many answers, also in another life of the room", ({ expect }) => {
    const { harness, message } = talk();
    const sends = Array.from({ length: PREVIEWS_PAGE + 20 }, (_, n) => ({
      ...text(CAT, `answer ${n}`),
      replyTo: message.messageId,
    }));
    harness.core.append(sends, NOW);
    must(recall(harness, BEN, message.messageId));
    harness.restart();
    const previews = (): string[] =>
      harness.store.messagesAfter(1, 1_000).map((row) => row.message.replyTo?.preview ?? "");
    expect(previews().filter((preview) => preview !== "")).toHaveLength(20);
    harness.core.onAlarm(NOW + 10_000);
    continueRecalls(harness.core, NOW + 10_000);
    expect(previews().filter((preview) => preview !== "")).toEqual([]);
    const before = harness.store.outbox(10_000).length;
    continueRecalls(harness.core, NOW + 10_000);
    expect(harness.store.outbox(10_000)).toHaveLength(before);
  });

  it("of a message that has left the log needs SQL's form of it, and outlives SQL's delay", ({ expect }) => {
    const { harness, message } = talk();
    say(harness, CAT, "answer", { replyTo: message.messageId });
    harness.store.transaction(() => {
      harness.store.pruneMessages(2);
      harness.store.saveCounters({ ...harness.core.counters, persistedSeqId: 2, firstSeqId: 3 });
    });
    harness.restart();
    const { messageId } = message;
    expect(nameOf(recall(harness, ADA, messageId))).toBe("MESSAGE_NOT_FOUND");
    expect(nameOf(recallMessage(harness.core, actorOf(ADA), messageId, NOW, { ...message, messageId: "x" }))).toBe(
      "MESSAGE_NOT_FOUND",
    );
    expect(nameOf(tap(harness, ADA, messageId, "👍"))).toBe("MESSAGE_NOT_FOUND");
    expect(nameOf(react(harness.core, actorOf(ADA), messageId, "👍", true, NOW, message))).toBe("ok");
    const gone = must(recallMessage(harness.core, actorOf(ADA), messageId, NOW, message));
    expect(kinds(gone)).toEqual(["message", "previews"]);
    expect(gone.value).not.toHaveProperty("content");
    // SQL still has the old form.
    expect(nameOf(react(harness.core, actorOf(ADA), messageId, "👍", true, NOW, message))).toBe("CONFLICT");
    const [late] = harness.core.append(
      [{ ...text(CAT, "late"), replyTo: messageId }],
      NOW,
      new Map([[message.seqId, message]]),
    );
    expect(must(late ?? { ok: false, fault: { name: "INTERNAL" } }).replyTo?.preview).toBe("");
  });
});

describe("reactions", () => {
  it("count each user once for each emoji, in the order of the first, and say which are one's own", ({ expect }) => {
    const { harness, message } = talk();
    const { messageId } = message;
    expect(must(tap(harness, ADA, messageId, "👍")).value).toEqual({ emoji: "👍", count: 1, mine: true });
    expect(must(tap(harness, ADA, messageId, "👍")).records).toEqual([]);
    must(tap(harness, CAT, messageId, "❤️"));
    expect(must(tap(harness, CAT, messageId, "👍")).value.count).toBe(2);
    expect(historyOf(harness, CAT)[0]?.reactions).toEqual([
      { emoji: "👍", count: 2, mine: true },
      { emoji: "❤️", count: 1, mine: true },
    ]);
    expect(must(tap(harness, ADA, messageId, "👍", false)).value).toEqual({ emoji: "👍", count: 1, mine: false });
    expect(must(tap(harness, ADA, messageId, "👍", false)).records).toEqual([]);
    expect(historyOf(harness, ADA)[0]?.reactions?.map(({ mine }) => mine)).toEqual([false, false]);
  });

  it("are at most twenty different ones; whoever may not send may only take back", ({ expect }) => {
    const { harness, message } = talk();
    const { messageId } = message;
    for (let n = 0; n < 20; n++) {
      must(tap(harness, CAT, messageId, String.fromCodePoint(0x1f600 + n)));
    }
    expect(nameOf(tap(harness, BEN, messageId, "👍"))).toBe("CONFLICT");
    expect(nameOf(tap(harness, BEN, messageId, "😀"))).toBe("ok");
    must(changeMember(harness.core, actorOf(ADA), BEN, { mutedUntil: NOW + 1_000 }, NOW));
    expect(nameOf(tap(harness, BEN, messageId, "😁"))).toBe("PERMISSION_DENIED");
    expect(nameOf(tap(harness, BEN, messageId, "😀", false))).toBe("ok");
    expect(nameOf(tap(harness, EVE, messageId, "😀"))).toBe("CONVERSATION_NOT_FOUND");
  });

  it("of one user to the world come at the pace of sends, and say when", ({ expect }) => {
    const harness = GroupHarness.world();
    const message = say(harness, ADA, "hello");
    const outcomes = Array.from({ length: 6 }, (_, n) =>
      tap(harness, BEN, message.messageId, String.fromCodePoint(0x1f600 + n)),
    );
    expect(outcomes.map(nameOf)).toEqual(["ok", "ok", "ok", "ok", "ok", "RATE_LIMITED"]);
    expect(outcomes[5]).toMatchObject({ fault: { retryAfterMs: 1_000 } });
    expect(nameOf(tap(harness, CAT, message.messageId, "👍"))).toBe("ok");
  });
});

describe("what sync asks for", () => {
  it("is every known message that changed since a version, as it is now, for members only", ({ expect }) => {
    const { harness, message } = talk();
    const other = say(harness, CAT, "other");
    const version = harness.core.state?.version ?? 0;
    must(edit(harness, CAT, other.messageId, "other!"));
    must(tap(harness, ADA, message.messageId, "👍"));
    const since = (from: number, upTo: number) =>
      must(changedSince(harness.core, actorOf(ADA), from, upTo, 10)).messages;
    expect(since(version, 2).map((row) => [row.seqId, row.content, row.reactions?.length])).toEqual([
      [1, "secret", 1],
      [2, "other!", undefined],
    ]);
    expect(since(version + 1, 2).map((row) => row.seqId)).toEqual([1]);
    expect(since(version, 1).map((row) => row.seqId)).toEqual([1]);
    expect(since(version + 2, 2)).toEqual([]);
    expect(nameOf(changedSince(harness.core, actorOf(EVE), 0, 9, 10))).toBe("CONVERSATION_NOT_FOUND");
  });
});
