import fc from "fast-check";
import { describe, it } from "vitest";
import { decodeCursor, encodeCursor, pageOf } from "./cursor.ts";

describe("cursors", () => {
  it("give back their key, whatever text is in it", ({ expect }) => {
    const key = fc.tuple(fc.integer(), fc.maxSafeInteger(), fc.string({ unit: "grapheme", maxLength: 80 }));
    fc.assert(
      fc.property(key, (parts) => {
        const cursor = encodeCursor(parts);
        expect(cursor).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeCursor(cursor, [0, 0, ""])).toEqual({ ok: true, value: parts });
      }),
    );
  });

  it("are refused when they are of another list, or of nobody", ({ expect }) => {
    expect(decodeCursor(undefined, [""])).toEqual({ ok: true, value: null });
    const bad = [
      "",
      "x",
      "%%%",
      encodeCursor(["a", "b"]),
      encodeCursor([1]),
      encodeCursor([]),
      btoa('{"a":1}'),
      btoa("[1.5]"),
    ];
    for (const cursor of bad) {
      expect(decodeCursor(cursor, [""]).ok, cursor).toBe(false);
    }
    expect(decodeCursor(encodeCursor([1.5]), [0]).ok).toBe(false);
    expect(decodeCursor(encodeCursor([2 ** 60]), [0]).ok).toBe(false);
  });
});

describe("pages", () => {
  const cut = (rows: string[], limit: number) =>
    pageOf(
      rows,
      limit,
      (row) => [row],
      (row) => row.toUpperCase(),
    );

  it("have a next one only when a row is left", ({ expect }) => {
    expect(cut([], 2)).toEqual({ items: [], nextCursor: null });
    expect(cut(["a", "b"], 2)).toEqual({ items: ["A", "B"], nextCursor: null });
    expect(cut(["a", "b", "c"], 2)).toEqual({ items: ["A", "B"], nextCursor: encodeCursor(["b"]) });
  });
});
