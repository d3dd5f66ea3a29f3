/** TypeScript client for GoChat Edge. */
export { Chat, createChat, type Pending } from "./chat.ts";
export { ConversationHandle, WORLD_ROOM_ID, type Attachment, type Page, type SendOptions } from "./conversation.ts";
export { memoryPendingStore, type ConnectionState, type PendingRow, type PendingStore } from "./core/index.ts";
export { ChatError, type LocalError } from "./errors.ts";
export type { ChatEventName, ChatEvents, Connection, Listener } from "./events.ts";
export type { Group, Groups, Joined } from "./group.ts";
export {
  systemClock,
  type ChatOptions,
  type ClientClock,
  type DeviceOption,
  type Logger,
  type Session,
  type SessionStore,
  type SocketConstructor,
  type SocketLike,
} from "./options.ts";
export type { Devices } from "./devices.ts";
export type { Friends, Users } from "./people.ts";
export type * from "./protocol.ts";
export type { Accepted, Sent, SentState } from "./sent.ts";
export type { Store } from "./store.ts";
