/** docs/errors.md: the table of errors for people who write clients. */
import { ERROR_NAMES, ERRORS } from "../../src/protocol/errors.ts";

const INTRODUCTION = `# Errors

REST answers \`{"error": {code, name, message, requestId, retry, retryAfterMs?, fields?}}\`; on a socket the same object is
\`error\` in the frames \`error\` and \`message-error\`. \`requestId\` stands in the log line of the failure. Programs look at \`code\`
or \`name\`; \`message\` is for people and may change.

| \`retry\` | what a client does |
| --- | --- |
| \`never\` | nothing: the request is wrong, or not allowed |
| \`same\` | sends it again unchanged; that is safe |
| \`later\` | the same after \`retryAfterMs\` (on REST also the header \`Retry-After\`, in seconds) |

\`fields\` (with \`INVALID_INPUT\` and \`CONFLICT\`) says which parts of the request are meant: \`[{path, message}]\`. A socket that is closed for
one of these reasons gets the close code; the reason text begins with the name. Rows without an HTTP status only close sockets.

| code | name | HTTP | close | retry | meaning |
| --- | --- | --- | --- | --- | --- |`;

/** The page. @param command that makes it, for the first line */
export function errorsPage(command: string): string {
  const rows = ERROR_NAMES.map((name) => {
    const { code, http, close, retry, message } = ERRORS[name];
    return `| ${code} | \`${name}\` | ${http ?? "–"} | ${close} | \`${retry}\` | ${message} |`;
  });
  return `<!-- Made by: ${command} -->\n${INTRODUCTION}\n${rows.join("\n")}\n`;
}
