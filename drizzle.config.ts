/** The migrations of D1; drizzle-kit only generates them, and wrangler (or `npm start`) applies them. */
import { defineConfig } from "drizzle-kit";

export default defineConfig({
  dialect: "sqlite",
  schema: "./schema/sqlite.ts",
  out: "./schema/migrations/sqlite",
  // Without the filter a later `generate` may drop the table in which wrangler keeps its books (cloudflare-docs#31813).
  tablesFilter: ["!d1_migrations", "!_cf_*"],
});
