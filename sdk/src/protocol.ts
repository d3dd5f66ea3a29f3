/** The one seam to the server's schemas: types only, so that nothing of the Worker (and no zod) is in the client. */
import type { ListItem } from "../../src/protocol/things.ts";

export type { ErrorName, RetryAdvice } from "../../src/protocol/errors.ts";
export type { ClientFrame, ServerFrame, ServerFrameOf, ServerFrameType } from "../../src/protocol/frames.ts";
export type {
  Content,
  Conversation,
  Device,
  Edit,
  ErrorBody,
  FriendRequest,
  Invite,
  JoinRequest,
  List,
  Member,
  Message,
  MessageType,
  Reaction,
  SelfUser,
  SendData,
  SyncedConversation,
  User,
  WireError,
} from "../../src/protocol/things.ts";

/** One line of the conversation list. */
export type ConversationItem = ListItem;

export type {
  AddMembersAnswer,
  AuthAnswer,
  Block,
  ConversationAnswer,
  ConversationBody,
  ConversationChangeBody,
  Friend,
  FriendRequestAnswer,
  FriendRequestItem,
  GuestAnswer,
  InviteBody,
  JoinPendingAnswer,
  LoginBody,
  ProfileBody,
  ReadAnswer,
  Readers,
  RegisterBody,
  SettingsAnswer,
  SettingsBody,
  UpgradeBody,
} from "../../src/protocol/rest.ts";
