/** Repositories that know which of their methods were asked for: a contract that leaves one out proves nothing about it. */
import type { Repo } from "../../../src/repo/types.ts";

export interface WatchedRepo {
  readonly repo: Repo;
  /** As `users.create`; those that nobody has asked for. */
  untouched(): string[];
}

export function watched(repo: Repo): WatchedRepo {
  const touched = new Set<string>();
  const wrap = <T extends object>(part: T, path: string): T =>
    new Proxy(part, {
      get(target, key, receiver) {
        const value: unknown = Reflect.get(target, key, receiver);
        const name = `${path}${String(key)}`;
        if (typeof value === "object" && value !== null) {
          return wrap(value, `${name}.`);
        }
        touched.add(name);
        return value;
      },
    });
  return { repo: wrap(repo, ""), untouched: () => methodsOf(repo, "").filter((name) => !touched.has(name)) };
}

function methodsOf(part: object, path: string): string[] {
  return Object.entries(part).flatMap(([key, value]: [string, unknown]) =>
    typeof value === "object" && value !== null ? methodsOf(value, `${path}${key}.`) : [`${path}${key}`],
  );
}
