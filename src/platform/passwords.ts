/**
 * Password hashes: scrypt of node:crypto. PBKDF2 is out, because deployed Workers cap it at 100,000 iterations and
 * OWASP wants 600,000; argon2 has no native form on Workers. About 130 ms of CPU a hash, so it runs in the stateless
 * Worker, never in an object, and a brake stands before it, not behind it.
 *
 * Stored form (after the PHC string format): `$scrypt$ln=14,r=8,p=5$<salt>$<key>`, base64 without padding. The
 * parameters travel with the hash, so that raising them needs no migration: `needsRehash` tells at the next log-in.
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

/** One of OWASP's equivalent sets (N=2^14, r=8, p=5: 16 MiB), below the cap of workerd (N·r·p ≤ 2^20). */
const CURRENT = { log2N: 14, r: 8, p: 5 } as const;
const SALT_BYTES = 16;
const KEY_BYTES = 32;
/** Memory that scrypt may take; its need is 128·N·r, and a stored hash that asks for more is refused. */
const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** The cap that workerd puts on N·r·p; beyond it scrypt throws. */
const MAX_COST = 2 ** 20;

interface Parameters {
  readonly log2N: number;
  readonly r: number;
  readonly p: number;
}

interface Stored extends Parameters {
  readonly salt: Buffer;
  readonly key: Buffer;
}

/**
 * Hashes a password for storage.
 * @param password as typed; it is normalised (NFKC), so that one keyboard's "é" equals another's
 */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const key = await derive(password, salt, KEY_BYTES, CURRENT);
  return format({ ...CURRENT, salt, key });
}

/**
 * Whether the password belongs to the stored hash. With `null` (no such user, or a guest) it spends the same time on a
 * dummy and answers `false`, so that neither the answer nor its delay tells which names exist.
 * @param stored what `hashPassword` made, or `null`
 */
export async function verifyPassword(password: string, stored: string | null): Promise<boolean> {
  const parsed = stored === null ? null : parse(stored);
  if (parsed === null) {
    await derive(password, DUMMY_SALT, KEY_BYTES, CURRENT);
    return false;
  }
  const key = await derive(password, parsed.salt, parsed.key.length, parsed);
  return timingSafeEqual(key, parsed.key);
}

/** Whether the stored hash was made with other parameters than today's, and should be made again at this log-in. */
export function needsRehash(stored: string): boolean {
  const parsed = parse(stored);
  return (
    parsed === null ||
    parsed.log2N !== CURRENT.log2N ||
    parsed.r !== CURRENT.r ||
    parsed.p !== CURRENT.p ||
    parsed.key.length !== KEY_BYTES
  );
}

/** The salt of the dummy: its value does not matter, only that hashing with it costs the same. */
const DUMMY_SALT = Buffer.alloc(SALT_BYTES);

function derive(password: string, salt: Buffer, keyBytes: number, cost: Parameters): Promise<Buffer> {
  const options = { N: 2 ** cost.log2N, r: cost.r, p: cost.p, maxmem: MAX_MEMORY_BYTES };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize("NFKC"), salt, keyBytes, options, (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
}

function format(stored: Stored): string {
  return `$scrypt$ln=${stored.log2N},r=${stored.r},p=${stored.p}$${encode(stored.salt)}$${encode(stored.key)}`;
}

/** Reads a stored hash; `null` when it is not one, or asks for more than workerd allows. */
function parse(text: string): Stored | null {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]{16,})\$([A-Za-z0-9+/]{22,})$/.exec(
    text,
  );
  if (match === null) {
    return null;
  }
  const [log2N, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const cost = 2 ** log2N * r * p;
  if (cost < 1 || cost > MAX_COST || 2 ** log2N * r * 128 > MAX_MEMORY_BYTES) {
    return null;
  }
  return { log2N, r, p, salt: Buffer.from(match[4] ?? "", "base64"), key: Buffer.from(match[5] ?? "", "base64") };
}

function encode(bytes: Buffer): string {
  return bytes.toString("base64").replaceAll("=", "");
}
