/** The page of `/docs`, rendered from the OpenAPI document. */
import { html, raw } from "hono/html";
import type { OpenApiDocument } from "./openapi.ts";

const METHODS = ["get", "post", "put", "patch", "delete"] as const;

const STYLE = `
  :root { color-scheme: light dark; --line: #8884; --soft: #8881; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
  h2 { margin-top: 2.5rem; text-transform: capitalize; }
  details { border: 1px solid var(--line); border-radius: .4rem; margin: .4rem 0; padding: 0 .8rem; }
  summary { cursor: pointer; padding: .5rem 0; overflow-wrap: anywhere; }
  code, pre { font: .85rem/1.45 ui-monospace, monospace; }
  pre { background: var(--soft); padding: .6rem; border-radius: .4rem; overflow-x: auto; }
  summary b { display: inline-block; min-width: 4.2rem; text-transform: uppercase; font-size: .8rem; }
  table { border-collapse: collapse; width: 100%; }
  td, th { border-top: 1px solid var(--line); padding: .3rem .5rem; text-align: left; vertical-align: top; }
`;

type Json = Record<string, unknown>;

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly operation: Json;
}

/** The whole document as HTML. Everything from the document is escaped by the template. */
export function docsPage(document: OpenApiDocument) {
  const operations = operationsOf(document);
  const tags = document.tags ?? [];
  const schemas = Object.entries(asObject(asObject(document.components)["schemas"]));
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${document.info.title}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <h1>${document.info.title} ${document.info.version}</h1>
        <p>${document.info.description ?? ""} The same for programs: <a href="/openapi.json">/openapi.json</a>.</p>
        ${tags.map(
          (tag) =>
            html`<h2>${tag.name}</h2>
              <p>${tag.description ?? ""}</p>
              ${operations.filter((one) => asList(one.operation["tags"]).includes(tag.name)).map(renderOperation)}`,
        )}
        <h2>Schemas</h2>
        ${schemas.map(
          ([name, schema]) =>
            html`<details id="schema-${name}">
              <summary><code>${name}</code> ${asText(asObject(schema)["description"])}</summary>
              ${renderSchema(schema)}
            </details>`,
        )}
      </body>
    </html>`;
}

function renderOperation({ method, path, operation }: Operation) {
  const parameters = asList(operation["parameters"]).map(asObject);
  const requestBody = asObject(asObject(operation["requestBody"])["content"]);
  const responses = Object.entries(asObject(operation["responses"])).map(([status, value]) => ({
    status,
    value: asObject(value),
  }));
  const open = operation["security"] === undefined ? "no token needed" : "";
  return html`<details>
    <summary><b>${method}</b> <code>${path}</code> ${asText(operation["summary"])} <small>${open}</small></summary>
    ${
      parameters.length === 0
        ? ""
        : html`<table>
            <tr>
              <th>Parameter</th>
              <th>In</th>
              <th>Schema</th>
            </tr>
            ${parameters.map(
              (one) =>
                html`<tr>
                  <td><code>${asText(one["name"])}${one["required"] === true ? " *" : ""}</code></td>
                  <td>${asText(one["in"])}</td>
                  <td><code>${JSON.stringify(one["schema"])}</code></td>
                </tr>`,
            )}
          </table>`
    }
    ${Object.entries(requestBody).map(
      ([type, content]) =>
        html`<p>Body, <code>${type}</code>:</p>
          ${renderSchema(asObject(content)["schema"])}`,
    )}
    <table>
      <tr>
        <th>Status</th>
        <th>Answer</th>
      </tr>
      ${responses.map(
        ({ status, value }) =>
          html`<tr>
            <td>${status}</td>
            <td>
              ${asText(value["description"])}
              ${
                Number(status) < 300
                  ? Object.values(asObject(value["content"])).map((content) =>
                      renderSchema(asObject(content)["schema"]),
                    )
                  : ""
              }
            </td>
          </tr>`,
      )}
    </table>
  </details>`;
}

/** A schema as JSON, or a link when it only names one of the components. */
function renderSchema(schema: unknown) {
  const ref = asText(asObject(schema)["$ref"]);
  const name = ref.split("/").at(-1) ?? "";
  return ref === ""
    ? html`<pre>${JSON.stringify(schema, null, 2)}</pre>`
    : html`<p>
        <a href="#schema-${name}"><code>${name}</code></a>
      </p>`;
}

function operationsOf(document: OpenApiDocument): Operation[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const operation = asObject(item)[method];
      return operation === undefined ? [] : [{ method, path, operation: asObject(operation) }];
    }),
  );
}

function asObject(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function asList(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}
