/** The client's pure core: what the driver runs on sockets and the simulator runs on its own network. */
export { ClientCore, type Steps } from "./core.ts";
export * from "./limits.ts";
export { memoryPendingStore } from "./outbox.ts";
export * from "./reconnect.ts";
export * from "./types.ts";
export { messageChange, withoutPreview } from "./window.ts";
