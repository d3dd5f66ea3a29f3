/** The migrations of MySQL; `npm run db:migrate` applies them (drizzle.config.ts is the one of D1). */
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "mysql",
  schema: "./schema/mysql.ts",
  out: "./schema/migrations/mysql",
});
