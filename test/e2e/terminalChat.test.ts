/** `npm run chat`: two people at terminals, through a kill -9; and lines from a pipe. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterEach, describe, it } from "vitest";
import { launchServer, startServer, type TestServer } from "../support/server.ts";
import { uniqueName } from "../support/names.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/chat.ts");
const PASSWORD = "a good password";
/** A restart of the server and the wait for the next try are in here. */
const PATIENCE_MS = 30_000;

/** One run of the terminal client, with a pipe for a keyboard. */
class Terminal {
  readonly #child: ChildProcess;
  #output = "";
  #wake: (() => void)[] = [];
  readonly exited: Promise<number | null>;

  /** @param where the server's URL, or its port, in the environment as the server has it */
  constructor(where: string | number, ...options: string[]) {
    const url = typeof where === "string" ? ["--url", where] : [];
    const env = typeof where === "string" ? process.env : { ...process.env, PORT: String(where) };
    this.#child = spawn(process.execPath, [SCRIPT, ...url, ...options], { stdio: ["pipe", "pipe", "pipe"], env });
    const heard = (text: string): void => {
      this.#output += text;
      this.#wake.splice(0).forEach((wake) => wake());
    };
    this.#child.stdout?.setEncoding("utf8").on("data", heard);
    this.#child.stderr?.setEncoding("utf8").on("data", heard);
    this.exited = once(this.#child, "close").then(([code]) => (typeof code === "number" ? code : null));
  }

  type(...lines: string[]): void {
    this.#child.stdin?.write(lines.map((line) => `${line}\n`).join(""));
  }

  /** No more lines. */
  end(): void {
    this.#child.stdin?.end();
  }

  async shows(text: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!this.#output.includes(text)) {
      const left = deadline - performance.now();
      if (left <= 0) {
        throw new Error(`"${text}" was never shown:\n${this.#output}`);
      }
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        timer = setTimeout(resolve, left);
        this.#wake.push(resolve);
      });
      clearTimeout(timer);
    }
  }

  /** How often a line with this text was shown. */
  count(text: string): number {
    return this.#output.split("\n").filter((line) => line.includes(text)).length;
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}

const servers: TestServer[] = [];
const terminals: Terminal[] = [];
afterEach(async () => {
  terminals.splice(0).forEach((terminal) => terminal.kill());
  await Promise.all(servers.splice(0).map((server) => server.dispose()));
});

function sitDown(server: TestServer, ...options: string[]): Terminal {
  const terminal = new Terminal(server.url, ...options);
  terminals.push(terminal);
  return terminal;
}

describe("npm run chat", () => {
  it("two people become friends and talk on through a kill -9", async ({ expect }) => {
    const server = await startServer();
    servers.push(server);
    const [ana, ben] = [uniqueName("ana"), uniqueName("ben")];
    const a = sitDown(server, "--name", ana, "--password", PASSWORD);
    const b = sitDown(server, "--name", ben, "--password", PASSWORD);
    await Promise.all([a.shows("-- World"), b.shows("-- World")]);

    a.type(`/add ${ben}`);
    await b.shows(`${ana} asks for friendship`);
    b.type("/accept", "hello from ben");
    await b.shows("✓ 1 hello from ben");
    await a.shows(`${ben}: hello from ben`);
    a.type(`/open ${ben}`, "hello from ana");
    await b.shows(`${ana}: hello from ana`);

    await server.killGroup();
    await Promise.all([a.shows("-- reconnecting"), b.shows("-- reconnecting")]);
    a.type("said while the server was dead");
    await a.shows("… waits for the connection: said while the server was dead");
    const again = await launchServer({ dataDir: server.dataDir, port: server.port });
    servers.push(again);
    await again.ready;
    await a.shows("✓ 3 said while the server was dead");
    await b.shows(`${ana}: said while the server was dead`);
    expect(b.count("said while the server was dead")).toBe(1);

    a.type("/quit");
    b.end();
    expect(await Promise.all([a.exited, b.exited])).toEqual([0, 0]);
  });

  it("sends the lines of a pipe in order, and ends when the last is acknowledged", async ({ expect }) => {
    const server = await startServer();
    servers.push(server);
    const reader = sitDown(server);
    await reader.shows("-- World");
    const pipe = new Terminal(server.port, "--name", "Piper");
    terminals.push(pipe);
    // More than the burst of the world room, so that the last wait their turn.
    const lines = ["one", "two", "three", "four", "five", "six", "seven"];
    pipe.type(...lines);
    pipe.end();
    expect(await pipe.exited).toBe(0);
    for (const [index, line] of lines.entries()) {
      expect(pipe.count(`✓ ${index + 1} ${line}`)).toBe(1);
      await reader.shows(`Piper: ${line}`);
    }
  });

  it("says what is wrong in one sentence", async ({ expect }) => {
    const nobody = new Terminal("http://127.0.0.1:9");
    terminals.push(nobody);
    expect(await nobody.exited).toBe(1);
    await nobody.shows("No answer to POST /auth/guest.");
  });
});
