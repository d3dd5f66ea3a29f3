/** Random changes of one group by random people: what has to hold after each of them. */
import * as fc from "fast-check";
import { describe, it } from "vitest";
import { changeMember, transfer, updateConversation } from "./groupChanges.ts";
import { createInvite, decideJoin, join, revokeInvite } from "./joinChanges.ts";
import { ADMIN, MEMBER } from "./records.ts";
import { addMembers, removeMember } from "./roomChanges.ts";
import { actorOf, GroupHarness, text } from "./testing/groupHarness.ts";

const PEOPLE = ["ann", "bob", "cat", "dan", "eve", "fay"];
const CODES = ["code-1", "code-2"];
const RUNS = 300;

/** Whoever owns it at that moment: else most changes would be refused. */
const THE_OWNER = "the owner";

const whom = fc.constantFrom(...PEOPLE);
const who = fc.oneof(whom, fc.constant(THE_OWNER));
const code = fc.constantFrom(...CODES);
const change = fc.oneof(
  { weight: 4, arbitrary: fc.record({ op: fc.constant("add" as const), who, whom }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("remove" as const), who, whom }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("transfer" as const), who, whom }) },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("role" as const),
      who,
      whom,
      role: fc.constantFrom(MEMBER, ADMIN),
    }),
  },
  { weight: 2, arbitrary: fc.record({ op: fc.constant("mute" as const), who, whom }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("update" as const),
      who,
      maxMembers: fc.integer({ min: 2, max: 6 }),
      joinApproval: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("invite" as const),
      who,
      code,
      maxUses: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("revoke" as const), who, code }) },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("join" as const), who, code }) },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("decide" as const),
      who,
      whom,
      action: fc.constantFrom("accept" as const, "reject" as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ op: fc.constant("send" as const), who }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("restart" as const) }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("day" as const) }) },
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

let ids = 0;

function run(harness: GroupHarness, step: Change): void {
  const { core, now } = harness;
  const wanted = "who" in step ? step.who : "";
  const actor = actorOf(wanted === THE_OWNER ? (core.state?.ownerId ?? "") : wanted);
  ids += 1;
  switch (step.op) {
    case "add":
      return void addMembers(core, actor, [step.whom], now);
    case "remove":
      return void removeMember(core, actor, step.whom, now);
    case "transfer":
      return void transfer(core, actor, step.whom, now);
    case "role":
      return void changeMember(core, actor, step.whom, { role: step.role }, now);
    case "mute":
      return void changeMember(core, actor, step.whom, { mutedUntil: now + 1 }, now);
    case "update":
      return void updateConversation(
        core,
        actor,
        { maxMembers: step.maxMembers, joinApproval: step.joinApproval },
        now,
      );
    case "invite":
      return void createInvite(core, actor, { code: step.code, maxUses: step.maxUses }, now);
    case "revoke":
      return void revokeInvite(core, actor, step.code, now);
    case "join":
      return void join(core, actor, { code: step.code, requestId: `request-${ids}` }, now);
    case "decide": {
      const requestId = core.groups.joinRequestOf(step.whom)?.requestId ?? "none";
      return void decideJoin(core, actor, { requestId, action: step.action }, now);
    }
    case "send": {
      const wasMember = core.member(actor.userId) !== undefined;
      const [sent] = core.append([text(actor.userId, `key-${ids}`)], now);
      if (sent?.ok === true && !wasMember) {
        throw new Error("a stranger's message was taken");
      }
      return;
    }
    case "restart":
      harness.restart();
      return;
    case "day":
      harness.now += 24 * 3_600_000;
  }
}

/** What is wrong with the group now; nothing, if all is well. */
function faults(harness: GroupHarness): string[] {
  const { core } = harness;
  const { state } = core;
  if (state === undefined) {
    return ["the group is gone"];
  }
  const members = core.members("", 100);
  const owners = harness.owners();
  const wrong = [];
  const isLeft = state.dismissedAt !== undefined && members.length === 0;
  if (!isLeft && (owners.length !== 1 || owners[0] !== state.ownerId)) {
    wrong.push(`owners ${owners.join()}, and the state says ${state.ownerId}`);
  }
  if (members.length !== state.memberCount || members.length > state.maxMembers) {
    wrong.push(`${members.length} members, counted ${state.memberCount}, at most ${state.maxMembers}`);
  }
  for (const invite of core.groups.invites(undefined, 100)) {
    if (invite.uses > (invite.maxUses ?? Infinity)) {
      wrong.push(`${invite.code} was used ${invite.uses} times`);
    }
  }
  for (const request of core.groups.pendingRequests("", 100)) {
    if (core.member(request.userId) !== undefined) {
      wrong.push(`${request.userId} is in and waits to come in`);
    }
  }
  return wrong;
}

describe("a group under random changes", () => {
  it("always has exactly one owner, counts right, and no link lets in too many", ({ expect }) => {
    const owners = new Set<string>();
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 60, size: "max" }), (steps) => {
        const harness = GroupHarness.group(["ann", "bob"], { maxMembers: 5 });
        for (const step of steps) {
          run(harness, step);
          expect([step, faults(harness)]).toEqual([step, []]);
          harness.owners().forEach((owner) => owners.add(owner));
        }
      }),
      { numRuns: RUNS },
    );
    // The runs have been somewhere: everybody has owned a group once.
    expect(owners.size).toBe(PEOPLE.length);
  });
});
