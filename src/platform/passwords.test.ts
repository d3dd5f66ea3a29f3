import { describe, it } from "vitest";
import { hashPassword, needsRehash, verifyPassword } from "./passwords.ts";

/** Made with N=2^13, r=8, p=1 for "old password": weaker parameters than today's. */
const WEAKER = "$scrypt$ln=13,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA$";

/** A hash is meant to be slow (130 ms on a good core), and a loaded machine makes it slower. */
const PATIENCE_MS = 30_000;

describe("passwords", { timeout: PATIENCE_MS }, () => {
  it("accepts the password it hashed and no other", async ({ expect }) => {
    const stored = await hashPassword("correct horse");
    expect(stored).toMatch(/^\$scrypt\$ln=14,r=8,p=5\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await verifyPassword("correct horse", stored)).toBe(true);
    expect(await verifyPassword("correct hors", stored)).toBe(false);
    expect(await verifyPassword("", stored)).toBe(false);
    expect(needsRehash(stored)).toBe(false);
  });

  it("salts: the same password twice gives two hashes", async ({ expect }) => {
    expect(await hashPassword("twice")).not.toBe(await hashPassword("twice"));
  });

  it("takes composed and decomposed letters for the same", async ({ expect }) => {
    const stored = await hashPassword("caf\u00e9 \ufb01ve");
    expect(await verifyPassword("cafe\u0301 five", stored)).toBe(true);
  });

  it("verifies with the stored parameters and asks for a rehash", async ({ expect }) => {
    const { scryptSync } = await import("node:crypto");
    const key = scryptSync("old password", Buffer.alloc(16), 32, { N: 2 ** 13, r: 8, p: 1 });
    const stored = WEAKER + key.toString("base64").replaceAll("=", "");
    expect(await verifyPassword("old password", stored)).toBe(true);
    expect(await verifyPassword("new password", stored)).toBe(false);
    expect(needsRehash(stored)).toBe(true);
  });

  it("answers false for nobody and for what is no hash", async ({ expect }) => {
    expect(await verifyPassword("anything", null)).toBe(false);
    for (const stored of ["", "plain", "$scrypt$ln=40,r=8,p=5$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAA"]) {
      expect(await verifyPassword("anything", stored), stored).toBe(false);
      expect(needsRehash(stored), stored).toBe(true);
    }
  });

  it("spends as long on nobody as on a wrong password", async ({ expect }) => {
    const stored = await hashPassword("timing");
    const timed = async (of: string | null): Promise<number> => {
      const start = performance.now();
      await verifyPassword("wrong", of);
      return performance.now() - start;
    };
    const known: number[] = [];
    const unknown: number[] = [];
    for (let round = 0; round < 3; round++) {
      known.push(await timed(stored));
      unknown.push(await timed(null));
    }
    // The fastest of three each: noise only ever adds time. A factor of three is far below "skipped the hash" (100 times).
    const ratio = Math.min(...unknown) / Math.min(...known);
    expect(ratio).toBeGreaterThan(1 / 3);
    expect(ratio).toBeLessThan(3);
  });
});
