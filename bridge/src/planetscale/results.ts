/**
 * Rows and columns as PlanetScale sends them: a row is the lengths of its values, as decimal strings in bytes with
 * "-1" for NULL, and the values behind one another in base64. The types are those of Vitess.
 */

/** What mysql2 tells of a column, as far as the dialect needs it. */
export interface Column {
  readonly name: string;
  readonly table: string;
  readonly orgTable: string;
  readonly orgName: string;
  readonly schema: string;
  readonly columnType: number;
  readonly columnLength: number;
  readonly characterSet: number;
  readonly decimals: number;
  readonly flags: number;
  /** MariaDB's own word for what a column of text holds: "json". */
  readonly extendedFormat?: string;
}

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly table: string;
  readonly orgTable: string;
  readonly database: string;
  readonly orgName: string;
  readonly columnLength: number;
  readonly charset: number;
  readonly decimals: number;
  readonly flags: number;
}

export interface Row {
  readonly lengths: string[];
  /** Base64. */
  readonly values: string;
}

// Numbers of MySQL's wire: flags of a column, the charset "binary", and types.
const UNSIGNED = 32;
const ENUM = 256;
const SET = 2048;
const BINARY = 63;
const STRING = 254;
const FIRST_BLOB = 249;
const LAST_BLOB = 252;
const INTEGERS: Readonly<Record<number, string>> = { 1: "INT8", 2: "INT16", 3: "INT32", 8: "INT64", 9: "INT24" };
const OTHERS: Readonly<Record<number, string>> = {
  0: "DECIMAL",
  4: "FLOAT32",
  5: "FLOAT64",
  6: "NULL_TYPE",
  7: "TIMESTAMP",
  10: "DATE",
  11: "TIME",
  12: "DATETIME",
  13: "YEAR",
  16: "BIT",
  245: "JSON",
  246: "DECIMAL",
  247: "ENUM",
  248: "SET",
  255: "GEOMETRY",
};

/** The name that Vitess has for the column's type. */
export function vitessType(column: Column): string {
  const { columnType, flags } = column;
  const integer = INTEGERS[columnType];
  if (integer !== undefined) {
    return (flags & UNSIGNED ? "U" : "") + integer;
  }
  const other = OTHERS[columnType];
  if (other !== undefined) {
    return other;
  }
  // MariaDB's JSON is a TEXT on the wire.
  if (column.extendedFormat === "json") {
    return "JSON";
  }
  if (flags & ENUM) {
    return "ENUM";
  }
  if (flags & SET) {
    return "SET";
  }
  const isBinary = column.characterSet === BINARY;
  if (columnType >= FIRST_BLOB && columnType <= LAST_BLOB) {
    return isBinary ? "BLOB" : "TEXT";
  }
  if (columnType === STRING) {
    return isBinary ? "BINARY" : "CHAR";
  }
  return isBinary ? "VARBINARY" : "VARCHAR";
}

export function fieldOf(column: Column): Field {
  return {
    name: column.name,
    type: vitessType(column),
    table: column.table,
    orgTable: column.orgTable,
    database: column.schema,
    orgName: column.orgName,
    columnLength: column.columnLength,
    charset: column.characterSet,
    decimals: column.decimals,
    flags: column.flags,
  };
}

export function rowOf(values: readonly (Buffer | null)[]): Row {
  return {
    lengths: values.map((value) => (value === null ? "-1" : String(value.length))),
    values: Buffer.concat(values.filter((value) => value !== null)).toString("base64"),
  };
}

/** mysql2 reads the id as a signed number; a column that is unsigned goes twice as far. */
export function insertIdText(id: number | string): string {
  return BigInt.asUintN(64, BigInt(id)).toString();
}
