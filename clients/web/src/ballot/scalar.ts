/** Scalars mod n and the random numbers of the protocol. Spec: BALLOT-ENCODING. */

import { encodeInteger, toInteger } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { ORDER } from "./group.js";

/** Gives fresh bytes that nobody can predict. */
export type NonceSource = (size: number) => Uint8Array;

/** Encodes as S32. */
export function encodeScalar(value: bigint): Uint8Array {
  if (value < 0n || value >= ORDER) {
    throw new Refusal("scalar: expected a value in [0, n)", "BALLOT-ENCODING");
  }
  return encodeInteger(value, 32);
}

/** Decodes S32. */
export function decodeScalar(bytes: Uint8Array): bigint {
  const value = toInteger(bytes);
  if (bytes.length !== 32 || value >= ORDER) {
    throw new Refusal("scalar: expected 32 bytes below n", "BALLOT-ENCODING");
  }
  return value;
}

/** Draws a scalar uniform in [1, n-1]. */
export function drawScalar(source: NonceSource): bigint {
  for (;;) {
    const value = toInteger(source(32));
    if (value > 0n && value < ORDER) {
      return value;
    }
  }
}

/** Draws a verifier's 128-bit weight. */
export function drawWeight(source: NonceSource): bigint {
  return toInteger(source(16));
}
