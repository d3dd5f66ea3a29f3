import { describe, it } from "vitest";
import { allowedMethods } from "./paths.ts";

const ROUTES = [
  { method: "ALL", path: "/api/*" },
  { method: "ALL", path: "/*" },
  { method: "GET", path: "/api/users/me" },
  { method: "PATCH", path: "/api/users/me" },
  { method: "GET", path: "/api/users/:id" },
  { method: "DELETE", path: "/api/users/:id" },
  { method: "DELETE", path: "/api/users/:id/x/:other" },
];

describe("methods of a path", () => {
  it.for([
    ["/api/users/me", ["GET", "HEAD", "PATCH"]],
    ["/api/users/someone", ["DELETE", "GET", "HEAD"]],
    ["/api/users/a/x/b", ["DELETE"]],
    ["/api/users/", []],
    ["/api/users", []],
    ["/api/users/a/x/", []],
    ["/api/users/a/y/b", []],
    ["/", []],
    ["", []],
  ] as const)("%s", ([path, methods], { expect }) => {
    expect(allowedMethods(ROUTES, path)).toEqual(methods);
  });
});
