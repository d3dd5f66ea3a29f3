/** The content filter of this installation: obscenity's English dictionary, mended, and the list of the settings. */
import { DataSet, englishDataset, englishRecommendedTransformers, parseRawPattern, RegExpMatcher } from "obscenity";
import { compileFilter, NO_FILTER, readWordList, type ContentFilter } from "../domain/contentFilter.ts";
import { settingsOf } from "./settings.ts";

/**
 * Phrases of the dictionary that people use in earnest or as names: body, illness, birds, tools. The insults among them
 * come back below in a form that means nothing else.
 */
const NOT_OBSCENE = new Set(
  [
    ["anal", "anus", "bestiality", "boob", "dick", "dyke", "ejaculate", "hooker", "incest", "orgasm", "orgy", "penis"],
    ["prick", "rape", "scat", "semen", "sex", "spastic", "tit", "turd", "vagina"],
  ].flat(),
);

/** Patterns of the library: `|` is the edge of a word. */
const INSULTS = [
  "|dickhead",
  "suck my dick",
  "my dick|",
  "dick pic",
  "|dicks|",
  "your tits|",
  "nice tits|",
  "big tits|",
  "your boobs|",
  "|rape you",
];

/**
 * Innocent words that the dictionary's patterns hit, found by asking it about 65,000 common English words; then some
 * names and phrases. The library compares them with the text in lower case.
 */
const INNOCENT = [
  ["assort", "assonan", "traffick", "feckless", "cummerbund", "cumin", "cumming", "cockpit", "cockscomb", "cocksure"],
  ["cockspur", "cock-a-doodle", "cock a doodle", "cock robin", "pussycat", "pussy cat", "pussy willow", "octopussy"],
  ["pussyfoot", "retardant", "retarding", "retardation of", "shiitake", "mishit", "niggard", "pissoir", "pissarro"],
  ["cuckold", "rio negro", "negros island", "chink in", "chinks in", "fagot", "fagin", "fagus", "wankel", "asses the"],
  [
    "kick-ass",
    "bad-ass",
    "wild ass",
    "ass's milk",
    "twatt",
    "fuku",
    "shitamachi",
    "bastard sword",
    "bastardy",
    "porno for pyros",
  ],
].flat();

function englishMatcher(exceptions: readonly string[]): RegExpMatcher {
  const dictionary = new DataSet<{ originalWord: string }>()
    .addAll(englishDataset)
    .removePhrasesIf((phrase) => NOT_OBSCENE.has(phrase.metadata?.originalWord ?? ""))
    .addPhrase((phrase) => {
      const added = phrase.setMetadata({ originalWord: "insults" });
      INSULTS.forEach((pattern) => added.addPattern(parseRawPattern(pattern)));
      [...INNOCENT, ...exceptions].forEach((word) => added.addWhitelistedTerm(word.toLowerCase()));
      return added;
    });
  return new RegExpMatcher({ ...dictionary.build(), ...englishRecommendedTransformers });
}

/**
 * A filter as the settings describe it. @param words the list, as `readWordList` takes it
 */
export function makeContentFilter(words: string): ContentFilter {
  const list = readWordList(words);
  const english = englishMatcher(list.exceptions);
  return compileFilter(list, (text) => english.hasMatch(text) && english.getAllMatches(text).some(hasLetter(text)));
}

/** The dictionary reads digits as the letters that they resemble, but a number alone (455) is a number. */
function hasLetter(text: string): (match: { startIndex: number; endIndex: number }) => boolean {
  return ({ startIndex, endIndex }) => /\p{L}/u.test(text.slice(startIndex, endIndex + 1));
}

/** The environment is one object for the life of an isolate. */
const known = new WeakMap<object, ContentFilter>();

/** The filter of this environment, compiled at the first text that it is asked about; most objects never ask. */
export function contentFilterOf(env: object): ContentFilter {
  const { contentFilter, contentWords } = settingsOf(env);
  if (!contentFilter) {
    return NO_FILTER;
  }
  return {
    rejects: (text) => {
      let filter = known.get(env);
      if (filter === undefined) {
        filter = makeContentFilter(contentWords);
        known.set(env, filter);
      }
      return filter.rejects(text);
    },
  };
}
