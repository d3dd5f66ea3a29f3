/** Which methods a path knows: tells "no such path" from "not with this method". */

type Route = { readonly method: string; readonly path: string };

/**
 * Methods of the routes whose pattern fits the path, sorted; empty for an unknown path. A GET route answers HEAD as well.
 * @param routes as Hono lists them; middleware has the method ALL and does not count
 */
export function allowedMethods(routes: readonly Route[], path: string): string[] {
  const segments = path.split("/");
  const fitting = routes.filter((route) => route.method !== "ALL" && fits(route.path, segments));
  // `/friends/requests` is a place of its own, although `/friends/:userId` fits it as well.
  const fewest = Math.min(...fitting.map((route) => parametersOf(route.path)));
  const methods = new Set(fitting.filter((route) => parametersOf(route.path) === fewest).map((route) => route.method));
  if (methods.has("GET")) {
    methods.add("HEAD");
  }
  return [...methods].toSorted();
}

function fits(pattern: string, segments: readonly string[]): boolean {
  const parts = pattern.split("/");
  return (
    parts.length === segments.length &&
    parts.every((part, i) => (part.startsWith(":") ? segments[i] !== "" : part === segments[i]))
  );
}

function parametersOf(pattern: string): number {
  return pattern.split("/").filter((part) => part.startsWith(":")).length;
}
