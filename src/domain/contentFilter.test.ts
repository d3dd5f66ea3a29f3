import { describe, it } from "vitest";
import { compileFilter, contentRefused, normalised, NO_FILTER, readWordList } from "./contentFilter.ts";
import { DIRECT, GROUP, WORLD } from "./records.ts";

function filter(list: string) {
  return compileFilter(readWordList(list), (text) => text.includes("english!"));
}

describe("one form for all ways of writing", () => {
  const cases = {
    "full width": ["ＢＡＤ　Ｗｏｒｄ１", "bad word1"],
    "upper case": ["BAD", "bad"],
    "zero width, direction marks, soft hyphens": ["b\u200Ba\u200D\u2060d\uFEFF\u00AD\u202E", "bad"],
    "variation selectors": ["b\uFE0Fad", "bad"],
    "marks on letters and ideographs": ["b\u0336a\u0336d\u0336 傻\u0336逼", "bad 傻逼"],
    "gaps between ideographs": ["傻 * 逼 傻-逼 傻\n逼", "傻逼傻逼傻逼"],
    "white space": ["a\t\n b\u0000c", "a b c"],
    "compatibility forms": ["㍐ ﬁ ①", "ユアン fi 1"],
  } as const;
  for (const [name, [written, plain]] of Object.entries(cases)) {
    it(`holds for: ${name}`, ({ expect }) => expect(normalised(written)).toBe(plain));
  }

  it("keeps the marks of scripts that need them, and the ends of sentences", ({ expect }) => {
    expect(normalised("हिन्दी")).toBe("हिन्दी".normalize("NFKC"));
    expect(normalised("走。吧")).toBe("走。吧");
  });
});

describe("the list of words", () => {
  it("is read from commas, full-width commas and lines", ({ expect }) => {
    expect(readWordList(" a, b，c\n!d ,,\r\n! e,!")).toEqual({ words: ["a", "b", "c"], exceptions: ["d", "e"] });
    expect(filter("").rejects("anything")).toBe(false);
  });

  it("counts a word in letters only where it stands alone, unless its end is open", ({ expect }) => {
    const { rejects } = filter("spam, ham*, *jam, *tin*");
    for (const text of ["spam", "SPAM!", "no_spam_here", "吃spam吃", "hams", "pyjam", "patinas"]) {
      expect(rejects(text), text).toBe(true);
    }
    for (const text of ["spammer", "antispam", "spam2", "aham", "jams"]) {
      expect(rejects(text), text).toBe(false);
    }
  });

  it("counts ideographs anywhere, but not where they overlap an exception", ({ expect }) => {
    const { rejects } = filter("草,我操,!草莓,!操作");
    expect(rejects("我要草")).toBe(true);
    expect(rejects("草莓很甜")).toBe(false);
    expect(rejects("草莓和草")).toBe(true);
    expect(rejects("我操作电脑")).toBe(false);
    expect(rejects("我操,操作电脑")).toBe(true);
  });

  it("sees through what people do to get past it", ({ expect }) => {
    const { rejects } = filter("spam,傻逼");
    for (const text of ["ＳＰＡＭ", "sp\u200Bam", "s p a m", "S.P.A.M", "s-p_a*m", "傻 逼", "傻\u200B逼", "傻**逼"]) {
      expect(rejects(text), text).toBe(true);
    }
    // The next sentence may begin with anything.
    expect(rejects("他很傻。逼他也没用")).toBe(false);
  });

  it("asks for English as well, in the plain form and in the one without gaps", ({ expect }) => {
    expect(filter("").rejects("ＥＮＧＬＩＳＨ！")).toBe(true);
    expect(compileFilter(readWordList(""), (text) => text === "bad").rejects("b a d")).toBe(true);
  });
});

describe("where it counts", () => {
  it("is the world room alone", ({ expect }) => {
    const spam = filter("spam");
    expect(contentRefused(spam, WORLD, "spam")).toBe(true);
    expect(contentRefused(spam, DIRECT, "spam")).toBe(false);
    expect(contentRefused(spam, GROUP, "spam")).toBe(false);
    expect(contentRefused(NO_FILTER, WORLD, "spam")).toBe(false);
  });

  it("is a file's name too", ({ expect }) => {
    const file = { key: "k", name: "spam.pdf", size: 1, mimeType: "application/pdf" };
    expect(contentRefused(filter("spam"), WORLD, file)).toBe(true);
    expect(
      contentRefused(filter("spam"), WORLD, { key: "k", width: 1, height: 1, size: 1, mimeType: "image/png" }),
    ).toBe(false);
  });
});
