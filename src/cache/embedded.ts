/** The embedded cache: `CacheStore` objects, sharded by key, one call for each shard involved (two where reads follow writes). */
import { shardNumber } from "../domain/sharding.ts";
import { cacheAt, type CacheEnv } from "../platform/stubs.ts";
import { CACHE_KEYS, type Cache, type CacheCommand, type CacheReply } from "./types.ts";

type Part = { shard: number; command: CacheCommand; index: number; positions?: number[] };

const ONLINE_PREFIX = CACHE_KEYS.online("");

function isAboutSince(command: CacheCommand): boolean {
  return command[1] === CACHE_KEYS.presenceSince;
}

/**
 * Shards whose knowledge of presence a pipeline depends on: those of the users it names, or all. Each has a `presenceSince` of its
 * own beside the leases it speaks of: were there one for all, a shard that was emptied would go on to count as complete.
 */
function presenceShards(commands: readonly CacheCommand[], shards: number): number[] {
  const users = commands.flatMap((command) =>
    command.slice(1).filter((key) => typeof key === "string" && key.startsWith(ONLINE_PREFIX)),
  );
  const named = new Set(users.map((key) => shardNumber(String(key), shards)));
  return named.size > 0 ? [...named] : Array.from({ length: shards }, (_, shard) => shard);
}

/** Splits a command so that each part has keys of one shard only. */
function split(command: CacheCommand, index: number, shards: number, ofPresence: readonly number[]): Part[] {
  if (isAboutSince(command)) {
    return ofPresence.map((shard) => ({ shard, command, index }));
  }
  if (command[0] !== "MGET" && command[0] !== "DEL") {
    return [{ shard: shardNumber(command[1], shards), command, index }];
  }
  const [name, ...keys] = command;
  const byShard = new Map<number, { keys: string[]; positions: number[] }>();
  keys.forEach((key, position) => {
    const shard = shardNumber(key, shards);
    const group = byShard.get(shard) ?? { keys: [], positions: [] };
    group.keys.push(key);
    group.positions.push(position);
    byShard.set(shard, group);
  });
  return [...byShard].map(([shard, group]) => ({
    shard,
    command: [name, ...group.keys],
    index,
    positions: group.positions,
  }));
}

/** Puts the parts' replies together again, in the order of the commands. */
function merge(commands: readonly CacheCommand[], answered: { part: Part; reply: CacheReply }[]) {
  const replies: CacheReply[] = commands.map((command) =>
    command[0] === "MGET" ? command.slice(1).map(() => null) : command[0] === "DEL" ? 0 : null,
  );
  for (const [index, command] of commands.entries()) {
    if (isAboutSince(command)) {
      replies[index] = latest(answered.filter(({ part }) => part.index === index).map(({ reply }) => reply));
    }
  }
  for (const { part, reply } of answered) {
    const whole = replies[part.index];
    if (isAboutSince(part.command)) {
      continue;
    }
    if (Array.isArray(whole) && Array.isArray(reply) && part.positions !== undefined) {
      part.positions.forEach((position, i) => {
        whole[position] = reply[i] ?? null;
      });
    } else if (part.positions !== undefined) {
      replies[part.index] = Number(whole) + Number(reply);
    } else {
      replies[part.index] = reply;
    }
  }
  return replies;
}

/** Complete since all of them are; one that does not know makes it unknown. */
function latest(replies: readonly CacheReply[]): CacheReply {
  const known = replies.filter((reply) => reply !== null);
  return known.length < replies.length ? null : (known.toSorted((a, b) => Number(b) - Number(a))[0] ?? null);
}

const READS: ReadonlySet<CacheCommand[0]> = new Set(["GET", "MGET", "ZRANGE"]);

/**
 * Cuts a pipeline wherever a read follows a write. A room writes its head and then asks who is online, a session the other
 * way round (docs/architecture.md): with keys on several shards a read that overtakes a write would lose a message.
 */
function stages(commands: readonly CacheCommand[]): [CacheCommand, number][][] {
  const cut: [CacheCommand, number][][] = [];
  let wrote = false;
  commands.forEach((command, index) => {
    // Who begins to count does so where presence is read, in the same call.
    const reads = READS.has(command[0]) || isAboutSince(command);
    if (cut.length === 0 || (reads && wrote)) {
      cut.push([]);
      wrote = false;
    }
    cut.at(-1)?.push([command, index]);
    wrote ||= !reads;
  });
  return cut;
}

async function ask(env: CacheEnv, parts: readonly Part[]): Promise<{ part: Part; reply: CacheReply }[]> {
  const byShard = Map.groupBy(parts, (part) => part.shard);
  const answered = await Promise.all(
    [...byShard].map(async ([shard, own]) => {
      const replies = await cacheAt(env, shard).pipeline(own.map((part) => part.command));
      return own.map((part, i) => ({ part, reply: replies[i] ?? null }));
    }),
  );
  return answered.flat();
}

export function embeddedCache(env: CacheEnv, shards: number): Cache {
  return {
    async pipeline(commands) {
      if (shards <= 1) {
        return cacheAt(env, 0).pipeline(commands);
      }
      const answered = [];
      const ofPresence = presenceShards(commands, shards);
      for (const stage of stages(commands)) {
        const parts = stage.flatMap(([command, index]) => split(command, index, shards, ofPresence));
        answered.push(...(await ask(env, parts)));
      }
      return merge(commands, answered);
    },
  };
}
