/** The shards of a big room. */
import type { ShardRpc } from "../platform/rpc.ts";
import { settingsOf } from "../platform/settings.ts";
import { shardAt } from "../platform/stubs.ts";

export function shardsOf(conversationId: string, env: Env): ShardRpc[] {
  return Array.from({ length: settingsOf(env).worldShards }, (_, n) => shardAt(env, conversationId, n));
}
