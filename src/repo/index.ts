/** Makes the repositories. Callers see the interfaces of types.ts and never ask which database is behind them. */
import { sql } from "drizzle-orm";
import { systemClock, type Clock } from "../platform/clock.ts";
import { d1Blocks } from "./blocks.ts";
import { d1Admin } from "./admin.ts";
import { d1Conversations } from "./conversations.ts";
import { guarded, openD1 } from "./d1.ts";
import { d1Friends } from "./friends.ts";
import { d1DeadLetters } from "./deadLetters.ts";
import { d1Messages } from "./messages.ts";
import { d1Outbox } from "./outbox.ts";
import { d1Records } from "./records.ts";
import type { Repo } from "./types.ts";
import { d1Users } from "./users.ts";

/** All repositories of this environment. Cheap: make them when they are needed. */
export function repositories(env: Pick<Env, "DB">, clock: Clock = systemClock): Repo {
  const db = openD1(env.DB);
  return {
    users: d1Users(db),
    friends: d1Friends(db),
    blocks: d1Blocks(db),
    conversations: d1Conversations(db),
    messages: d1Messages(db),
    persistence: d1Records(db, clock),
    outbox: d1Outbox(db),
    deadLetters: d1DeadLetters(db),
    admin: d1Admin(db),
    async ping() {
      try {
        await guarded(() => db.run(sql`SELECT 1`));
        return true;
      } catch {
        // The caller asks only whether; the reason is logged by whoever needed SQL for something.
        return false;
      }
    },
  };
}

export type { Repo } from "./types.ts";
export { SqlUnavailable } from "./d1.ts";
