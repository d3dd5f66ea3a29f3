/** Makes the repositories. Callers see the interfaces of types.ts and never ask which database is behind them. */
import { systemClock, type Clock } from "../platform/clock.ts";
import { settingsOf } from "../platform/settings.ts";
import { d1Database } from "./d1.ts";
import type { Database } from "./database.ts";
import { mysqlDatabase } from "./mysql.ts";
import { planetscaleClient } from "./planetscale.ts";
import { repositoriesOn } from "./repositories.ts";
import type { Repo } from "./types.ts";

/** All repositories of this environment. Cheap: make them when they are needed. */
export function repositories(env: Pick<Env, "DB">, clock: Clock = systemClock): Repo {
  return repositoriesOn(databaseOf(env), clock);
}

/** The embedded database, whatever the settings say: for whoever looks at an installation whose settings are wrong. */
export function embeddedRepositories(env: Pick<Env, "DB">): Repo {
  return repositoriesOn(d1Database(env.DB), systemClock);
}

/** The settings say which database it is. */
function databaseOf(env: Pick<Env, "DB">): Database {
  const { planetscale } = settingsOf(env);
  if (planetscale === undefined) {
    return d1Database(env.DB);
  }
  const { url, replicaUrl } = planetscale;
  const primary = planetscaleClient(url);
  return mysqlDatabase(primary, replicaUrl === undefined ? primary : planetscaleClient(replicaUrl));
}

export { SqlUnavailable } from "./failures.ts";
export type { Repo } from "./types.ts";
