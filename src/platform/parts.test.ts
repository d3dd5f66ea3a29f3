import { describe, it } from "vitest";
import { partsOf } from "./parts.ts";

const cut = (sizes: number[], records: number, bytes: number) => partsOf(sizes, (size) => size, { records, bytes });

describe("records cut into requests", () => {
  it("keeps the order and both limits", ({ expect }) => {
    expect(cut([1, 2, 3, 4, 5], 2, 100)).toEqual([[1, 2], [3, 4], [5]]);
    expect(cut([4, 4, 4, 4], 10, 8)).toEqual([
      [4, 4],
      [4, 4],
    ]);
  });

  it("leaves what is larger than a request alone in one, and makes none of nothing", ({ expect }) => {
    expect(cut([1, 99, 1], 10, 10)).toEqual([[1], [99], [1]]);
    expect(cut([], 10, 10)).toEqual([]);
  });
});
