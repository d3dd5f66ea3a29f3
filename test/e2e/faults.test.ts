/**
 * SQL, the cache and the bus failing, hanging and slow while people talk, and back again: what goes on goes on, what does not says
 * when to come back, nothing that was accepted is lost, and everything catches up by itself. Source: DESIGN section 5.
 */
import { afterAll, afterEach, beforeAll, describe, it, vi } from "vitest";
import { DEPENDENCIES, FAULT_MODES, type Dependency, type FaultMode } from "../../src/platform/faults.ts";
import { startServer, type TestServer } from "../support/server.ts";
import { everybodyLeaves, makeFriends, PASSWORD, Person } from "./support/people.ts";
import { call, register, type RawUser } from "./support/raw.ts";

/** The longest that one call may take: a time limit of each dependency (docs/operations.md) and some for the machine. */
const HELD_MS = 9_000;
/** Retries of consumers and alarms of rooms after an outage of some seconds. */
const CATCH_UP = { timeout: 40_000, interval: 250 };

let server: TestServer;
let ana: Person;
let ben: Person;
let reader: RawUser;
let conversationId: string;
let said = 0;

beforeAll(async () => {
  server = await startServer({
    env: { TEST_FAULTS: "on", LIMIT_SENDS_PER_SECOND: "1000", LIMIT_SENDS_BURST: "1000", LIMIT_REQUESTS_BURST: "1000" },
  });
  [ana, ben] = [await Person.register(server), await Person.register(server)];
  conversationId = await makeFriends(ana, ben);
  reader = await register(server);
  // Read once while all is well: this is what can be shown later.
  await list();
});
afterEach(async () => {
  await set({ sql: "ok", cache: "ok", bus: "ok" });
});
afterAll(async () => {
  await everybodyLeaves();
  await server?.dispose();
});

async function set(modes: Partial<Record<Dependency, FaultMode>>): Promise<void> {
  const { status } = await call(server, "PUT", "/testing/faults", { body: modes });
  if (status !== 200) {
    throw new Error(`faults not set: ${status}`);
  }
}

async function list(): Promise<{ status: number; degraded: boolean }> {
  const { status, json } = await call(server, "GET", "/api/conversations", { token: reader.token });
  return { status, degraded: json?.["degraded"] === true };
}

async function logIn(): Promise<{ status: number; retryAfter: number }> {
  const body = { username: ana.username, password: PASSWORD };
  const { status, headers } = await call(server, "POST", "/api/auth/login", { body });
  return { status, retryAfter: Number(headers["retry-after"] ?? 0) };
}

/** Whether the breaker of a dependency is in this state, as a scrape tells. */
async function breakerIs(dependency: Dependency, state: string): Promise<boolean> {
  const { text } = await call(server, "GET", "/metrics");
  return text.includes(`gochat_breaker_state{dependency="${dependency}",state="${state}"} 1\n`);
}

/** One message, all the way to the other one's eyes. */
async function talk(): Promise<{ place: number; stored: () => boolean }> {
  said += 1;
  const text = `message ${said}`;
  const sent = ana.in(conversationId).send(text);
  const { seqId } = await sent.accepted;
  await ben.until(text, () => ben.received(conversationId).some((message) => message.content === text));
  return { place: seqId, stored: () => sent.state.get() === "stored" };
}

async function timed<T>(work: () => Promise<T>): Promise<{ value: T; ms: number }> {
  const began = performance.now();
  const value = await work();
  return { value, ms: performance.now() - began };
}

const BAD_MODES = FAULT_MODES.filter((mode) => mode !== "ok");

for (const dependency of DEPENDENCIES) {
  describe(`${dependency}`, () => {
    for (const mode of BAD_MODES) {
      it(`${mode}, and back again`, { timeout: 120_000 }, async ({ expect }) => {
        const isAway = mode !== "slow";
        await set({ [dependency]: mode });

        // Sends, delivery and recent history go on, whatever is away.
        const messages = [await talk(), await talk(), await talk()];
        const token = reader.token;
        const history = await timed(() => ben.in(conversationId).history());
        expect(history.value.at(-1)?.content).toBe(`message ${said}`);
        expect(history.ms).toBeLessThan(HELD_MS);

        // Several at once, as users would: no call is held longer than the limit.
        const lists = await timed(() => Promise.all(Array.from({ length: 6 }, list)));
        expect(lists.ms).toBeLessThan(HELD_MS);
        const isDegraded = dependency === "sql" && isAway;
        expect(lists.value).toEqual(lists.value.map(() => ({ status: 200, degraded: isDegraded })));
        const login = await timed(logIn);
        expect(login.ms).toBeLessThan(HELD_MS);
        expect(login.value.status).toBe(isDegraded ? 503 : 200);
        expect(login.value.retryAfter > 0).toBe(isDegraded);
        const me = await call(server, "GET", `/api/conversations/world_chat_room`, { token });
        expect(me.status).toBe(200);

        if (isAway && dependency !== "bus") {
          expect(await breakerIs(dependency, "closed")).toBe(false);
          // With the breaker open nobody waits at all.
          expect((await timed(list)).ms).toBeLessThan(2_500);
        }
        if (isAway && dependency !== "cache") {
          expect(messages.some((message) => message.stored())).toBe(false);
        }

        // Back again: everything catches up by itself.
        await set({ [dependency]: "ok" });
        await vi.waitFor(async () => {
          expect(await list()).toEqual({ status: 200, degraded: false });
          expect((await logIn()).status).toBe(200);
          expect(await breakerIs(dependency, "closed")).toBe(true);
        }, CATCH_UP);
        await talk();
        await vi.waitFor(() => expect(messages.every((message) => message.stored())).toBe(true), CATCH_UP);
        const all = await ben.in(conversationId).history({ limit: 200 });
        expect(all.map((message) => message.content)).toEqual(
          Array.from({ length: said }, (_, index) => `message ${index + 1}`),
        );
        // Pushed once each, in order.
        expect(ben.received(conversationId).map((message) => message.content)).toEqual(
          Array.from({ length: said }, (_, index) => `message ${index + 1}`),
        );
      });
    }
  });
}
