/** Lines on the terminal: what comes in appears above the line that is being typed. */
import { clearLine, cursorTo, type Interface } from "node:readline";
import type { Message } from "../../sdk/src/index.ts";

export class Screen {
  readonly #isTerminal: boolean;
  #readline: Interface | undefined;

  constructor(isTerminal: boolean) {
    this.#isTerminal = isTerminal;
  }

  /** From now on there is a prompt to keep below what is printed. */
  attach(readline: Interface): void {
    this.#readline = readline;
  }

  print(line: string): void {
    if (!this.#isTerminal || this.#readline === undefined) {
      process.stdout.write(`${line}\n`);
      return;
    }
    cursorTo(process.stdout, 0);
    clearLine(process.stdout, 0);
    process.stdout.write(`${line}\n`);
    this.#readline.prompt(true);
  }

  prompt(label: string): void {
    if (this.#isTerminal && this.#readline !== undefined) {
      this.#readline.setPrompt(`${label}> `);
      this.#readline.prompt(true);
    }
  }
}

/** Local time, hours and minutes. */
export function clockText(epochMs: number): string {
  return new Date(epochMs).toTimeString().slice(0, 5);
}

/** What a message says, in one line; control characters of others must not steer this terminal. */
export function contentText(message: Message): string {
  if (message.recalledAt !== undefined || message.content === undefined) {
    return "(recalled)";
  }
  const { content } = message;
  const text = typeof content === "string" ? content : `[${message.messageType} ${content.name ?? content.key}]`;
  return text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, " ");
}
