import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, it } from "vitest";
import { findProgram, missingPrograms, needsOf } from "./programs.ts";

const folder = mkdtempSync(join(tmpdir(), "gochat-programs-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("what tests on real servers need", () => {
  it("names the Debian package of each program that is missing, and one line for all", ({ expect }) => {
    const needs = needsOf(false).map((need) => ({ ...need, found: () => need.package === "maven" }));
    expect(missingPrograms(needs)?.split("\n")).toEqual([
      "Java 17 or newer (java) is missing: on Debian, the package openjdk-17-jre-headless has it.",
      "MariaDB (mariadbd, mariadb-install-db) is missing: on Debian, the package mariadb-server has it.",
      "Redis (redis-server) is missing: on Debian, the package redis-server has it.",
      "  apt-get install --no-install-recommends openjdk-17-jre-headless mariadb-server redis-server",
    ]);
    expect(missingPrograms(needs.map((need) => ({ ...need, found: () => true })))).toBeUndefined();
  });

  it("needs no Maven once Kafka has been fetched", ({ expect }) => {
    expect(
      needsOf(true)
        .find((need) => need.package === "maven")
        ?.found(),
    ).toBe(true);
  });

  it("finds programs that may be run, and only those", ({ expect }) => {
    const program = join(folder, "gochat-some-server");
    writeFileSync(program, "");
    expect(findProgram("gochat-some-server", `/nowhere::${folder}`)).toBeUndefined();
    chmodSync(program, 0o755);
    expect(findProgram("gochat-some-server", `/nowhere::${folder}`)).toBe(program);
  });
});
