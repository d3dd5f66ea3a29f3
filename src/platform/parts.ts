/** Records cut into requests that the other side takes. */

export type PartLimits = { records: number; bytes: number };

/** In order; each part as large as the limits allow, a record that is larger alone in its own. */
export function partsOf<Item>(items: readonly Item[], bytesOf: (item: Item) => number, limits: PartLimits): Item[][] {
  const parts: Item[][] = [];
  let part: Item[] = [];
  let bytes = 0;
  for (const item of items) {
    const size = bytesOf(item);
    if (part.length > 0 && (part.length >= limits.records || bytes + size > limits.bytes)) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(item);
    bytes += size;
  }
  return part.length > 0 ? [...parts, part] : parts;
}
