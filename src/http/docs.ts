/** `/openapi.json`, and `/docs`: the same as one page of plain HTML, with no script and nothing from outside. */
import { Hono } from "hono";
import type { HttpEnv } from "./context.ts";
import { docsPage } from "./docsPage.ts";
import type { OpenApiDocument } from "./openapi.ts";

/** @param document makes the document of the app that these routes become part of */
export function docs(document: () => OpenApiDocument): Hono<HttpEnv> {
  const router = new Hono<HttpEnv>();
  router.get("/openapi.json", (c) => c.json(document()));
  router.get("/docs", (c) => {
    // The page needs its own style element and nothing else.
    c.header(
      "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    );
    return c.html(docsPage(document()));
  });
  return router;
}
