import { toInteger } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";

const ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** Returns Crockford base32 in groups of four, as people read it aloud. */
export function encodeCrockford(bytes: Uint8Array): string {
  const count = Math.ceil((bytes.length * 8) / 5);
  const value = toInteger(bytes) << BigInt(count * 5 - bytes.length * 8);
  const digits = Array.from({ length: count }, (_, at) => {
    const shift = BigInt(5 * (count - 1 - at));
    return itemAt(ALPHABET, Number((value >> shift) & 31n));
  });
  return (
    digits
      .join("")
      .match(/.{1,4}/g)
      ?.join("-") ?? ""
  );
}
