/** The embedded cache: `CacheStore` objects, sharded by key, one call for each shard involved (two where reads follow writes). */
import { shardNumber } from "../domain/sharding.ts";
import { cacheAt, type ObjectEnv } from "../platform/stubs.ts";
import type { Cache, CacheCommand, CacheReply } from "./types.ts";

type Part = { shard: number; command: CacheCommand; index: number; positions?: number[] };

/** Splits a command so that each part has keys of one shard only. */
function split(command: CacheCommand, index: number, shards: number): Part[] {
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
  for (const { part, reply } of answered) {
    const whole = replies[part.index];
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

const READS: ReadonlySet<CacheCommand[0]> = new Set(["GET", "MGET", "ZRANGE"]);

/**
 * Cuts a pipeline wherever a read follows a write. A room writes its head and then asks who is online, a session the other
 * way round (docs/architecture.md): with keys on several shards a read that overtakes a write would lose a message.
 */
function stages(commands: readonly CacheCommand[]): [CacheCommand, number][][] {
  const cut: [CacheCommand, number][][] = [];
  let wrote = false;
  commands.forEach((command, index) => {
    const reads = READS.has(command[0]);
    if (cut.length === 0 || (reads && wrote)) {
      cut.push([]);
      wrote = false;
    }
    cut.at(-1)?.push([command, index]);
    wrote ||= !reads;
  });
  return cut;
}

async function ask(env: ObjectEnv, parts: readonly Part[]): Promise<{ part: Part; reply: CacheReply }[]> {
  const byShard = Map.groupBy(parts, (part) => part.shard);
  const answered = await Promise.all(
    [...byShard].map(async ([shard, own]) => {
      const replies = await cacheAt(env, shard).pipeline(own.map((part) => part.command));
      return own.map((part, i) => ({ part, reply: replies[i] ?? null }));
    }),
  );
  return answered.flat();
}

export function embeddedCache(env: ObjectEnv, shards: number): Cache {
  return {
    async pipeline(commands) {
      if (shards <= 1) {
        return cacheAt(env, 0).pipeline(commands);
      }
      const answered = [];
      for (const stage of stages(commands)) {
        const parts = stage.flatMap(([command, index]) => split(command, index, shards));
        answered.push(...(await ask(env, parts)));
      }
      return merge(commands, answered);
    },
  };
}
