/**
 * Access tokens: JWTs signed with HS256, 15 minutes long. The first key of the settings signs and names itself in `kid`; every
 * key of the settings verifies, so that keys rotate without signing anybody out: put the new one in front, wait the
 * life of a token, drop the old one.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { JwtKey } from "./settings.ts";

const ISSUER = "gochat";
const AUDIENCE = "gochat";
const ALGORITHM = "HS256";

/** Ours are about 300 characters; a longer text is refused before anything is decoded. */
const MAX_TOKEN_CHARS = 2048;

/** What an access token says. Times in epoch milliseconds. */
export interface AccessClaims {
  readonly userId: string;
  readonly deviceId: string;
  readonly role: "user" | "admin";
  readonly isGuest: boolean;
  readonly issuedAt: number;
}

export interface AccessTokens {
  /** @param claims `issuedAt` is the moment of signing; the token ends `lifeMs` later */
  sign(claims: AccessClaims): Promise<string>;
  /** UNAUTHENTICATED for whatever is not a token of ours that is still alive, without telling which. */
  verify(token: string, now: number): Promise<Result<AccessClaims>>;
}

/**
 * Makes and checks access tokens.
 * @param keys from the settings; the first signs
 * @param lifeMs how long a token is good
 */
export function accessTokens(keys: readonly [JwtKey, ...JwtKey[]], lifeMs: number): AccessTokens {
  const [signer] = keys;
  const secrets = new Map(keys.map((key) => [key.kid, key.secret]));
  return {
    sign(claims) {
      return (
        new SignJWT({ did: claims.deviceId, role: claims.role, guest: claims.isGuest })
          .setProtectedHeader({ alg: ALGORITHM, kid: signer.kid })
          .setIssuer(ISSUER)
          .setAudience(AUDIENCE)
          .setSubject(claims.userId)
          // With its fraction: "issued before the revocation" is decided to the millisecond.
          .setIssuedAt(claims.issuedAt / 1000)
          .setExpirationTime(Math.ceil((claims.issuedAt + lifeMs) / 1000))
          .sign(signer.secret)
      );
    },

    async verify(token, now) {
      if (token.length > MAX_TOKEN_CHARS) {
        return err({ name: "UNAUTHENTICATED" });
      }
      try {
        const { payload } = await jwtVerify(token, (header) => secretFor(secrets, header.kid), {
          algorithms: [ALGORITHM],
          issuer: ISSUER,
          audience: AUDIENCE,
          requiredClaims: ["sub", "did", "iat", "exp"],
          currentDate: new Date(now),
        });
        const { sub, did, iat, role, guest } = payload;
        if (
          typeof sub !== "string" ||
          typeof did !== "string" ||
          typeof iat !== "number" ||
          typeof guest !== "boolean"
        ) {
          return err({ name: "UNAUTHENTICATED" });
        }
        return ok({
          userId: sub,
          deviceId: did,
          role: role === "admin" ? "admin" : "user",
          isGuest: guest,
          issuedAt: Math.round(iat * 1000),
        });
      } catch (error) {
        if (error instanceof errors.JOSEError) {
          return err({ name: "UNAUTHENTICATED" });
        }
        throw error;
      }
    },
  };
}

function secretFor(secrets: ReadonlyMap<string, Uint8Array>, kid: string | undefined): Uint8Array {
  const secret = kid === undefined ? undefined : secrets.get(kid);
  if (secret === undefined) {
    throw new errors.JWKSNoMatchingKey();
  }
  return secret;
}

/** The token of an `Authorization: Bearer …` header, or `null`. The scheme is case-insensitive (RFC 9110). */
export function bearerToken(authorization: string | null): string | null {
  return /^bearer +([A-Za-z0-9._~+/-]+=*) *$/i.exec(authorization ?? "")?.[1] ?? null;
}

/** The subprotocol that a browser sends its token in, since it cannot set headers on a WebSocket. */
const BEARER_PROTOCOL = "gochat.bearer.";

/** The token among the subprotocols of an upgrade request, or `null`. */
export function subprotocolToken(subprotocols: string | null): string | null {
  const offered = (subprotocols ?? "").split(",").map((part) => part.trim());
  return offered.find((part) => part.startsWith(BEARER_PROTOCOL))?.slice(BEARER_PROTOCOL.length) || null;
}

/** The user id in a refresh token `{userId}.{random}`, or `null`: it says which object to ask, and proves nothing. */
export function userOfRefreshToken(refreshToken: string): string | null {
  return /^([0-9A-HJKMNP-TV-Z]{26})\.[A-Za-z0-9_-]{16,256}$/.exec(refreshToken)?.[1] ?? null;
}
