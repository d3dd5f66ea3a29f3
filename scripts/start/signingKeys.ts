import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { reasonOf, StartError } from "./errors.ts";
import { writeWhole } from "./files.ts";

/** HS256 wants a key as long as its hash (RFC 7518 section 3.2). */
const SIGNING_KEY_BYTES = 32;

/**
 * The signing key in this folder, `kid:base64url` as the Worker wants it: made at the first call and the same ever after.
 * Throws a `StartError` when there is one that cannot be read.
 */
export function signingKeys(folder: string): string {
  const path = join(folder, "jwt-keys");
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (reasonOf(error) !== "ENOENT") {
      throw new StartError(`The signing key ${path} cannot be read (${reasonOf(error)}).`);
    }
  }
  const kid = `local-${randomBytes(4).toString("hex")}`;
  const keys = `${kid}:${randomBytes(SIGNING_KEY_BYTES).toString("base64url")}`;
  writeWhole(path, `${keys}\n`);
  return keys;
}
