import fc from "fast-check";
import { describe, it } from "vitest";
import { WordAutomaton } from "./wordAutomaton.ts";

function wordsIn(words: readonly string[], text: string): string[] {
  return new WordAutomaton(words).find(text).map(({ word, from, to }) => `${words[word]}@${from}-${to}`);
}

describe("the automaton of words", () => {
  it("finds words that overlap, contain each other, and share ends", ({ expect }) => {
    expect(wordsIn(["he", "she", "his", "hers"], "ushers").toSorted()).toEqual(["he@2-4", "hers@2-6", "she@1-4"]);
    expect(wordsIn(["a", "aa"], "aaa")).toHaveLength(5);
    expect(wordsIn(["草莓", "草"], "吃草莓").toSorted()).toEqual(["草@1-2", "草莓@1-3"]);
  });

  it("finds nothing in an empty text, and no empty word", ({ expect }) => {
    expect(wordsIn(["x"], "")).toEqual([]);
    expect(wordsIn([""], "abc")).toEqual([]);
    expect(wordsIn([], "abc")).toEqual([]);
  });

  it("finds what a search for each word finds", ({ expect }) => {
    const letters = fc.string({ unit: fc.constantFrom("a", "b", "草", "😀"), maxLength: 30 });
    const word = fc.string({ unit: fc.constantFrom("a", "b", "草", "😀"), minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(fc.uniqueArray(word, { maxLength: 8 }), letters, (words, text) => {
        const plain = words.flatMap((one) => {
          const places = [];
          for (let at = text.indexOf(one); at >= 0; at = text.indexOf(one, at + 1)) {
            places.push(`${one}@${at}-${at + one.length}`);
          }
          return places;
        });
        expect(wordsIn(words, text).toSorted()).toEqual(plain.toSorted());
      }),
    );
  });
});
