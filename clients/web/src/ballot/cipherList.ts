/** Lists of ciphertexts: what is mixed and decrypted. Spec: MIX-CONTEXT. */

import { concat, encodeInteger, encodeText } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import type { Eid } from "./eid.js";
import type { Ciphertext } from "./elgamal.js";
import { decodePoint, encodePoints, POINT_SIZE } from "./group.js";
import { taggedHash } from "./taggedHash.js";

/** Ballots, roll, or rows of both. */
export type ListKind = "B" | "R" | "T";

/** Which list of which election a proof is about. */
export interface ListContext {
  readonly eid: Eid;
  readonly kind: ListKind;
  /** Race, or style for a roll. */
  readonly listId: number;
  /** The mixer's 1-based place in the manifest; 0 for decryption. */
  readonly round: number;
}

/** N rows of w ciphertexts. */
export interface CipherList {
  readonly width: number;
  readonly rows: readonly (readonly Ciphertext[])[];
}

/** Returns ctx. */
export function encodeContext(context: ListContext): Uint8Array {
  return concat(
    context.eid,
    encodeText(context.kind),
    encodeInteger(context.listId, 2),
    encodeInteger(context.round, 2),
  );
}

/** Returns P33(A) and P33(B) of every ciphertext, row by row. */
export function encodeList(list: CipherList): Uint8Array {
  return encodePoints(list.rows.flatMap((row) => row.flatMap(({ a, b }) => [a, b])));
}

/** Decodes the rows of a list of `width` ciphertexts a row. */
export function decodeList(bytes: Uint8Array, width: number): CipherList {
  const rowSize = 2 * POINT_SIZE * width;
  if (bytes.length % rowSize !== 0) {
    throw new Refusal(`list: ${bytes.length} bytes is no number of ${rowSize}`, "MIX-CONTEXT");
  }
  const rows: Ciphertext[][] = [];
  for (let start = 0; start < bytes.length; start += rowSize) {
    const row: Ciphertext[] = [];
    for (let at = start; at < start + rowSize; at += 2 * POINT_SIZE) {
      const a = decodePoint(bytes.subarray(at, at + POINT_SIZE));
      const b = decodePoint(bytes.subarray(at + POINT_SIZE, at + 2 * POINT_SIZE));
      row.push({ a, b });
    }
    rows.push(row);
  }
  return { width, rows };
}

/** Returns hL; the round does not enter. */
export function listDigest(context: ListContext, list: CipherList): Uint8Array {
  return taggedHash(
    "JMEV1/list",
    context.eid,
    encodeText(context.kind),
    encodeInteger(context.listId, 2),
    encodeInteger(list.width, 2),
    encodeInteger(list.rows.length, 8),
    encodeList(list),
  );
}
