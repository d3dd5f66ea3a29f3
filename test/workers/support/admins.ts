/** Admins of both kinds, as tests call them. */
import { env } from "cloudflare:workers";
import type { AuditEntry, AuthAnswer } from "../../../src/protocol/rest.ts";
import { expectStatus, PASSWORD, register, request, type Answer, type Call } from "./http.ts";

/** What vitest.config.ts sets. */
export const ADMIN_KEY = "an-admin-key-for-tests";

/** A call with the admin key. */
export function asKey(method: string, path: string, body?: unknown): Promise<Answer> {
  const call: Call = { headers: { "x-admin-key": ADMIN_KEY } };
  return request(method, `/api/admin${path}`, body === undefined ? call : { ...call, body });
}

/** A user of role admin: there is no route for that, an operator changes the row, and the next sign-in brings it. */
export async function newAdmin(): Promise<AuthAnswer> {
  const { user } = await register();
  await env.DB.prepare("UPDATE users SET role = 'admin' WHERE user_id = ?").bind(user.userId).run();
  const body = { username: user.username, password: PASSWORD };
  return expectStatus<AuthAnswer>(200, request("POST", "/api/auth/login", { body }));
}

/** Rows of the audit about this target, newest first. */
export async function auditAbout(targetId: string): Promise<AuditEntry[]> {
  const { items } = await expectStatus<{ items: AuditEntry[] }>(200, asKey("GET", "/audit?limit=100"));
  return items.filter((entry) => entry.targetId === targetId);
}
