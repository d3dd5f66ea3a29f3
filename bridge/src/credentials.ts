/**
 * Who may come in. Secrets are compared as digests of one length, and every entry is compared whatever the earlier
 * ones said: the time that an answer takes tells nothing of how much was right.
 */
import { createHash, timingSafeEqual } from "node:crypto";

/** Compares in time that does not depend on where they differ, nor on how long they are. */
export function sameSecret(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

export interface NamedSecret {
  readonly name: string;
  readonly password: string;
}

/** The entry that these credentials name, or undefined. */
export function findUser<User extends NamedSecret>(users: readonly User[], given: NamedSecret): User | undefined {
  let found: User | undefined;
  for (const user of users) {
    // A digest of both, so that "no such name" and "wrong password" take the same time.
    if (sameSecret(`${given.name}\n${given.password}`, `${user.name}\n${user.password}`)) {
      found = user;
    }
  }
  return found;
}

/** Does the token equal one of them? All are compared. */
export function isOneOf(tokens: readonly string[], given: string): boolean {
  return tokens.filter((token) => sameSecret(given, token)).length > 0;
}

/** `Authorization: Basic …`, or undefined when it is none. */
export function parseBasic(header: string | undefined): NamedSecret | undefined {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+)$/i.exec(header ?? "")?.[1];
  const text = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** `Authorization: Bearer …`, or undefined when it is none. */
export function parseBearer(header: string | undefined): string | undefined {
  return /^bearer +(\S+)$/i.exec(header ?? "")?.[1];
}
