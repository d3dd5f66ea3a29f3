/** REST of accounts: sign-in, the own profile, devices, finding users. Source: WIRE "Accounts". */
import * as z from "zod";
import {
  EMAIL_LIMIT_CHARS,
  PAGE_DEFAULT,
  PAGE_LIMIT,
  PASSWORD_LIMIT_CODE_POINTS,
  PASSWORD_MIN_CODE_POINTS,
  QUERY_LIMIT_CODE_POINTS,
} from "../limits.ts";
import { anyText, Cursor, DeviceId, Email, lineText, pageLimit, UserId, WebUrl } from "../primitives.ts";
import { Bio, Conversation, Device, DeviceKind, DisplayName, listOf, SelfUser, User } from "../things.ts";

/** Kept as it was written, compared without case. */
export const Username = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{3,32}$/, "must be 3 to 32 of a-z 0-9 _ . -")
  .meta({ description: "Unique without case" });
export const Password = anyText(PASSWORD_MIN_CODE_POINTS, PASSWORD_LIMIT_CODE_POINTS).meta({ format: "password" });

/** Without an id each sign-in makes a new device; with the id of a known one it is that device again. */
export const DeviceWish = z
  .object({ id: DeviceId.optional(), kind: DeviceKind.optional(), name: lineText().optional() })
  .meta({ id: "DeviceWish", description: "The device that signs in" });
export type DeviceWish = z.infer<typeof DeviceWish>;

export const RegisterBody = z
  .object({
    username: Username,
    password: Password,
    displayName: DisplayName.optional().meta({ description: "Default: the user name" }),
    email: Email.optional(),
    device: DeviceWish.optional(),
  })
  .meta({ id: "RegisterBody" });
export type RegisterBody = z.infer<typeof RegisterBody>;

export const LoginBody = z
  .object({
    username: z.string().min(1).max(EMAIL_LIMIT_CHARS).meta({ description: "User name or mail address" }),
    // Shorter than any that could be registered is simply wrong, not malformed: both answer alike.
    password: anyText(1, PASSWORD_LIMIT_CODE_POINTS).meta({ format: "password" }),
    device: DeviceWish.optional(),
  })
  .meta({ id: "LoginBody" });
export type LoginBody = z.infer<typeof LoginBody>;

export const GuestBody = z.object({ device: DeviceWish.optional() }).meta({ id: "GuestBody" });
export type GuestBody = z.infer<typeof GuestBody>;

export const RefreshBody = z.object({ refreshToken: z.string().min(1).max(512) }).meta({ id: "RefreshBody" });
export type RefreshBody = z.infer<typeof RefreshBody>;

export const LogoutBody = z
  .object({ everywhere: z.boolean().optional().meta({ description: "All devices, not only this one" }) })
  .meta({ id: "LogoutBody" });
export type LogoutBody = z.infer<typeof LogoutBody>;

/** A guest becomes a user and keeps id and history. */
export const UpgradeBody = RegisterBody.omit({ device: true }).meta({ id: "UpgradeBody" });
export type UpgradeBody = z.infer<typeof UpgradeBody>;

export const AuthAnswer = z
  .object({
    user: SelfUser,
    deviceId: DeviceId,
    accessToken: z.string(),
    refreshToken: z.string().meta({ description: "Good for one use" }),
    expiresIn: z.int().min(1).meta({ description: "Life of the access token, in seconds" }),
  })
  .meta({ id: "AuthAnswer", description: "Answer of register, log-in, upgrade and refresh" });
export type AuthAnswer = z.infer<typeof AuthAnswer>;

export const GuestAnswer = AuthAnswer.extend({
  conversation: Conversation.meta({ description: "The world room" }),
}).meta({ id: "GuestAnswer" });
export type GuestAnswer = z.infer<typeof GuestAnswer>;

/** Absent leaves a field as it is, `null` empties it. */
export const ProfileBody = z
  .object({
    displayName: DisplayName.optional(),
    avatarUrl: WebUrl.nullable().optional(),
    bio: Bio.nullable().optional(),
  })
  .meta({ id: "ProfileBody" });
export type ProfileBody = z.infer<typeof ProfileBody>;

/** Paging of lists. */
export const PageQuery = z.object({ cursor: Cursor.optional(), limit: pageLimit(PAGE_DEFAULT, PAGE_LIMIT) });
export type PageQuery = z.infer<typeof PageQuery>;

/** What is searched for: a line with something to see. */
export const SearchText = lineText(QUERY_LIMIT_CODE_POINTS);

export const UserSearchQuery = PageQuery.extend({ q: SearchText });
export type UserSearchQuery = z.infer<typeof UserSearchQuery>;
export const UserParams = z.object({ id: UserId });
export const DeviceParams = z.object({ deviceId: DeviceId });

export const UserList = listOf(User, "UserList");
export type UserList = z.infer<typeof UserList>;
export const DeviceList = listOf(Device, "DeviceList");
export type DeviceList = z.infer<typeof DeviceList>;
