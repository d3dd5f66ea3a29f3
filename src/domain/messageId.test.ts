import fc from "fast-check";
import { decodeTime } from "ulid";
import { describe, it } from "vitest";
import { makeMessageId, seqIdOf } from "./messageId.ts";

const NOW = 1_700_000_000_000;
/** Of the schema `MessageId`. */
const ULID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
/** Highest sequence that 40 bits hold. */
const LAST_SEQ_ID = 2 ** 40 - 1;
/** Highest time that a ULID holds. */
const LAST_TIME = 2 ** 48 - 1;
const ALMOST_ONE = 1 - 2 ** -53;

const seqIds = fc.integer({ min: 1, max: LAST_SEQ_ID });
const times = fc.integer({ min: 0, max: LAST_TIME });
const chance = fc.double({ min: 0, max: ALMOST_ONE, noNaN: true });

describe("a message id", () => {
  it("is a ULID that holds its time and its sequence, up to the largest of both", ({ expect }) => {
    fc.assert(
      fc.property(seqIds, times, chance, (seqId, time, random) => {
        const id = makeMessageId(seqId, time, () => random);
        expect(id).toMatch(ULID);
        expect(decodeTime(id)).toBe(time);
        expect(seqIdOf(id)).toBe(seqId);
      }),
    );
    const last = makeMessageId(LAST_SEQ_ID, LAST_TIME, () => ALMOST_ONE);
    expect(last).toBe("7".padEnd(26, "Z"));
    expect(seqIdOf(last)).toBe(LAST_SEQ_ID);
  });

  it("rises with the sequence at the same time, whatever chance says", ({ expect }) => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: LAST_SEQ_ID - 1 }), chance, chance, (seqId, one, other) => {
        const id = makeMessageId(seqId, NOW, () => one);
        const next = makeMessageId(seqId + 1, NOW, () => other);
        expect(id < next).toBe(true);
      }),
    );
  });

  it("differs from one that another life of the room gave to the same sequence", ({ expect }) => {
    expect(makeMessageId(7, NOW, () => 0.25)).not.toBe(makeMessageId(7, NOW, () => 0.75));
  });
});

describe("the sequence in a text that is no id of ours", () => {
  it("is a number that no log refuses to look up", ({ expect }) => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), (text) => {
        const seqId = seqIdOf(text);
        expect(Number.isSafeInteger(seqId) && seqId >= 0 && seqId <= LAST_SEQ_ID).toBe(true);
      }),
    );
  });

  it("is 0, which no message has, for letters that are not of the alphabet", ({ expect }) => {
    const id = makeMessageId(7, NOW, () => 0.5);
    expect(seqIdOf(id.toLowerCase())).toBe(7); // Only digits stand in its sequence.
    expect(seqIdOf(makeMessageId(1_000, NOW, () => 0.5).toLowerCase())).toBe(0);
    expect(seqIdOf(`${id.slice(0, 17)}I${id.slice(18)}`)).toBe(0);
    expect(seqIdOf("")).toBe(0);
  });
});
