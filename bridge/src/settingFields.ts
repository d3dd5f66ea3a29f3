/** Kinds of settings. An empty variable is how a shell says "not set", so it means the preset. */
import * as z from "zod";

const whole = z.string().optional();

/** Any text, trimmed. */
export function text(preset: string) {
  return whole.transform((given) => given?.trim() || preset);
}

/** A whole number within limits. */
export function integer(name: string, { min, max, preset }: { min: number; max: number; preset: number }) {
  return whole.transform((given, context) => {
    const number = (given ?? "") === "" ? preset : Number(given);
    if (!Number.isInteger(number) || number < min || number > max) {
      context.addIssue({ code: "custom", message: `${name} must be a whole number between ${min} and ${max}.` });
    }
    return number;
  });
}

/** Entries between commas; spaces around them do not count. A list of nothing but commas is a mistake: it would mean "everybody". */
export function list(name: string) {
  return whole.transform((given, context) => {
    const entries = (given ?? "")
      .split(",")
      .map((entry) => entry.trim())
      .filter((entry) => entry !== "");
    if (entries.length === 0 && given?.includes(",") === true) {
      context.addIssue({ code: "custom", message: `${name} must have something between its commas.` });
    }
    return entries;
  });
}

/** `on` or `off` (the preset). */
export function flag(name: string) {
  return whole.transform((given, context) => {
    const word = given?.trim() || "off";
    if (word !== "on" && word !== "off") {
      context.addIssue({ code: "custom", message: `${name} must be on or off.` });
    }
    return word === "on";
  });
}

/** One of a few words. */
export function choice<const Word extends string>(name: string, words: readonly Word[], preset: Word) {
  return whole.transform((given, context) => {
    const found = words.find((word) => word === (given?.trim() || preset));
    if (found === undefined) {
      context.addIssue({ code: "custom", message: `${name} must be one of ${words.join(", ")}.` });
    }
    return found ?? preset;
  });
}

/** An address with one of these schemes, or "" when it is not set. The address may hold a password: it is not told. */
export function optionalUrl(name: string, schemes: readonly string[]) {
  return whole.transform((given, context) => {
    const address = given?.trim() ?? "";
    if (address !== "" && !schemes.includes(URL.parse(address)?.protocol ?? "")) {
      const kinds = schemes.map((scheme) => `${scheme}//`).join(" or ");
      context.addIssue({ code: "custom", message: `${name} must be an address that begins with ${kinds}.` });
    }
    return address;
  });
}
