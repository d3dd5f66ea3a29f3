/**
 * Which commands a client may send. All requests share one connection, so a command that would hold it, change its
 * state or turn it into a subscription is refused; so are those that operate the server. The rest is Redis' to judge.
 */
import * as z from "zod";

/** What a client sent in place of an argument: text, or what JSON has and the dialect turns into text. */
const Argument = z.union([z.string(), z.number(), z.boolean(), z.null(), z.array(z.unknown()), z.looseObject({})]);
const CommandBody = z.array(Argument).min(1);
/** `/pipeline` and `/multi-exec`. Ten thousand is far beyond what a flight of ours holds. */
const MAX_COMMANDS = 10_000;
const CommandsBody = z.array(CommandBody).max(MAX_COMMANDS);

/** A command's name in upper case, and its arguments as text. */
export interface RedisCommand {
  readonly name: string;
  readonly args: readonly string[];
}

export type Parsed<Value> = { ok: true; value: Value } | { ok: false; error: string };

const REFUSED: Readonly<Record<string, readonly string[]>> = {
  "waits on the shared connection": [
    "BLPOP",
    "BRPOP",
    "BLMOVE",
    "BLMPOP",
    "BRPOPLPUSH",
    "BZPOPMIN",
    "BZPOPMAX",
    "BZMPOP",
    "WAIT",
    "WAITAOF",
  ],
  "changes the shared connection": [
    "SUBSCRIBE",
    "PSUBSCRIBE",
    "SSUBSCRIBE",
    "UNSUBSCRIBE",
    "PUNSUBSCRIBE",
    "SUNSUBSCRIBE",
    "MONITOR",
    "MULTI",
    "EXEC",
    "DISCARD",
    "WATCH",
    "UNWATCH",
    "SELECT",
    "QUIT",
    "RESET",
    "HELLO",
    "AUTH",
    "CLIENT",
    "ASKING",
    "READONLY",
    "READWRITE",
  ],
  "operates the server": [
    "CONFIG",
    "SHUTDOWN",
    "DEBUG",
    "SAVE",
    "BGSAVE",
    "BGREWRITEAOF",
    "REPLICAOF",
    "SLAVEOF",
    "FAILOVER",
    "ACL",
    "MODULE",
    "CLUSTER",
    "MIGRATE",
    "SWAPDB",
    "SYNC",
    "PSYNC",
    "REPLCONF",
    "LATENCY",
    "SLOWLOG",
  ],
};

const REASON_OF = new Map(Object.entries(REFUSED).flatMap(([reason, names]) => names.map((name) => [name, reason])));
const WAITING_READS = new Set(["XREAD", "XREADGROUP"]);

/** One command from the body of `POST /`. */
export function parseCommand(body: unknown): Parsed<RedisCommand> {
  const parsed = CommandBody.safeParse(body);
  return parsed.success ? checked(parsed.data) : { ok: false, error: "ERR a command must be a non-empty array" };
}

/** All commands of `/pipeline` or `/multi-exec`; a refused one stands in its place as an error. */
export function parseCommands(body: unknown): Parsed<Parsed<RedisCommand>[]> {
  const parsed = CommandsBody.safeParse(body);
  return parsed.success
    ? { ok: true, value: parsed.data.map(checked) }
    : { ok: false, error: `ERR commands must be an array of at most ${MAX_COMMANDS} non-empty arrays` };
}

function checked(parts: readonly unknown[]): Parsed<RedisCommand> {
  const [name = "", ...args] = parts.map(asText);
  // Upper case also keeps ioredis from changing replies, which it does by lower-case name (HGETALL to an object).
  const upper = name.toUpperCase();
  const reason = REASON_OF.get(upper) ?? (waits(upper, args) ? "waits on the shared connection" : undefined);
  return reason === undefined
    ? { ok: true, value: { name: upper, args } }
    : { ok: false, error: `ERR Command is not available: '${upper}' ${reason}` };
}

function waits(name: string, args: readonly string[]): boolean {
  return WAITING_READS.has(name) && args.some((argument) => argument.toUpperCase() === "BLOCK");
}

function asText(argument: unknown): string {
  return typeof argument === "object" && argument !== null ? JSON.stringify(argument) : String(argument);
}
