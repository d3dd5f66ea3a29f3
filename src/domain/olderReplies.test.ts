import { describe, it } from "vitest";
import { GroupHarness, actorOf, nameOf, text } from "./testing/groupHarness.ts";
import { olderTargets } from "./messageViews.ts";

const [ADA, BEN] = ["ada", "ben"];

/** A group whose first message has left the log. */
function aged() {
  const harness = GroupHarness.group([ADA, BEN]);
  const [first] = harness.core.append([text(ADA, "first"), text(BEN, "second")], harness.now);
  if (first?.ok !== true) {
    throw new Error("not sent");
  }
  harness.store.transaction(() => {
    harness.store.pruneMessages(1);
    harness.store.saveCounters({ ...harness.core.counters, persistedSeqId: 2, firstSeqId: 2 });
  });
  harness.restart();
  const message = first.value;
  return { harness, message, reply: (key: string) => ({ ...text(ADA, key), replyTo: message.messageId }) };
}

describe("an answer to what has left the log", () => {
  it("is looked up in SQL, and nothing else is", ({ expect }) => {
    const { harness, message, reply } = aged();
    const nonsense = { ...text(ADA, "nonsense"), replyTo: "no message" };
    expect(olderTargets(harness.core, [text(ADA, "plain"), reply("a"), reply("b"), nonsense])).toEqual([1]);
    const older = new Map([[message.seqId, message]]);
    const [outcome] = harness.core.append([reply("a")], harness.now, older);
    expect(outcome).toMatchObject({ ok: true, value: { replyTo: { seqId: 1, preview: message.content } } });
    expect(harness.core.append([reply("b")], harness.now, new Map()).map(nameOf)).toEqual(["MESSAGE_NOT_FOUND"]);
  });

  it("holds back what its sender said behind it while SQL is away, and nobody else", ({ expect }) => {
    const { harness, message, reply } = aged();
    const batch = [text(ADA, "before"), reply("reply"), text(BEN, "ben"), text(ADA, "behind")];
    const outcomes = harness.core.append(batch, harness.now, "unavailable");
    expect(outcomes.map(nameOf)).toEqual(["ok", "UNAVAILABLE", "ok", "UNAVAILABLE"]);
    // Repeated in order; what was accepted before answers as it did.
    const again = [text(ADA, "before"), reply("reply"), text(ADA, "behind")];
    const older = new Map([[message.seqId, message]]);
    const second = harness.core.append(again, harness.now, older);
    expect(second.map((outcome) => (outcome.ok ? outcome.value.seqId : outcome.fault.name))).toEqual([3, 5, 6]);
    // A resend behind a held one is still recognised.
    const third = harness.core.append([reply("other"), text(ADA, "behind")], harness.now, "unavailable");
    expect(third.map(nameOf)).toEqual(["UNAVAILABLE", "ok"]);
    expect(harness.core.view(actorOf(BEN))).toMatchObject({ ok: true, value: { headSeqId: 6 } });
  });
});
