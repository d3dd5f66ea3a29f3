/** The repositories of any database. */
import { sql } from "drizzle-orm";
import type { Clock } from "../platform/clock.ts";
import { adminRepo } from "./admin.ts";
import { blockRepo } from "./blocks.ts";
import { conversationRepo } from "./conversations.ts";
import type { Database } from "./database.ts";
import { deadLetterRepo } from "./deadLetters.ts";
import { friendRepo } from "./friends.ts";
import { messageRepo } from "./messages.ts";
import { outboxRepo } from "./outbox.ts";
import { recordRepo } from "./records.ts";
import type { Repo } from "./types.ts";
import { userRepo } from "./users.ts";

/** All repositories on this database. */
export function repositoriesOn(database: Database, clock: Clock): Repo {
  return {
    users: userRepo(database),
    friends: friendRepo(database),
    blocks: blockRepo(database),
    conversations: conversationRepo(database),
    messages: messageRepo(database),
    persistence: recordRepo(database, clock),
    outbox: outboxRepo(database),
    deadLetters: deadLetterRepo(database),
    admin: adminRepo(database),
    async ping() {
      try {
        await database.rows(sql`SELECT 1`);
        return true;
      } catch {
        // The caller asks only whether; the reason is logged by whoever needed SQL for something.
        return false;
      }
    },
  };
}
