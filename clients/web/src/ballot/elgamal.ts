import { GENERATOR, multiple, type Point } from "./group.js";

/** An ElGamal ciphertext. */
export interface Ciphertext {
  /** A = [r]G. */
  readonly a: Point;
  /** B = M + [r]Y. */
  readonly b: Point;
}

/** Encrypts one point. Spec: BALLOT-ELGAMAL. */
export function encrypt(message: Point, key: Point, randomness: bigint): Ciphertext {
  return { a: multiple(GENERATOR, randomness), b: message.add(multiple(key, randomness)) };
}
