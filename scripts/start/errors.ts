/** An expected reason not to start. The message is one sentence that says what to do; it is printed without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** The system's name of an error (`EACCES`, `ECONNREFUSED`, …), be it that of its cause, or its message where there is none. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  if ("code" in error && typeof error.code === "string") {
    return error.code;
  }
  // `fetch` says no more than that it failed.
  return error.cause instanceof Error ? reasonOf(error.cause) : error.message;
}
