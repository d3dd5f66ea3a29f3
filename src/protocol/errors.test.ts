import { describe, it } from "vitest";
import {
  CLOSE_REASON_BYTES,
  closeCodeOf,
  closeReasonOf,
  cutToBytes,
  DEFAULT_RETRY_AFTER_MS,
  ERROR_NAMES,
  errorFrame,
  ERRORS,
  httpStatusOf,
  invalidInput,
  toWireError,
  type ErrorName,
} from "./errors.ts";
import { ErrorBody } from "./things.ts";

/** Written down a second time on purpose: clients depend on it. Source: DESIGN section 4, WIRE "Things". */
const CONTRACT: Record<ErrorName, [code: number, http: number | null]> = {
  INVALID_INPUT: [1000, 400],
  USER_NOT_FOUND: [1001, 404],
  PERMISSION_DENIED: [1002, 403],
  DUPLICATE_MESSAGE: [1003, 409],
  CONVERSATION_NOT_FOUND: [1004, 404],
  GROUP_FULL: [1005, 409],
  UNAUTHENTICATED: [1006, 401],
  RATE_LIMITED: [1007, 429],
  CONTENT_REJECTED: [1008, 422],
  MESSAGE_NOT_FOUND: [1009, 404],
  CONFLICT: [1010, 409],
  PAYLOAD_TOO_LARGE: [1011, 413],
  UNAVAILABLE: [1012, 503],
  INTERNAL: [1013, 500],
  NOT_FOUND: [1014, 404],
  METHOD_NOT_ALLOWED: [1015, 405],
  UNSUPPORTED_MEDIA_TYPE: [1016, 415],
  BANNED: [1017, 403],
  SESSION_REPLACED: [1018, null],
  SLOW_CONSUMER: [1019, null],
  SHUTDOWN: [1020, null],
};

describe("the table of errors", () => {
  it("gives each code to one error", ({ expect }) => {
    expect(new Set(ERROR_NAMES.map((name) => ERRORS[name].code)).size).toBe(ERROR_NAMES.length);
    expect(ERROR_NAMES.toSorted()).toEqual(Object.keys(CONTRACT).toSorted());
  });

  it.for(ERROR_NAMES)("%s is as the contract has it", (name, { expect }) => {
    const row = ERRORS[name];
    expect([row.code, row.http]).toEqual(CONTRACT[name]);
    expect(closeCodeOf(name)).toBe(3000 + row.code);
    expect(closeCodeOf(name)).toBeGreaterThanOrEqual(4000);
    expect(closeCodeOf(name)).toBeLessThanOrEqual(4999);
    // Advice to repeat, and only that, stands beside what may pass by itself.
    const passing = row.http === null || row.http === 429 || row.http >= 500;
    expect(row.retry === "never" || passing).toBe(true);
    expect(httpStatusOf(name)).toBeGreaterThanOrEqual(400);
    expect(row.message).toMatch(/^[ -~]{10,100}$/);
  });

  it.for(ERROR_NAMES)("%s closes a socket with a reason that fits", (name, { expect }) => {
    const reason = closeReasonOf(name);
    expect(reason.startsWith(name)).toBe(true);
    expect(new TextEncoder().encode(reason).length).toBeLessThanOrEqual(CLOSE_REASON_BYTES);
  });

  it.for(ERROR_NAMES)("%s goes on the wire with a time when it says later, else without", (name, { expect }) => {
    const error = toWireError({ name, retryAfterMs: 1234.5, detail: "secret" }, "request-1");
    expect(ErrorBody.parse({ error })).toEqual({ error });
    expect(error.retryAfterMs).toBe(ERRORS[name].retry === "later" ? 1235 : undefined);
    expect(JSON.stringify(error)).not.toContain("secret");
    expect(toWireError({ name }, "r").retryAfterMs).toBe(
      ERRORS[name].retry === "later" ? DEFAULT_RETRY_AFTER_MS : undefined,
    );
  });
});

describe("errors on their way out", () => {
  it("never advise a repetition at once", ({ expect }) => {
    expect(toWireError({ name: "RATE_LIMITED", retryAfterMs: 0 }, "r").retryAfterMs).toBe(1);
    expect(toWireError({ name: "RATE_LIMITED", retryAfterMs: -5 }, "r").retryAfterMs).toBe(1);
  });

  it("name the frame that they answer", ({ expect }) => {
    const frame = errorFrame({ name: "NOT_FOUND" }, "request-1", "7");
    expect(frame).toMatchObject({ type: "error", data: { ref: "7", error: { code: 1014, requestId: "request-1" } } });
    expect("ref" in errorFrame({ name: "NOT_FOUND" }, "request-1").data).toBe(false);
  });

  it("say which fields are wrong, few of them and shortly", ({ expect }) => {
    const issues = Array.from({ length: 50 }, (_, n) => ({ path: ["heads", n, "x".repeat(1000)], message: "wrong" }));
    const fault = invalidInput(issues, ["data"]);
    expect(fault.name).toBe("INVALID_INPUT");
    expect(fault.fields).toHaveLength(10);
    expect(fault.fields?.[3]?.path).toMatch(/^data\.heads\.3\.x+$/);
    expect(fault.fields?.[3]?.path).toHaveLength(100);
    const lone = invalidInput([{ path: ["\ud800", Symbol("s")], message: "wrong" }]);
    expect(lone.fields?.[0]?.path.isWellFormed()).toBe(true);
  });

  it("are cut between characters", ({ expect }) => {
    expect(cutToBytes("abc", 3)).toBe("abc");
    expect(cutToBytes("aé", 2)).toBe("a");
    expect(cutToBytes("a€b", 4)).toBe("a€");
    expect(cutToBytes("a😀b", 4)).toBe("a");
    expect(cutToBytes("a😀b", 5)).toBe("a😀");
  });
});
