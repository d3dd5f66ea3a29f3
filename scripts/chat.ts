/**
 * `npm run chat`: a small terminal client on the SDK. At a terminal it is a chat; with lines from a pipe it sends them,
 * waits until the last is acknowledged, and ends.
 */
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { WebSocket } from "ws";
import { ChatError, createChat, WORLD_ROOM_ID, type Chat } from "../sdk/src/index.ts";
import { Screen } from "./chat/screen.ts";
import { Talk } from "./chat/talk.ts";
import { DEFAULT_PORT, readStartSettings } from "./start/settings.ts";

const HELP = `npm run chat -- [options]
  --url URL        the server (default http://127.0.0.1:8787, or with the PORT of the environment)
  --name NAME      user name with --password; without one the name that a guest shows
  --password WORD  logs in as NAME, or registers NAME when there is no such user (8 characters or more)
  --open ID        conversation to begin in (default: the world room)
  --wait SECONDS   at the end of piped input: how long to wait for acknowledgements (default 60)

Lines are sent to the open conversation. Commands:
  /list  /open N|ID|TITLE  /world  /history [N]  /who
  /friends  /add NAME  /accept [NAME]  /group TITLE NAME…
  /help  /quit`;

/** Reads on 127.0.0.1 need no compression, and a chat's frames are small. */
class Socket extends WebSocket {
  constructor(url: string, protocols: string[]) {
    super(url, protocols, { perMessageDeflate: false });
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      url: { type: "string" },
      name: { type: "string" },
      password: { type: "string" },
      open: { type: "string", default: WORLD_ROOM_ID },
      wait: { type: "string", default: "60" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${HELP}\n`);
    return 0;
  }
  const screen = new Screen(process.stdin.isTTY && process.stdout.isTTY);
  const chat = createChat({
    url: values.url ?? `http://127.0.0.1:${readStartSettings(process.env).port || DEFAULT_PORT}`,
    WebSocket: Socket,
    // Old messages are read when a conversation is opened; only what comes from now on is an event.
    backlog: 0,
    device: { kind: "desktop", name: "terminal" },
  });
  const talk = new Talk(chat, screen);
  const who = await signIn(chat, values.name, values.password);
  screen.print(`-- signed in as ${who} (${chat.me?.userId}); /help lists the commands`);
  await chat.ready();
  await talk.open(values.open).catch((error: unknown) => talk.complain(error));
  // Made where its lines are read: what it reads before that would be lost.
  const readline = createInterface({ input: process.stdin, output: screenOutput(), terminal: process.stdin.isTTY });
  screen.attach(readline);
  talk.prompt();
  for await (const line of readline) {
    if (line === "/quit") {
      break;
    }
    await handle(talk, line).catch((error: unknown) => talk.complain(error));
  }
  readline.close();
  process.stdin.destroy();
  // A person who leaves does not wait long; a pipe has nobody who would send again.
  const waitMs = process.stdin.isTTY ? 5_000 : Number(values.wait) * 1_000;
  const isDone = await chat.flush(waitMs);
  await talk.printed();
  const left = chat.pending.get().count;
  await chat.close({ flushMs: 0 });
  if (!isDone) {
    process.stderr.write(`${left} messages were not acknowledged\n`);
  }
  return isDone ? 0 : 1;
}

/** With a pipe on either side readline must not draw. */
function screenOutput(): NodeJS.WriteStream | undefined {
  return process.stdin.isTTY && process.stdout.isTTY ? process.stdout : undefined;
}

/** Answers the name to greet with. */
async function signIn(chat: Chat, name: string | undefined, password: string | undefined): Promise<string> {
  if (password === undefined) {
    const guest = await chat.guest();
    return name === undefined ? guest.displayName : (await chat.updateMe({ displayName: name })).displayName;
  }
  if (name === undefined) {
    throw new Error("--password needs --name");
  }
  try {
    return (await chat.login({ username: name, password })).username;
  } catch (error) {
    // Unknown user and wrong password answer alike: registering tells which it was.
    if (!(error instanceof ChatError) || error.name !== "UNAUTHENTICATED") {
      throw error;
    }
  }
  try {
    return (await chat.register({ username: name, password })).username;
  } catch (error) {
    throw error instanceof ChatError && error.name === "CONFLICT"
      ? new Error("wrong password", { cause: error })
      : error;
  }
}

async function handle(talk: Talk, line: string): Promise<void> {
  const [command = "", ...words] = line.trim().split(/\s+/);
  const [first] = words;
  switch (command) {
    case "":
      return;
    case "/help":
      process.stdout.write(`${HELP}\n`);
      return;
    case "/list":
      return talk.list();
    case "/world":
      return await talk.open(WORLD_ROOM_ID);
    case "/open": {
      const found = first === undefined ? undefined : talk.find(words.join(" "));
      return found === undefined ? talk.complain("no such conversation: /list") : await talk.open(found);
    }
    case "/history":
      return await talk.history(first === undefined ? undefined : Number(first) || undefined);
    case "/who":
      return await talk.who();
    case "/friends":
      return await talk.friends();
    case "/add":
      return first === undefined ? talk.complain("/add NAME") : await talk.add(first);
    case "/accept":
      return await talk.accept(first);
    case "/group":
      return first === undefined ? talk.complain("/group TITLE NAME…") : await talk.group(first, words.slice(1));
    default:
      // Two slashes begin a line that is meant to begin with one.
      return command.startsWith("/") && !command.startsWith("//")
        ? talk.complain(`no such command: ${command}; /help lists them`)
        : talk.send(line.replace(/^\/\//, "/"));
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
