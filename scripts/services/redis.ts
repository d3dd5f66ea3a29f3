/** Redis without anything on disk: a restart empties it, which is what tests of a lost cache want. */
import { programPath } from "./programs.ts";
import type { Recipe } from "./service.ts";

/** Tests that want an empty one take the next; an empty database costs nothing. */
const DATABASES = 1_000;

export const redis: Recipe = {
  name: "Redis",
  ready: /Ready to accept connections/,

  command: (folder, port) => ({
    file: programPath("redis-server"),
    args: [
      ["--port", String(port)],
      ["--bind", "127.0.0.1"],
      ["--dir", folder],
      ["--save", ""],
      ["--appendonly", "no"],
      ["--databases", String(DATABASES)],
      ["--maxmemory", "256mb"],
      ["--maxmemory-policy", "noeviction"],
    ].flat(),
  }),
};
