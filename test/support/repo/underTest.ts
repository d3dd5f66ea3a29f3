/** What every database does, whichever it is: the same cases run on D1 and, through PlanetScale's protocol, on a MySQL. */
import type { Repo } from "../../../src/repo/types.ts";

/** A database with all migrations applied. Cases share it, and none minds what the others have left there. */
export interface RepoUnderTest {
  readonly repo: Repo;
  /** The rows of a statement that both dialects understand, with `?` for each value: what no repository tells. */
  sql(statement: string, ...values: (string | number)[]): Promise<Record<string, unknown>[]>;
}
