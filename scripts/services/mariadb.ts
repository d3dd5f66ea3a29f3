/** MariaDB: what Debian has of the MySQL kind. What the two differ in is in docs/operations.md. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { programPath } from "./programs.ts";
import type { Recipe } from "./service.ts";

/** A socket's path must be shorter than 108 bytes (unix(7)). */
const SOCKET_BYTES = 100;

export const mariadb: Recipe = {
  name: "MariaDB",
  // Not the first such line of an init file's own run: that one names no port.
  ready: /ready for connections\.[\s\S]*port: [1-9]/,

  prepare(folder) {
    const data = join(folder, "data");
    if (existsSync(join(data, "mysql"))) {
      return Promise.resolve();
    }
    const { status, stdout, stderr } = spawnSync(
      programPath("mariadb-install-db"),
      [
        "--no-defaults",
        `--datadir=${data}`,
        `--user=${userInfo().username}`,
        "--skip-test-db",
        "--auth-root-authentication-method=normal",
        "--innodb-log-file-size=8M",
      ],
      { encoding: "utf8" },
    );
    if (status !== 0) {
      return Promise.reject(new Error(`MariaDB's folder could not be made:\n${stdout}${stderr}`));
    }
    writeFileSync(join(folder, "init.sql"), INIT_SQL);
    return Promise.resolve();
  },

  command(folder, port) {
    const inFolder = join(folder, "sock");
    const socket = inFolder.length > SOCKET_BYTES ? join(tmpdir(), `gochat-${port}.sock`) : inFolder;
    const args = [
      "--no-defaults",
      `--user=${userInfo().username}`, // Needed for root.
      `--datadir=${join(folder, "data")}`,
      `--socket=${socket}`,
      `--init-file=${join(folder, "init.sql")}`,
      "--bind-address=127.0.0.1",
      `--port=${port}`,
      "--innodb-buffer-pool-size=128M",
      "--innodb-log-file-size=64M",
      // Each commit reaches the kernel: a kill -9 loses nothing, only a power cut would.
      "--innodb-flush-log-at-trx-commit=2",
      "--skip-name-resolve",
      "--skip-log-bin",
      "--performance-schema=OFF",
      "--max-connections=500",
      // As production has it.
      "--character-set-server=utf8mb4",
      "--collation-server=utf8mb4_bin",
      "--default-time-zone=+00:00",
      "--sql-mode=STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION",
    ];
    return { file: programPath("mariadbd"), args };
  },
};

/** User, password and database of the tests are all called so; tests make and drop databases of their own. */
export const MARIADB_NAME = "gochat";

const INIT_SQL = `create database if not exists ${MARIADB_NAME};
create user if not exists ${MARIADB_NAME}@'127.0.0.1' identified by '${MARIADB_NAME}';
grant all on *.* to ${MARIADB_NAME}@'127.0.0.1';
`;
