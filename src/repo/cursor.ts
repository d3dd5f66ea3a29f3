/** Keyset cursors: opaque to clients, the last row's sort key inside. */
import { err, ok, type Result } from "../protocol/errors.ts";

export type CursorKey = readonly (string | number)[];

/** No key of ours comes near; a longer text is not worth decoding. */
const MAX_CURSOR_CHARS = 1024;

/** The cursor that stands behind a row with this sort key. */
export function encodeCursor(key: CursorKey): string {
  const bytes = new TextEncoder().encode(JSON.stringify(key));
  return btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");
}

/**
 * Reads a cursor whose parts have the types of `shape`; INVALID_INPUT for anything else. `null` without a cursor.
 * @param shape one example value of each part: its type is what counts
 */
export function decodeCursor<T extends CursorKey>(cursor: string | undefined, shape: T): Result<T | null> {
  if (cursor === undefined) {
    return ok(null);
  }
  const key = cursor.length > MAX_CURSOR_CHARS ? undefined : parse(cursor);
  return fits(key, shape)
    ? ok(key)
    : err({ name: "INVALID_INPUT", fields: [{ path: "cursor", message: "is not a cursor of this list" }] });
}

function parse(cursor: string): unknown {
  try {
    const binary = atob(cursor.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (char) => char.charCodeAt(0));
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    // Not base64, not UTF-8 or not JSON: all the same to the one who made it up.
    return undefined;
  }
}

function fits<T extends CursorKey>(key: unknown, shape: T): key is T {
  return (
    Array.isArray(key) &&
    key.length === shape.length &&
    shape.every((example, i) => {
      const part: unknown = key[i];
      return typeof part === typeof example && (typeof part !== "number" || Number.isSafeInteger(part));
    })
  );
}

/**
 * Cuts the one row too many that a query asked for to know whether a next page exists.
 * @param rows at most `limit + 1`
 */
export function pageOf<Row, Item>(
  rows: readonly Row[],
  limit: number,
  keyOf: (row: Row) => CursorKey,
  itemOf: (row: Row) => Item,
): { items: Item[]; nextCursor: string | null } {
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const nextCursor = rows.length > limit && last !== undefined ? encodeCursor(keyOf(last)) : null;
  return { items: shown.map(itemOf), nextCursor };
}
