import { describe, it } from "vitest";
import { type Column, fieldOf, insertIdText, rowOf, vitessType } from "./results.ts";

const TEXT = 45;
const BINARY = 63;

function column(columnType: number, more: Partial<Column> = {}): Column {
  const names = { name: "c", table: "t", orgTable: "t", orgName: "c", schema: "db" };
  return { ...names, columnType, columnLength: 10, characterSet: TEXT, decimals: 0, flags: 0, ...more };
}

describe("columns", () => {
  it.for([
    [column(1), "INT8"],
    [column(8, { flags: 32 }), "UINT64"],
    [column(3, { flags: 32 + 1 }), "UINT32"],
    [column(246), "DECIMAL"],
    [column(12), "DATETIME"],
    [column(245), "JSON"],
    [column(252, { extendedFormat: "json" }), "JSON"],
    [column(252), "TEXT"],
    [column(252, { characterSet: BINARY }), "BLOB"],
    [column(253), "VARCHAR"],
    [column(253, { characterSet: BINARY }), "VARBINARY"],
    [column(254), "CHAR"],
    [column(254, { characterSet: BINARY }), "BINARY"],
    [column(254, { flags: 256 }), "ENUM"],
    [column(254, { flags: 2048 }), "SET"],
    [column(6), "NULL_TYPE"],
  ] as const)("%j is %s", ([given, type], { expect }) => {
    expect(vitessType(given)).toBe(type);
    expect(fieldOf(given)).toMatchObject({ name: "c", type, database: "db", charset: given.characterSet });
  });
});

describe("rows", () => {
  it("are lengths in bytes and the values in one piece", ({ expect }) => {
    expect(rowOf([Buffer.from("é"), null, Buffer.from(""), Buffer.from("xyz")])).toEqual({
      lengths: ["2", "-1", "0", "3"],
      values: Buffer.from("éxyz").toString("base64"),
    });
    expect(rowOf([])).toEqual({ lengths: [], values: "" });
  });

  it("keep ids beyond what a signed number holds", ({ expect }) => {
    expect(insertIdText(7)).toBe("7");
    expect(insertIdText("-6")).toBe("18446744073709551610");
    expect(insertIdText("9223372036854775807")).toBe("9223372036854775807");
  });
});
