/** The benchmark's end of a load process. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import type { LoadCommand, LoadReply, LoadRequest, LoadResult } from "./load/protocol.ts";
import type { Target } from "./targets.ts";

const LOAD_MAIN = join(import.meta.dirname, "load/main.ts");

export class Loader {
  readonly #target: Target;
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve: (result: LoadResult) => void; reject: (error: Error) => void }>();
  #id = 0;

  constructor(target: Target) {
    this.#target = target;
    this.#child = fork(LOAD_MAIN, [target.name], { execArgv: ["--disable-warning=ExperimentalWarning"] });
    this.#child.on("message", (reply: LoadReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if ("error" in reply) {
        waiting?.reject(new Error(reply.error));
      } else {
        waiting?.resolve(reply.result);
      }
    });
    this.#child.on("exit", (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`the load process ended (${code ?? signal})`));
      }
    });
  }

  /** @throws Error when the load process could not do it */
  run(command: LoadCommand): Promise<LoadResult> {
    const id = ++this.#id;
    const { url, workerdPid } = this.#target;
    const request: LoadRequest = { id, command, where: { url, workerdPid } };
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#child.send(request);
    });
  }

  stop(): void {
    if (this.#child.connected) {
      this.#child.disconnect();
    }
  }
}
