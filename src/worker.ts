export { CacheStore } from "./objects/CacheStore.ts";
export { ConversationRoom } from "./objects/ConversationRoom.ts";
export { FanoutShard } from "./objects/FanoutShard.ts";
export { UserSession } from "./objects/UserSession.ts";

export default {
  fetch(request: Request): Response {
    return new URL(request.url).pathname === "/health"
      ? Response.json({ status: "ok" })
      : new Response(null, { status: 404 });
  },
  queue(): void {},
} satisfies ExportedHandler<Env>;
