import { join } from "node:path";
import { cloudflareTest, readD1Migrations } from "@cloudflare/vitest-plugin";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";

const ROOT = import.meta.dirname;
const MINUTE_MS = 60_000;

/** 32 bytes of text, for tests only: `npm start` makes its own key, and a deployed Worker has none until it is told one. */
const TEST_KEY = Buffer.from("a-key-for-tests-and-nothing-else").toString("base64url");

/**
 * Files of e2e to which the engines matter least: about starting, hostile bytes and the terminal, which mostly end before any engine is
 * asked, and about the switch that makes a dependency fail, for which `services` has real outages.
 */
const REST = "test/e2e/{start,hostile*,terminalChat,faults}.test.ts";

/** A project whose servers run on the engines that `npm run test:services` has started. */
function onEngines(name: string, files: { include: string[]; exclude?: string[] }): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      ...files,
      env: { GOCHAT_TEST_ENGINES: "on" },
      globalSetup: ["test/services/support/statementLog.ts"],
      fileParallelism: false,
      testTimeout: 10 * MINUTE_MS,
      hookTimeout: MINUTE_MS,
    },
  };
}

export default defineConfig({
  test: {
    // A test that waits for something gives up by itself, with a message; these limits are for those that hang.
    projects: [
      {
        test: {
          name: "unit",
          include: ["{src,scripts,schema}/**/*.test.ts", "{sdk,bridge}/src/**/*.test.ts"],
        },
      },
      {
        // Inside workerd: storage, alarms, eviction, sockets, queues.
        plugins: [
          cloudflareTest(async () => ({
            wrangler: { configPath: join(ROOT, "wrangler.toml") },
            miniflare: {
              bindings: {
                JWT_KEYS: `test:${TEST_KEY}`,
                GOCHAT_ADMIN_KEY: "an-admin-key-for-tests",
                TEST_MIGRATIONS: await readD1Migrations(join(ROOT, "schema/migrations/sqlite")),
              },
            },
          })),
        ],
        test: {
          name: "workers",
          include: ["test/workers/**/*.test.ts"],
          // Each file has a workerd of its own. By itself vitest leaves a core free, and runs one at a time where there are two.
          maxWorkers: 2,
          setupFiles: ["test/workers/setup.ts"],
          // It is CommonJS behind a small module, which the plugin's loader cannot follow; bundled as for production it can.
          deps: { optimizer: { ssr: { enabled: true, include: ["obscenity"] } } },
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "simulation",
          include: ["test/simulation/**/*.test.ts"],
          testTimeout: 10 * MINUTE_MS,
        },
      },
      {
        // Against `npm start` as a child process. One file at a time: each has a server of its own, which wants a core.
        test: {
          name: "e2e",
          include: ["test/e2e/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: MINUTE_MS,
          hookTimeout: MINUTE_MS,
        },
      },
      {
        test: {
          // On a real Kafka, MariaDB and Redis: `npm run test:services` starts them and says where they are.
          name: "services",
          include: ["test/services/**/*.test.ts"],
          exclude: ["test/services/faults.test.ts"],
          fileParallelism: false,
          testTimeout: 2 * MINUTE_MS,
          hookTimeout: 2 * MINUTE_MS,
        },
      },
      {
        test: {
          // The short fault run on them, with servers of its own.
          name: "engineFaults",
          include: ["test/services/faults.test.ts"],
        },
      },
      {
        test: {
          name: "chaos",
          include: ["test/chaos/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 10 * MINUTE_MS,
          hookTimeout: MINUTE_MS,
        },
      },
      // The suites of e2e and chaos once more, on Kafka, MySQL and Redis: `npm run test:services` starts them. `wrangler` has its own engines.
      onEngines("engines", {
        include: ["test/{e2e,chaos}/**/*.test.ts"],
        exclude: ["test/e2e/{deploy,dev}.test.ts", REST],
      }),
      onEngines("engineRest", { include: [REST] }),
    ],
  },
});
