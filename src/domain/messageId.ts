/**
 * Message ids are ULIDs whose 80 "random" bits hold the sequence number (40 bits) before 40 random
 * ones. So ids of a room rise with its sequence, and finding a message by its id is a look-up by
 * primary key: no second index has to be written with every send.
 */
import type { Random } from "./ports.ts";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_CHARS = 10;
const SEQUENCE_CHARS = 8;
const RANDOM_CHARS = 8;

function encode(value: number, chars: number): string {
  let rest = value;
  let text = "";
  for (let i = 0; i < chars; i++) {
    const digit = rest % 32;
    text = ALPHABET.charAt(digit) + text;
    rest = (rest - digit) / 32;
  }
  return text;
}

/** A new id for sequence `seqId` (below 2^40) at `createdAt` (epoch milliseconds). */
export function makeMessageId(seqId: number, createdAt: number, random: Random): string {
  return (
    encode(createdAt, TIME_CHARS) + encode(seqId, SEQUENCE_CHARS) + encode(Math.floor(random() * 2 ** 40), RANDOM_CHARS)
  );
}

/** The sequence inside an id; the caller compares the whole id with the row it finds there. */
export function seqIdOf(messageId: string): number {
  let seqId = 0;
  for (let i = TIME_CHARS; i < TIME_CHARS + SEQUENCE_CHARS; i++) {
    const digit = ALPHABET.indexOf(messageId.charAt(i));
    if (digit < 0) {
      return 0;
    }
    seqId = seqId * 32 + digit;
  }
  return seqId;
}
