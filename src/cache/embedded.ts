/** The embedded cache: `CacheStore` objects, sharded by key, one call for each shard involved. */
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

export function embeddedCache(env: ObjectEnv, shards: number): Cache {
  return {
    async pipeline(commands) {
      if (shards <= 1) {
        return cacheAt(env, 0).pipeline(commands);
      }
      const byShard = new Map<number, Part[]>();
      for (const part of commands.flatMap((command, index) => split(command, index, shards))) {
        const parts = byShard.get(part.shard) ?? [];
        parts.push(part);
        byShard.set(part.shard, parts);
      }
      const answered = await Promise.all(
        [...byShard].map(async ([shard, parts]) => {
          const replies = await cacheAt(env, shard).pipeline(parts.map((part) => part.command));
          return parts.map((part, i) => ({ part, reply: replies[i] ?? null }));
        }),
      );
      return merge(commands, answered.flat());
    },
  };
}
