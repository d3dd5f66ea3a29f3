/**
 * What may not be said in the world room and in names: a list of words in any language, found by an automaton in the
 * normalised text, and a second opinion for English, which is a port since it is a library with a dictionary of its own.
 */
import type { Content } from "../protocol/things.ts";
import { WORLD, type ConversationType } from "./records.ts";
import { WordAutomaton } from "./wordAutomaton.ts";

/** Says whether a text must not be shown to everybody. Cheap enough for each message of a room: some 0.1 ms for 200 bytes. */
export type ContentFilter = { rejects(text: string): boolean };

/** Lets everything pass: for private conversations, and where nobody has set a filter. */
export const NO_FILTER: ContentFilter = { rejects: () => false };

/** Entries of a list as written: words, separated by commas or line ends; `!word` is an exception. */
export type WordList = { words: string[]; exceptions: string[] };

/** Reads a list; empty entries do not count. */
export function readWordList(text: string): WordList {
  const entries = text.split(/[,，\n\r]+/u).flatMap((entry) => entry.trim() || []);
  return {
    words: entries.filter((entry) => !entry.startsWith("!")),
    exceptions: entries.flatMap((entry) => (entry.startsWith("!") ? entry.slice(1).trim() || [] : [])),
  };
}

/** Not visible, or changes only how a neighbour looks: zero-width characters, direction marks, variation selectors. */
const INVISIBLE = /[\p{Default_Ignorable_Code_Point}\p{Cf}]+/gu;
/** Accents put over letters and ideographs. Other scripts write vowels with these marks, so they keep them. */
const DECORATION = /(?<=[\p{Script=Han}a-z])\p{Mn}+/gu;
const SPACES = /[\s\p{Cc}]+/gu;
/** What people put between the characters of a forbidden word. Ends of sentences are not among them: they end words as well. */
const BETWEEN_HAN = /(?<=\p{Script=Han})[\s*_\-.·•~|/\\+=^#@&'"`]+(?=\p{Script=Han})/gu;

/** One form for all ways of writing the same: full-width, upper case, with invisible characters, with gaps between ideographs. */
export function normalised(text: string): string {
  return text
    .normalize("NFKC")
    .toLowerCase()
    .replace(INVISIBLE, "")
    .replace(DECORATION, "")
    .replace(SPACES, " ")
    .replace(BETWEEN_HAN, "");
}

/** At least three letters that stand alone, one after the other: "f u c k", "f.u.c.k". */
const SPELLED_OUT = /(?<![\p{L}\p{N}])(?:[a-z0-9][\s.*_-]+){2,}[a-z0-9](?![\p{L}\p{N}])/gu;

/** Scripts that put spaces between words, so that a word of the list has to stand alone in them. */
const SPACED_LETTER = /[\p{Script=Latin}\p{Script=Cyrillic}\p{Script=Greek}\p{N}]/u;

function isSpaced(character: string | undefined): boolean {
  return character !== undefined && SPACED_LETTER.test(character);
}

/** `*` at an end of an entry: the word may go on there. */
const OPEN = "*";

type Entry = { text: string; openStart: boolean; openEnd: boolean; exception: boolean };

function entryOf(raw: string, exception: boolean): Entry {
  const openStart = exception || raw.startsWith(OPEN);
  const openEnd = exception || raw.endsWith(OPEN);
  return { text: normalised(raw.replaceAll(OPEN, "")).trim(), openStart, openEnd, exception };
}

/** Does the entry end here as a word of its own, where its script has such? */
function standsAlone(entry: Entry, text: string, from: number, to: number): boolean {
  const cutStart = !entry.openStart && isSpaced(entry.text[0]) && isSpaced(text[from - 1]);
  const cutEnd = !entry.openEnd && isSpaced(entry.text.at(-1)) && isSpaced(text[to]);
  return !cutStart && !cutEnd;
}

/**
 * Makes a filter; for once an isolate.
 * @param list words of any language. A word in letters must stand alone (a `*` at an end lifts that), one in ideographs
 * counts anywhere; where it overlaps an exception (`!草莓` for 草) it does not count
 * @param english says whether a normalised text has an English obscenity
 */
export function compileFilter(list: WordList, english: (text: string) => boolean): ContentFilter {
  const entries = [
    ...list.words.map((word) => entryOf(word, false)),
    ...list.exceptions.map((word) => entryOf(word, true)),
  ];
  const automaton = new WordAutomaton(entries.map((entry) => entry.text));

  const listed = (text: string): boolean => {
    const found = automaton.find(text);
    const excused = found.filter(({ word }) => entries[word]?.exception === true);
    return found.some(({ word, from, to }) => {
      const entry = entries[word];
      return (
        entry !== undefined &&
        !entry.exception &&
        standsAlone(entry, text, from, to) &&
        !excused.some((other) => other.from < to && from < other.to)
      );
    });
  };

  return {
    rejects: (text) => {
      const plain = normalised(text);
      if (listed(plain) || english(plain)) {
        return true;
      }
      const joined = plain.replace(SPELLED_OUT, (letters) => letters.replaceAll(/[^a-z0-9]/g, ""));
      return joined !== plain && (listed(joined) || english(joined));
    },
  };
}

/** The parts of a content that people read: the text itself, or a file's name. */
function textOf(content: Content): string {
  return typeof content === "string" ? content : (content.name ?? "");
}

/** Must this content be refused here? Only the world room is filtered; what private conversations say is theirs. */
export function contentRefused(filter: ContentFilter, type: ConversationType, content: Content): boolean {
  return type === WORLD && filter.rejects(textOf(content));
}
