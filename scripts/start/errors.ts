/** An expected reason not to start. The message is one sentence that says what to do; it is printed without a stack. */
export class StartError extends Error {
  override readonly name = "StartError";
}

/** The system's name of an error (`EACCES`, `ENOTDIR`, …), or its message where it has none. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) {
    return "code" in error && typeof error.code === "string" ? error.code : error.message;
  }
  return String(error);
}
