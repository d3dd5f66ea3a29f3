/** REST calls as a client makes them, against the app inside workerd. */
import { createExecutionContext, waitOnExecutionContext } from "cloudflare:test";
import { env as testEnv } from "cloudflare:workers";
import { app } from "../../../src/http/app.ts";
import type { AuthAnswer } from "../../../src/protocol/rest.ts";
import type { WireError } from "../../../src/protocol/things.ts";

export interface Call {
  readonly token?: string;
  /** Sent as JSON. */
  readonly body?: unknown;
  readonly rawBody?: BodyInit | null;
  readonly headers?: Record<string, string>;
  /** Instead of the tests' own bindings. */
  readonly env?: Env;
}

export interface Answer {
  readonly response: Response;
  readonly text: string;
  /** The parsed body, when it is JSON. */
  readonly body: unknown;
  readonly error: WireError | undefined;
}

/** One request; waits until what goes on after the answer has ended. */
export async function request(method: string, path: string, call: Call = {}): Promise<Answer> {
  const headers = new Headers(call.headers);
  if (call.token !== undefined) {
    headers.set("Authorization", `Bearer ${call.token}`);
  }
  let body = call.rawBody ?? null;
  if (call.body !== undefined) {
    headers.set("Content-Type", "application/json");
    body = JSON.stringify(call.body);
  }
  const ctx = createExecutionContext();
  const response = await app.fetch(
    new Request(`http://test${path}`, { method, headers, body }),
    call.env ?? testEnv,
    ctx,
  );
  const text = response.status === 101 ? "" : await response.text();
  await waitOnExecutionContext(ctx);
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json") === true;
  const parsed: unknown = isJson && text !== "" ? JSON.parse(text) : undefined;
  const error = (parsed as { error?: WireError } | undefined)?.error;
  return { response, text, body: parsed, error };
}

/** The body of an answer that has to have this status. */
export async function expectStatus<T>(status: number, answer: Promise<Answer>): Promise<T> {
  const { response, text, body } = await answer;
  if (response.status !== status) {
    throw new Error(`expected ${status}, got ${response.status}: ${text}`);
  }
  return body as T;
}

let names = 0;

/** A user name that no other test of the file has. */
export function freshName(): string {
  names += 1;
  return `user.${names}`;
}

export const PASSWORD = "correct horse battery";

/** A new account, signed in. */
export function register(over: Record<string, unknown> = {}): Promise<AuthAnswer> {
  const body = { username: freshName(), password: PASSWORD, ...over };
  return expectStatus<AuthAnswer>(201, request("POST", "/api/auth/register", { body }));
}

/** A new guest, signed in. */
export function guest(): Promise<AuthAnswer> {
  return expectStatus<AuthAnswer>(201, request("POST", "/api/auth/guest"));
}

export type Person = AuthAnswer;

/** A call as this person. */
export function as(person: Person, method: string, path: string, body?: unknown): Promise<Answer> {
  return request(method, path, { token: person.accessToken, body });
}

/** Name of the error of a call as this person, or its status. */
export async function refusal(person: Person, method: string, path: string, body?: unknown): Promise<string> {
  const { response, error } = await as(person, method, path, body);
  return error?.name ?? String(response.status);
}

/** New accounts, one after the other. */
export async function people(count: number): Promise<Person[]> {
  const all = [];
  for (let i = 0; i < count; i++) {
    all.push(await register());
  }
  return all;
}
