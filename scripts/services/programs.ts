/** The programs that tests on real servers need, and which package brings them. */
import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** What is needed, with the Debian package that has it. */
export interface Need {
  readonly what: string;
  readonly package: string;
  /** Is it here? */
  found(): boolean;
}

/** Kafka 4 runs on Java 17 and later. */
const JAVA_AT_LEAST = 17;

/** Servers are in folders that a user who is not root does not have on their path. */
const SERVER_FOLDERS = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/** The full path of a program; undefined when there is none of that name. */
export function findProgram(name: string, path: string = process.env["PATH"] ?? ""): string | undefined {
  return [...path.split(delimiter), ...SERVER_FOLDERS]
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

/** The full path of a program that `missingPrograms` has looked for. */
export function programPath(name: string): string {
  return findProgram(name) ?? name;
}

/** @param kafkaIsHere its jars have been fetched before, so Maven is not needed */
export function needsOf(kafkaIsHere: boolean): Need[] {
  return [
    {
      what: `Java ${JAVA_AT_LEAST} or newer (java)`,
      package: "openjdk-17-jre-headless",
      found: () => (javaVersion() ?? 0) >= JAVA_AT_LEAST,
    },
    { what: "Maven (mvn)", package: "maven", found: () => kafkaIsHere || findProgram("mvn") !== undefined },
    {
      what: "MariaDB (mariadbd, mariadb-install-db)",
      package: "mariadb-server",
      found: () => findProgram("mariadbd") !== undefined && findProgram("mariadb-install-db") !== undefined,
    },
    {
      what: "Redis (redis-server)",
      package: "redis-server",
      found: () => findProgram("redis-server") !== undefined,
    },
  ];
}

/** One sentence for each program that is missing and a line that installs them all; undefined when nothing is. */
export function missingPrograms(needs: readonly Need[]): string | undefined {
  const missing = needs.filter((need) => !need.found());
  if (missing.length === 0) {
    return undefined;
  }
  const packages = missing.map((need) => need.package);
  return [
    ...missing.map((need) => `${need.what} is missing: on Debian, the package ${need.package} has it.`),
    `  apt-get install --no-install-recommends ${packages.join(" ")}`,
  ].join("\n");
}

function javaVersion(): number | undefined {
  const { stderr } = spawnSync("java", ["-version"], { encoding: "utf8" });
  const version = /version "(\d+)/.exec(stderr ?? "")?.[1];
  return version === undefined ? undefined : Number(version);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
