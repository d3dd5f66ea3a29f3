import type { D1Migration } from "cloudflare:test";

declare global {
  namespace Cloudflare {
    /** Bindings that only the tests inside workerd have; vitest.config.ts gives them. */
    interface Env {
      TEST_MIGRATIONS: D1Migration[];
      GOCHAT_ADMIN_KEY: string;
    }
  }
}
