import { describe, it } from "vitest";
import { StartError } from "./errors.ts";
import { readStartSettings } from "./settings.ts";

describe("settings of npm start", () => {
  it("have defaults, also for variables that are set to nothing", ({ expect }) => {
    const expected = { host: "127.0.0.1", port: 8787, jwtKeys: undefined, workerSettings: {} };
    expect(readStartSettings({})).toMatchObject(expected);
    expect(
      readStartSettings({ PORT: "", HOST: "", GOCHAT_DATA: "", JWT_KEYS: "", LIMIT_BODY_BYTES: "" }),
    ).toMatchObject(expected);
    expect(readStartSettings({}).dataFolder).toMatch(/\/\.data$/);
  });

  it("hand on to the Worker what it knows, and nothing else of the environment", ({ expect }) => {
    const known = {
      LIMIT_BODY_BYTES: "1",
      WORLD_SHARDS: "2",
      CACHE_SHARDS: "3",
      GOCHAT_ADMIN_KEY: "k",
      BUS: "kafka",
      UPSTASH_KAFKA_REST_URL: "http://127.0.0.1:8790",
      UPSTASH_REDIS_REST_TOKEN: "t",
      PLANETSCALE_URL: "http://u:p@127.0.0.1:8790",
      BRIDGE_SECRET: "s",
    };
    const { workerSettings } = readStartSettings({
      ...known,
      HOME: "/home/a",
      AWS_SECRET: "s",
      SQLITE: "x",
      GOCHAT_DATA: "d",
    });
    expect(workerSettings).toEqual(known);
  });

  for (const port of ["65536", "-1", "1e3", "http", "8787 "]) {
    it(`refuse the port "${port}"`, ({ expect }) => {
      expect(() => readStartSettings({ PORT: port })).toThrow(StartError);
    });
  }
});
