/** Names that everybody sees must pass the content filter, as messages of the world room do. */
import type { FieldFault } from "../protocol/errors.ts";
import { err, ok, type Result } from "../protocol/errors.ts";
import type { Services } from "./services.ts";

/**
 * Are these names fit to be shown to everybody?
 * @param names by the path of the field that brought them; what is not given is not looked at
 * @returns CONTENT_REJECTED with the fields that were refused
 */
export function acceptNames(
  services: Pick<Services, "content">,
  names: Readonly<Record<string, string | null | undefined>>,
): Result<void> {
  const fields = Object.entries(names).flatMap(([path, name]): FieldFault[] =>
    typeof name === "string" && services.content.rejects(name) ? [{ path, message: "not accepted as a name" }] : [],
  );
  return fields.length === 0 ? ok(undefined) : err({ name: "CONTENT_REJECTED", fields });
}
