/** How routes of this app are described: the parts that every `createRoute` here has in common. */
import type * as z from "zod";
import { ERROR_NAMES, httpStatusOf, type ErrorName, type ErrorStatus } from "../protocol/errors.ts";
import { ErrorBody } from "../protocol/things.ts";

const JSON_TYPE = "application/json";

type ErrorContent = { "application/json": { schema: typeof ErrorBody } };

/** For the types, every error may be answered anywhere; the document names those that a route really has. */
export type Refusals = { [Status in ErrorStatus]: { description: string; content: ErrorContent } };

/** Whatever route is called, these may be the answer. */
const EVERYWHERE: readonly ErrorName[] = ["INVALID_INPUT", "INTERNAL", "UNAVAILABLE", "RATE_LIMITED"];

/** The error answers of a route, one for each status, with the names of the errors behind it. */
export function refusals(...names: readonly ErrorName[]): Refusals {
  const possible = new Set<ErrorName>([...EVERYWHERE, ...names]);
  const described = ERROR_NAMES.filter((name) => possible.has(name));
  const byStatus = Map.groupBy(described, httpStatusOf);
  const entries = [...byStatus].map(([status, group]) => [
    status,
    { description: group.join(", "), content: { [JSON_TYPE]: { schema: ErrorBody } } },
  ]);
  // The type promises all statuses, so that `fail` may be returned by every handler; see Refusals.
  return Object.fromEntries(entries) as Refusals;
}

/** A JSON answer. */
export function answer<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { [JSON_TYPE]: { schema } } } as {
    description: string;
    content: { "application/json": { schema: Schema } };
  };
}

/** A JSON body that must be there. */
export function body<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { [JSON_TYPE]: { schema } } } as {
    required: true;
    content: { "application/json": { schema: Schema } };
  };
}

/** A JSON body that may be left out; `{}` then. */
export function optionalBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: false, content: { [JSON_TYPE]: { schema } } } as {
    required: false;
    content: { "application/json": { schema: Schema } };
  };
}
