/** Invites and join requests of a simulated room; every write says how it is undone. */
import type { GroupStore } from "../../src/domain/ports.ts";
import { ADMIN, type InviteState, type JoinRequestState, type MemberState } from "../../src/domain/records.ts";

export class MemoryGroupStore implements GroupStore {
  readonly #invites = new Map<string, InviteState>();
  /** By user. */
  readonly #requests = new Map<string, JoinRequestState>();
  readonly #mutes = new Map<string, number>();
  readonly #members: () => Iterable<MemberState>;
  readonly #undo: (step: () => void) => void;

  constructor(members: () => Iterable<MemberState>, undo: (step: () => void) => void) {
    this.#members = members;
    this.#undo = undo;
  }

  invite(code: string): InviteState | undefined {
    return this.#invites.get(code);
  }

  putInvite(invite: InviteState): void {
    this.#set(this.#invites, invite.code, invite);
  }

  deleteInvite(code: string): void {
    this.#set(this.#invites, code, undefined);
  }

  pruneInvites(now: number): void {
    for (const { code, expiresAt } of this.#invites.values()) {
      if (expiresAt <= now) {
        this.deleteInvite(code);
      }
    }
  }

  inviteCount(now: number): number {
    return [...this.#invites.values()].filter((invite) => invite.expiresAt > now).length;
  }

  invites(after: { createdAt: number; code: string } | undefined, limit: number): InviteState[] {
    return [...this.#invites.values()]
      .toSorted(byCreation)
      .filter((invite) => after === undefined || byCreation(invite, after) > 0)
      .slice(0, limit);
  }

  joinRequest(requestId: string): JoinRequestState | undefined {
    return [...this.#requests.values()].find((request) => request.requestId === requestId);
  }

  joinRequestOf(userId: string): JoinRequestState | undefined {
    return this.#requests.get(userId);
  }

  putJoinRequest(request: JoinRequestState): void {
    this.#set(this.#requests, request.userId, request);
  }

  pendingRequests(after: string, limit: number): JoinRequestState[] {
    return [...this.#requests.values()]
      .filter((request) => request.status === "pending" && request.requestId > after)
      .toSorted((a, b) => (a.requestId < b.requestId ? -1 : 1))
      .slice(0, limit);
  }

  keptMute(userId: string): number | undefined {
    return this.#mutes.get(userId);
  }

  keepMute(userId: string, mutedUntil: number): void {
    this.#set(this.#mutes, userId, mutedUntil);
  }

  dropMute(userId: string): void {
    this.#set(this.#mutes, userId, undefined);
  }

  moderators(after: string, limit: number): MemberState[] {
    return [...this.#members()]
      .filter((member) => member.role >= ADMIN && member.userId > after)
      .toSorted((a, b) => (a.userId < b.userId ? -1 : 1))
      .slice(0, limit);
  }

  #set<T>(table: Map<string, T>, key: string, value: T | undefined): void {
    const before = table.get(key);
    const write = (row: T | undefined): void => {
      if (row === undefined) {
        table.delete(key);
      } else {
        table.set(key, row);
      }
    };
    write(value);
    this.#undo(() => write(before));
  }
}

type Created = { createdAt: number; code: string };

function byCreation(a: Created, b: Created): number {
  return a.createdAt - b.createdAt || (a.code < b.code ? -1 : a.code > b.code ? 1 : 0);
}
