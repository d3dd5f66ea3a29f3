import { describe, it } from "vitest";
import { env } from "cloudflare:workers";
import { isAdminKey } from "../../src/http/admin/access.ts";
import { metricsOf } from "../../src/platform/stubs.ts";
import type { AdminState } from "../../src/protocol/rest.ts";
import { ADMIN_KEY, asKey, newAdmin } from "./support/admins.ts";
import { envWith, newUserId } from "./support/harness.ts";
import { expectStatus, guest, register, request } from "./support/http.ts";

/** Every route of admins, from the document that is made from the routes: a new one is here by itself. */
async function routes(): Promise<[method: string, path: string][]> {
  const { paths } = await expectStatus<{ paths: Record<string, object> }>(200, request("GET", "/openapi.json"));
  return Object.entries(paths)
    .filter(([path]) => path.startsWith("/api/admin/"))
    .flatMap(([path, methods]) =>
      Object.keys(methods).map((method): [string, string] => [method.toUpperCase(), filled(path)]),
    );
}

function filled(path: string): string {
  return path
    .replace("/conversations/{id}", `/conversations/group_${newUserId()}`)
    .replaceAll(/\{\w+\}/g, () => newUserId());
}

describe("who may", () => {
  it("nobody, a wrong key, a guest, a user may not; an admin and the key may", async ({ expect }) => {
    const [user, visitor, admin] = [await register(), await guest(), await newAdmin()];
    const all = await routes();
    expect(all.length).toBeGreaterThan(7);
    for (const [method, path] of all) {
      const refused = [
        await request(method, path),
        await request(method, path, { headers: { "x-admin-key": "another-key-of-16" } }),
        // A wrong key is not made good by a token.
        await request(method, path, { headers: { "x-admin-key": "" }, token: admin.accessToken }),
        await request(method, path, { token: visitor.accessToken }),
        await request(method, path, { token: user.accessToken }),
      ];
      expect(
        refused.map((answer) => answer.response.status),
        path,
      ).toEqual([401, 401, 401, 403, 403]);
      const allowed = [
        await request(method, path, { token: admin.accessToken }),
        await request(method, path, { headers: { "x-admin-key": ADMIN_KEY } }),
      ];
      for (const { response } of allowed) {
        expect([200, 400, 404], path).toContain(response.status);
      }
    }
  });

  it("accepts no key at all when none is set", async ({ expect }) => {
    const without = envWith({ GOCHAT_ADMIN_KEY: undefined });
    for (const key of ["", "undefined", ADMIN_KEY]) {
      const { response } = await request("GET", "/api/admin/users", { env: without, headers: { "x-admin-key": key } });
      expect(response.status).toBe(401);
    }
    const keys = [isAdminKey("", undefined), isAdminKey("", ""), isAdminKey("key", "key"), isAdminKey("ke", "key")];
    expect(keys).toEqual([false, true, true, false]);
  });
});

describe("state", () => {
  it("tells what waits, and how each consumer fares", async ({ expect }) => {
    const owner = newUserId();
    const row = [
      "INSERT INTO outbox_events VALUES (?, ?, 'gochat.user-events', 'k', '{}', ?)",
      newUserId(),
      owner,
    ] as const;
    await env.DB.prepare(row[0]).bind(row[1], row[2], 5).run();
    const state = await expectStatus<AdminState>(200, asKey("GET", "/state"));
    expect(state.outbox).toEqual({ count: expect.any(Number), oldestAt: 5 });
    expect(state.outbox.count).toBeGreaterThan(0);
    expect(state.consumers.map((consumer) => consumer.topic)).toContain("gochat.messages.persist");
    expect(state.consumers).toHaveLength(8);
    expect(state.breakers).toMatchObject({ sql: "closed", cache: "closed", bus: "closed" });
    for (const consumer of state.consumers) {
      expect(consumer).toMatchObject({ handled: expect.any(Number), failed: expect.any(Number) });
    }
  });

  it("speaks for all isolates: consumers are summed, and the worst breaker is named", async ({ expect }) => {
    const topic = "gochat.friend-events";
    const read = async () => {
      const state = await expectStatus<AdminState>(200, asKey("GET", "/state"));
      return { of: state.consumers.find((consumer) => consumer.topic === topic), breakers: state.breakers };
    };
    const before = await read();
    await metricsOf(env).report({
      isolate: newUserId(),
      totals: {
        [`gochat_bus_consumed_total{topic="${topic}"}`]: 5,
        [`gochat_bus_consume_failures_total{topic="${topic}"}`]: 2,
      },
      gauges: { 'gochat_breaker_state{dependency="sql",state="open"}': 1 },
    });
    const after = await read();
    expect(after.of).toMatchObject({ handled: (before.of?.handled ?? 0) + 5, failed: (before.of?.failed ?? 0) + 2 });
    expect(after.breakers).toMatchObject({ sql: "open", cache: "closed" });
  });
});
