/** The session's tokens: fresh when needed, refreshed once at a time, stored before they are used. */
import { ChatError, notSignedIn } from "./errors.ts";
import type { ClientClock, Session, SessionStore } from "./options.ts";
import type { AuthAnswer } from "./protocol.ts";

/** A token with less life than this is refreshed before a connection. Source: reference/clients.md. */
const REFRESH_BEFORE_MS = 60_000;

export class Tokens {
  readonly #store: SessionStore | undefined;
  readonly #clock: ClientClock;
  readonly #lockName: string;
  readonly #ask: (refreshToken: string) => Promise<AuthAnswer>;
  readonly #died: () => void;
  #session: Session | undefined;
  #refreshing: Promise<Session> | undefined;

  /**
   * @param ask `POST /auth/refresh`
   * @param died the session cannot be refreshed any more: somebody has to sign in.
   */
  constructor(
    url: string,
    store: SessionStore | undefined,
    clock: ClientClock,
    ask: (refreshToken: string) => Promise<AuthAnswer>,
    died: () => void,
  ) {
    this.#lockName = `gochat-refresh:${url}`;
    this.#store = store;
    this.#clock = clock;
    this.#ask = ask;
    this.#died = died;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** Takes up the session that an earlier life has stored. */
  async load(): Promise<Session | undefined> {
    this.#session ??= await this.#store?.load();
    return this.#session;
  }

  async signedIn(answer: AuthAnswer): Promise<Session> {
    const { user, deviceId, accessToken, refreshToken, expiresIn } = answer;
    const expiresAt = this.#clock.now() + expiresIn * 1_000;
    const session = { user, deviceId, accessToken, refreshToken, expiresAt };
    await this.#store?.save(session);
    this.#session = session;
    return session;
  }

  async signedOut(): Promise<void> {
    this.#session = undefined;
    await this.#store?.save(undefined);
  }

  /** A profile that changed, with the same tokens. */
  async userChanged(user: Session["user"]): Promise<void> {
    if (this.#session !== undefined) {
      const session = { ...this.#session, user };
      await this.#store?.save(session);
      this.#session = session;
    }
  }

  /** The access token, when it has enough life left to connect with. */
  get fresh(): string | undefined {
    const session = this.#session;
    const lives = session !== undefined && session.expiresAt - this.#clock.now() >= REFRESH_BEFORE_MS;
    return lives ? session.accessToken : undefined;
  }

  /**
   * New tokens. Everybody who asks at the same time waits for the same request; where there are tabs, they wait for one
   * another: a refresh token that is used twice signs the device out.
   * @param rejected the access token that was refused, or undefined when it is merely old.
   */
  refresh(rejected: string | undefined): Promise<Session> {
    this.#refreshing ??= this.#refresh(rejected).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(rejected: string | undefined): Promise<Session> {
    const locks = this.#store === undefined ? undefined : lockManager();
    return locks === undefined
      ? await this.#refreshAlone(rejected)
      : await locks.request(this.#lockName, () => this.#refreshAlone(rejected));
  }

  async #refreshAlone(rejected: string | undefined): Promise<Session> {
    // Another tab may have done it while this one waited.
    const stored = await this.#store?.load();
    if (stored !== undefined && stored.accessToken !== (rejected ?? this.#session?.accessToken)) {
      this.#session = stored;
      if (this.fresh !== undefined) {
        return stored;
      }
    }
    const session = this.#session;
    if (session === undefined) {
      throw notSignedIn();
    }
    if (rejected !== undefined && session.accessToken !== rejected) {
      return session; // Refreshed since the refused call left.
    }
    try {
      return await this.signedIn(await this.#ask(session.refreshToken));
    } catch (error) {
      if (error instanceof ChatError && (error.name === "UNAUTHENTICATED" || error.name === "BANNED")) {
        await this.signedOut();
        this.#died();
      }
      throw error;
    }
  }
}

type Locks = { request<T>(name: string, run: () => Promise<T>): Promise<T> };

/** Browsers' locks between tabs; elsewhere there is nobody to wait for. */
function lockManager(): Locks | undefined {
  const { navigator } = globalThis as { navigator?: { locks?: Locks } };
  return navigator?.locks;
}
