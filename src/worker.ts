import { app } from "./http/app.ts";
import { consume } from "./queues/index.ts";

export { CacheStore } from "./objects/CacheStore.ts";
export { ConversationRoom } from "./objects/ConversationRoom.ts";
export { FanoutShard } from "./objects/FanoutShard.ts";
export { Metrics } from "./objects/Metrics.ts";
export { UserSession } from "./objects/UserSession.ts";

export default {
  fetch: app.fetch,
  queue: consume,
} satisfies ExportedHandler<Env>;
