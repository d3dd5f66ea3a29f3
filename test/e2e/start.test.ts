import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, it } from "vitest";
import { workerdsOf } from "../../scripts/start/leftover.ts";
import { identify, isRunning } from "../../scripts/start/processes.ts";
import { freePort, launchServer, type ServerOptions, startServer, type TestServer } from "../support/server.ts";

const ROOT = join(import.meta.dirname, "../..");
/** DESIGN section 8. */
const READY_LIMIT_MS = 10_000;
const STOP_LIMIT_MS = 5_000;

const scratch = mkdtempSync(join(tmpdir(), "gochat-start-"));
const servers: TestServer[] = [];
let folders = 0;

const newFolder = (): string => join(scratch, `state-${folders++}`);

async function start(options: ServerOptions): Promise<TestServer> {
  const server = await startServer(options);
  servers.push(server);
  return server;
}

/** Starts a server that is expected to refuse, and answers what it said. */
async function refusal(options: ServerOptions): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const server = await launchServer(options);
  servers.push(server);
  await expectRefusal(server.ready);
  const { code } = await server.exited;
  return { code, stderr: server.stderr, stdout: server.stdout };
}

/** A server that starts all the same must not keep the test waiting for its end. */
async function expectRefusal(ready: Promise<void>): Promise<void> {
  const started = await ready.then(
    () => true,
    () => false,
  );
  if (started) {
    throw new Error("the server has started, and should have refused to");
  }
}

async function health(server: TestServer): Promise<number> {
  return (await fetch(`${server.url}/health`)).status;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.dispose()));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("npm start", () => {
  it("is ready within ten seconds on an empty folder, serves, and ends at SIGTERM with 0", async ({ expect }) => {
    const dataDir = newFolder();
    const server = await launchServer({ dataDir });
    servers.push(server);
    const before = performance.now();
    await server.ready;
    expect(performance.now() - before).toBeLessThan(READY_LIMIT_MS);
    expect(server.stdout).toBe(`ready on ${server.url}\n`);
    expect(server.stderr).toBe("");
    expect(await health(server)).toBe(200);

    const asked = performance.now();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect(performance.now() - asked).toBeLessThan(STOP_LIMIT_MS);
    expect(workerdsOf(realpathSync(dataDir))).toEqual([]);
  });

  it("keeps its signing key, unreadable for others, and its migrations across a restart", async ({ expect }) => {
    const dataDir = newFolder();
    const keyFile = join(dataDir, "jwt-keys");
    await (await start({ dataDir })).stop();
    const key = readFileSync(keyFile, "utf8");
    expect(key).toMatch(/^local-[0-9a-f]{8}:[A-Za-z0-9_-]{43}\n$/);
    expect(statSync(keyFile).mode & 0o777).toBe(0o600);

    const second = await start({ dataDir });
    expect(await health(second)).toBe(200);
    await second.stop();
    expect(readFileSync(keyFile, "utf8")).toBe(key);
  });

  it("ends at SIGTERM with 0 while it is still starting", async ({ expect }) => {
    const server = await launchServer({ dataDir: newFolder() });
    servers.push(server);
    // Its first act is to write who it is, so the signal comes in the middle of the start.
    await expect.poll(() => spawnSync("test", ["-f", join(server.dataDir, "server.json")]).status).toBe(0);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect(server.output).toBe("");
  });

  it("recovers on the same port when only its Node parent was killed, and harms nobody else", async ({ expect }) => {
    const dataDir = newFolder();
    const other = await start({ dataDir: newFolder() });
    const first = await start({ dataDir });
    await first.killParent();
    const [leftover] = workerdsOf(realpathSync(dataDir));
    expect(leftover).toBeDefined();
    expect(await health(first)).toBe(200); // It is indeed still there, and on the port.
    const bystander = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });

    const second = await start({ dataDir, port: first.port });
    expect(second.stdout).toContain("ended 1 workerd that a killed server had left behind");
    expect(leftover && isRunning(leftover)).toBe(false);
    expect(await health(second)).toBe(200);
    expect(await health(other)).toBe(200);
    expect(identify(bystander.pid ?? -1)).toBeDefined();
    bystander.kill();
  });

  it("finds a leftover that its parent had no time to record", async ({ expect }) => {
    const dataDir = newFolder();
    const first = await start({ dataDir });
    await first.killParent();
    rmSync(join(dataDir, "server.json"));
    const second = await start({ dataDir, port: first.port });
    expect(await health(second)).toBe(200);
  });

  it("leaves a process alone whose id is on record with another start time", async ({ expect }) => {
    const dataDir = newFolder();
    const other = await start({ dataDir: newFolder() });
    await (await start({ dataDir })).stop();
    const [foreign] = workerdsOf(realpathSync(other.dataDir));
    const record = { server: { pid: 1, began: "long ago" }, workerds: [{ pid: foreign?.pid, began: "long ago" }] };
    writeFileSync(join(dataDir, "server.json"), JSON.stringify(record));
    const second = await start({ dataDir });
    expect(second.stdout).toBe(`ready on ${second.url}\n`);
    expect(await health(other)).toBe(200);
  });

  it("starts workerd again when only that was killed", async ({ expect }) => {
    const server = await start({ dataDir: newFolder() });
    const [before] = workerdsOf(realpathSync(server.dataDir));
    process.kill(before?.pid ?? -1, "SIGKILL");
    await expect.poll(() => health(server).catch(String), { timeout: READY_LIMIT_MS }).toBe(200);
    await expect.poll(() => workerdsOf(realpathSync(server.dataDir))[0]?.pid).not.toBe(before?.pid);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
  });

  it("survives being killed at any moment of its start", async ({ expect }) => {
    const dataDir = newFolder();
    const port = await freePort();
    const folderMade = () => spawnSync("test", ["-f", join(dataDir, "server.json")]).status === 0;
    const workerdMade = () => folderMade() && workerdsOf(realpathSync(dataDir)).length > 0;
    for (const moment of [folderMade, workerdMade]) {
      const server = await launchServer({ dataDir, port });
      servers.push(server);
      await expect.poll(moment, { interval: 1, timeout: READY_LIMIT_MS }).toBe(true);
      await server.killParent();
    }
    const server = await start({ dataDir, port });
    expect(await health(server)).toBe(200);
    expect(workerdsOf(realpathSync(dataDir))).toHaveLength(1);
  });

  it("refuses a folder that a running server has", async ({ expect }) => {
    const first = await start({ dataDir: newFolder() });
    const { code, stderr } = await refusal({ dataDir: first.dataDir });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      new RegExp(`^The state folder .+ is in use by a running server \\(process ${first.pid}\\): .+\\.\n$`),
    );
    expect(await health(first)).toBe(200);
  });

  it("refuses a port that another program has, and leaves that program alone", async ({ expect }) => {
    const other = createServer((_request, response) => response.end("mine")).listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    const { code, stderr } = await refusal({ dataDir: newFolder(), port });
    expect(code).toBe(1);
    expect(stderr).toMatch(new RegExp(`^Port ${port} on 127\\.0\\.0\\.1 is in use by another program: .+\\.\n$`));
    expect(await (await fetch(`http://127.0.0.1:${port}`)).text()).toBe("mine");
    other.close();
  });

  it("refuses a folder that cannot be written", async ({ expect }) => {
    // Below a file: that stops root as well, which tests in a container often are.
    const file = join(scratch, "file");
    writeFileSync(file, "");
    const { code, stderr } = await refusal({ dataDir: join(file, "state") });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The state folder .+ cannot be written \(ENOTDIR\): .+\.\n$/);
  });

  it("refuses a folder where the file system makes none, and does not try for ever", async ({ expect }) => {
    const { code, stderr } = await refusal({ dataDir: "/proc/gochat/state" });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The state folder .+ cannot be written \(E[A-Z]+\): .+\.\n$/);
  });

  it("refuses a port that no browser would talk to", async ({ expect }) => {
    // 6000 belongs to X11; anybody may open it.
    const { code, stderr } = await refusal({ dataDir: newFolder(), port: 6000 });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^Port 6000 is one that browsers refuse to talk to: .+\.\n$/);
  });

  it("refuses settings that are wrong, by name", async ({ expect }) => {
    const wrong: [env: Record<string, string>, message: RegExp][] = [
      [{ PORT: "eighty" }, /^PORT must be a number between 0 and 65535, and is "eighty"\.\n$/],
      [{ BUS: "pigeons" }, /^The settings are not right: BUS must be one of: .+\.\n$/],
      [{ LIMIT_SENDS_PER_SECOND: "-1" }, /^The settings are not right: LIMIT_SENDS_PER_SECOND must be .+\.\n$/],
      [{ HOST: "203.0.113.1" }, /^HOST is "203\.0\.113\.1", which is no address of this machine\.\n$/],
    ];
    for (const [env, message] of wrong) {
      const { code, stderr } = await refusal({ dataDir: newFolder(), env });
      expect(stderr).toMatch(message);
      expect(code).toBe(1);
    }
  });

  it("refuses a database that has none of its rows", async ({ expect }) => {
    const dataDir = newFolder();
    const server = await start({ dataDir });
    const body = JSON.stringify({ username: "ana", password: "correct horse" });
    const headers = { "Content-Type": "application/json" };
    expect((await fetch(`${server.url}/api/auth/register`, { method: "POST", headers, body })).status).toBe(201);
    await server.stop();
    const isMoved = server.engines !== undefined;
    const env: Record<string, string> = isMoved
      ? { SQL: "d1" }
      : { SQL: "planetscale", PLANETSCALE_URL: "http://worker:secret@127.0.0.1:1" };
    const { code, stderr } = await refusal({ dataDir, env, port: server.port });
    const [wanted, there] = isMoved ? ["d1", "MySQL"] : ["planetscale", "D1"];
    expect(stderr).toMatch(/^SQL is \w+, and the rows of this state folder are in \w+: copy them \(.+\), or .+\.\n$/);
    expect(stderr).toContain(`SQL is ${wanted}, and the rows of this state folder are in ${there}:`);
    expect(code).toBe(1);
  });

  it("passes the signal on when npm gets it", async ({ expect }) => {
    // A script without `exec` leaves the server running: npm ends the shell, and the shell tells nobody.
    const dataDir = newFolder();
    const env = { ...process.env, GOCHAT_DATA: dataDir, PORT: String(await freePort()) };
    const npm = spawn("npm", ["start", "--silent"], {
      cwd: ROOT,
      env,
      detached: true,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(npm, "exit");
    await once(npm.stdout, "data");
    npm.kill("SIGTERM");
    expect(await ended).toEqual([0, null]);
    expect(workerdsOf(realpathSync(dataDir))).toEqual([]);
  });

  it("tells an old Node in one sentence what it needs", ({ expect }) => {
    // The check is the first thing that the script does, so a pretended version is enough.
    const old = "Object.defineProperty(process.versions, 'node', { value: '20.19.0' })";
    const run = spawnSync(process.execPath, ["--import", `data:text/javascript,${old}`, "scripts/start.mjs"], {
      cwd: ROOT,
      encoding: "utf8",
    });
    expect(run.status).toBe(1);
    expect(run.stderr).toMatch(/^GoChat Edge needs Node 22\.18 or newer, and this is 20\.19\.0: .+\.\n$/);
  });
});
