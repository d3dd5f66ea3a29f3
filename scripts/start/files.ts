import { renameSync, writeFileSync } from "node:fs";

/** Writes a file that only this user can read. Readers see the old content or the new one, never half of it. */
export function writeWhole(path: string, text: string): void {
  const draft = `${path}.${process.pid}.tmp`;
  writeFileSync(draft, text, { mode: 0o600 });
  renameSync(draft, path);
}
