/** For those who run it: the audit, dead letters, the state of outbox and consumers. Source: WIRE "Other". */
import { createRoute } from "@hono/zod-openapi";
import { TOPIC_NAMES } from "../../protocol/events.ts";
import { topicOfLetter } from "../../queues/letters.ts";
import { err, ok, type Result } from "../../protocol/errors.ts";
import {
  AdminActBody,
  AdminState,
  AuditList,
  DeadLetter,
  DeadLetterList,
  DeadLetterParams,
  PageQuery,
} from "../../protocol/rest.ts";
import type { DeadLetterRow } from "../../repo/types.ts";
import { describeError, log } from "../../telemetry/log.ts";
import { breakersIn, consumedIn, overview } from "../../telemetry/overview.ts";
import { fail, newRouter, type Ctx } from "../context.ts";
import { answer, optionalBody, refusals } from "../route.ts";
import { adminOnly } from "./access.ts";
import { audited, auditOf, presentAudit } from "./audit.ts";

export const adminOperation = newRouter();

const tags = ["admin"];

adminOperation.openapi(
  createRoute({
    method: "get",
    path: "/admin/audit",
    tags,
    summary: "What admins have done, newest first",
    ...adminOnly,
    request: { query: PageQuery },
    responses: { 200: answer(AuditList, "One page"), ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED") },
  }),
  async (c) => {
    const page = await c.get("services").repo.admin.auditLog(c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    return c.json({ items: page.value.items.map(presentAudit), nextCursor: page.value.nextCursor }, 200);
  },
);

adminOperation.openapi(
  createRoute({
    method: "get",
    path: "/admin/dead-letters",
    tags,
    summary: "What consumers gave up on, newest first",
    ...adminOnly,
    request: { query: PageQuery },
    responses: { 200: answer(DeadLetterList, "One page"), ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED") },
  }),
  async (c) => {
    const page = await c.get("services").repo.deadLetters.list(c.req.valid("query"));
    if (!page.ok) {
      return fail(c, page.fault);
    }
    return c.json({ items: page.value.items.map(presentLetter), nextCursor: page.value.nextCursor }, 200);
  },
);

adminOperation.openapi(
  createRoute({
    method: "post",
    path: "/admin/dead-letters/{id}/replay",
    tags,
    summary: "Put a dead letter on its topic again; consumers do nothing twice, so neither does a second replay",
    ...adminOnly,
    request: { params: DeadLetterParams, body: optionalBody(AdminActBody) },
    responses: {
      200: answer(DeadLetter, "On its way again"),
      ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED", "NOT_FOUND", "CONFLICT"),
    },
  }),
  async (c) => {
    const letter = await replay(c, c.req.valid("param").id, c.req.valid("json").reason);
    return letter.ok ? c.json(presentLetter(letter.value), 200) : fail(c, letter.fault);
  },
);

adminOperation.openapi(
  createRoute({
    method: "get",
    path: "/admin/state",
    tags,
    summary: "What waits: events in the SQL outbox, records on each topic, dead letters",
    ...adminOnly,
    responses: { 200: answer(AdminState, "As of now"), ...refusals("UNAUTHENTICATED", "PERMISSION_DENIED") },
  }),
  async (c) => {
    const { repo, bus, env } = c.get("services");
    const [outbox, deadLetters, lags, all] = await Promise.all([
      repo.outbox.backlog(),
      repo.deadLetters.openCount(),
      Promise.all(TOPIC_NAMES.map((topic) => bus.backlog(topic))),
      overview(env),
    ]);
    const consumers = TOPIC_NAMES.map((topic, index) => {
      const lag = lags[index];
      return { topic, ...consumedIn(all, topic), ...(lag === undefined ? {} : { lag }) };
    });
    return c.json({ outbox, deadLetters, consumers, breakers: breakersIn(all) }, 200);
  },
);

async function replay(c: Ctx, letterId: string, reason: string | undefined): Promise<Result<DeadLetterRow>> {
  const { repo, bus, clock } = c.get("services");
  const letter = await repo.deadLetters.byId(letterId);
  if (letter === null) {
    return err({ name: "NOT_FOUND" });
  }
  const topic = topicOfLetter(letter);
  if (topic === undefined) {
    return err({ name: "CONFLICT", detail: "no consumer of this release takes it" });
  }
  const audit = auditOf(c, { action: "dead-letter.replay", targetKind: "dead-letter", targetId: letterId, reason });
  return audited(c, audit, async () => {
    // Marked before it leaves: should it fail again at once, the mark must not come after the letter is open once more.
    const replayedAt = clock.now();
    await repo.deadLetters.markReplayed(letterId, replayedAt);
    try {
      await bus.publish(topic, [{ key: letterId, body: JSON.parse(letter.body) as unknown }]);
    } catch (error) {
      await repo.deadLetters.markReplayed(letterId, letter.replayedAt);
      log("warn", "a dead letter was not replayed", { topic, error: describeError(error) });
      return err({ name: "UNAVAILABLE", detail: "the bus does not answer" });
    }
    return ok({ ...letter, replayedAt });
  });
}

function presentLetter(row: DeadLetterRow): DeadLetter {
  return {
    id: row.letterId,
    topic: topicOfLetter(row) ?? row.queue,
    body: row.body,
    ...(row.error === null ? {} : { error: row.error }),
    attempts: row.attempts,
    createdAt: row.createdAt,
    ...(row.replayedAt === null ? {} : { replayedAt: row.replayedAt }),
  };
}
