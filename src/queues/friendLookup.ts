/**
 * Friends of the users whom a batch of events is about, with one query: many come at once when everybody does, after a
 * restart or a deploy.
 */
import { repositories } from "../repo/index.ts";

/** Friends read, and presence asked for, at one time. */
export const FRIENDS_PAGE = 500;

export class FriendLookup {
  readonly #env: Env;
  #asked: string[] = [];
  #answer: Promise<Map<string, string[]>> | undefined;

  constructor(env: Env) {
    this.#env = env;
  }

  /** The first page of a user's friends, by id. Who asks in the same turn shares the query. */
  async first(userId: string): Promise<string[]> {
    this.#asked.push(userId);
    this.#answer ??= Promise.resolve().then(() => this.#ask());
    return (await this.#answer).get(userId) ?? [];
  }

  #ask(): Promise<Map<string, string[]>> {
    const userIds = this.#asked;
    this.#asked = [];
    this.#answer = undefined;
    return repositories(this.#env).friends.firstFriendIds(userIds, FRIENDS_PAGE);
  }
}
