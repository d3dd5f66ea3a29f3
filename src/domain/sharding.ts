/** Which shard of a big room or of the cache something belongs to. Pure. */

/** Between a conversation id and a shard number in the name of a `FanoutShard`. */
export const SHARD_SEPARATOR = "#";

/** FNV-1a over UTF-16 units: even enough for ids, and the same for ever, since stored data hangs on it. */
export function shardNumber(key: string, shards: number): number {
  if (shards <= 1) {
    return 0;
  }
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) {
    hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  }
  return (hash >>> 0) % shards;
}
