import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { redis } from "../../scripts/services/redis.ts";
import { Service } from "../../scripts/services/service.ts";
import { firstAnswer } from "./support/addresses.ts";

const folder = mkdtempSync(join(tmpdir(), "gochat-restart-"));
const servers: Service[] = [];
afterAll(async () => {
  await Promise.all(servers.map((server) => server.dispose()));
});

describe("a server of one's own", () => {
  it("comes back on the same port after it was killed, and after it was ended", async ({ expect }) => {
    const server = await Service.start(redis, folder);
    servers.push(server);
    const ping = () => firstAnswer({ host: "127.0.0.1", port: server.port }, Buffer.from("PING\r\n")).then(String);
    expect(await ping()).toBe("+PONG\r\n");
    for (const end of [() => server.kill(), () => server.stop()]) {
      await end();
      await expect(ping()).rejects.toThrow(/ECONNREFUSED/);
      await server.start();
      expect(await ping()).toBe("+PONG\r\n");
    }
  });

  it("says what it said when it does not start", async ({ expect }) => {
    const wrong = {
      ...redis,
      name: "Wrong",
      command: () => ({ file: "sh", args: ["-c", "echo because >&2; exit 3"] }),
    };
    await expect(Service.start(wrong, folder)).rejects.toThrow(/Wrong ended \(3\) before it was ready:\s+because/);
  });
});
