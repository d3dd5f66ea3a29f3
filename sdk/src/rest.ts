/** Calls of the REST interface: the token goes along, refusals become `ChatError`. */
import { ChatError, networkError } from "./errors.ts";
import type { ClientClock, SessionStore } from "./options.ts";
import type { AuthAnswer, ErrorBody } from "./protocol.ts";
import { Tokens } from "./tokens.ts";

/** A cold start of everything behind a call, and a retry of it, fit in here. */
const CALL_TIMEOUT_MS = 15_000;

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
export type Query = Readonly<Record<string, string | number | undefined>>;

export class Rest {
  readonly tokens: Tokens;
  readonly #base: string;
  readonly #fetch: typeof fetch;

  /**
   * @param url of the server, without `/api`.
   * @param died as for `Tokens`.
   */
  constructor(
    url: string,
    fetcher: typeof fetch,
    store: SessionStore | undefined,
    clock: ClientClock,
    died: () => void,
  ) {
    this.#base = `${url}/api`;
    this.#fetch = fetcher;
    const ask = (refreshToken: string): Promise<AuthAnswer> =>
      this.open<AuthAnswer>("POST", "/auth/refresh", { refreshToken });
    this.tokens = new Tokens(url, store, clock, ask, died);
  }

  /** A call that needs no sign-in. */
  async open<T>(method: Method, path: string, body?: unknown): Promise<T> {
    return await this.#call<T>(method, path, undefined, body, undefined);
  }

  /** A call of whoever is signed in. A refused token is refreshed, once. */
  async call<T>(method: Method, path: string, body?: unknown, query?: Query): Promise<T> {
    const token = this.tokens.fresh ?? (await this.tokens.refresh(undefined)).accessToken;
    try {
      return await this.#call<T>(method, path, query, body, token);
    } catch (error) {
      if (!(error instanceof ChatError) || error.name !== "UNAUTHENTICATED") {
        throw error;
      }
      const { accessToken } = await this.tokens.refresh(token);
      return await this.#call<T>(method, path, query, body, accessToken);
    }
  }

  async #call<T>(
    method: Method,
    path: string,
    query: Query | undefined,
    body: unknown,
    token: string | undefined,
  ): Promise<T> {
    const headers: Record<string, string> = { accept: "application/json" };
    if (token !== undefined) {
      headers["authorization"] = `Bearer ${token}`;
    }
    if (body !== undefined) {
      headers["content-type"] = "application/json";
    }
    let response: Response;
    let answer: unknown;
    try {
      response = await this.#fetch(this.#base + path + queryText(query), {
        method,
        headers,
        signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      answer = text === "" ? {} : JSON.parse(text);
    } catch (error) {
      throw networkError(`No answer to ${method} ${path}.`, error);
    }
    if (!response.ok) {
      throw isErrorBody(answer)
        ? new ChatError(answer.error)
        : networkError(`${method} ${path} was answered ${response.status} without an explanation.`);
    }
    // The server's schemas are the contract: what it answers with success has their form.
    return answer as T;
  }
}

function queryText(query: Query | undefined): string {
  const parts = Object.entries(query ?? {}).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key}=${encodeURIComponent(value)}`],
  );
  return parts.length === 0 ? "" : `?${parts.join("&")}`;
}

function isErrorBody(answer: unknown): answer is ErrorBody {
  const { error } = (answer ?? {}) as { error?: unknown };
  return typeof error === "object" && error !== null && "code" in error && "name" in error && "retry" in error;
}
