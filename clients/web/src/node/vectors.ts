/** The protocol's vectors in tests/vectors/voting, as tests read them. */

import { readFileSync } from "node:fs";
import { fromHex } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";

/** Reads one file of vectors. */
export function loadVectors<Format>(name: string): Format {
  const file = new URL(`../../../../tests/vectors/voting/${name}.json`, import.meta.url);
  return JSON.parse(readFileSync(file, "utf8")) as Format;
}

/** Returns a source of randomness that gives exactly these values, each asked for whole. */
export function scripted(...values: readonly string[]): (size: number) => Uint8Array {
  let next = 0;
  return (size) => {
    const bytes = fromHex(itemAt(values, next));
    next += 1;
    if (bytes.length !== size) {
      throw new RangeError(`${size} bytes asked for, ${bytes.length} scripted`);
    }
    return bytes;
  };
}
