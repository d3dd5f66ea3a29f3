/** Sizes of JSON on the wire. Counted and not guessed: a control character is one unit of text and six bytes of JSON. */

/** UTF-8 bytes of a text; a pair of surrogates counts six instead of four, so never too few. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) {
      bytes += unit > 0x7ff ? 2 : 1;
    }
  }
  return bytes;
}

/** UTF-8 bytes of a value as JSON; 0 for `undefined`, which JSON leaves out. */
export function jsonBytes(value: unknown): number {
  return value === undefined ? 0 : utf8Bytes(JSON.stringify(value));
}
