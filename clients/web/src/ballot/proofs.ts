/**
 * Proofs of knowing a scalar (Schnorr) and of two equal logarithms (Chaum and Pedersen).
 *
 * The caller hashes its statement together with the announcement.
 *
 * Spec: BALLOT-TRANSCRIPT.
 */

import { GENERATOR, ORDER, type Point, publicMultiple } from "./group.js";

export interface KnowledgeProof {
  /** W = [w]G. */
  readonly w: Point;
  /** z = w + c x. */
  readonly z: bigint;
}

export interface EqualityProof {
  /** T1 = [k]G. */
  readonly t1: Point;
  /** T2 = [k]X. */
  readonly t2: Point;
  /** z = k + c x. */
  readonly z: bigint;
}

/** Tells whether [z]G = W + [c]P. */
export function isKnowledgeProven(
  publicKey: Point,
  proof: KnowledgeProof,
  challenge: bigint,
): boolean {
  if (proof.w.is0() || proof.z < 0n || proof.z >= ORDER) {
    return false;
  }
  return publicMultiple(GENERATOR, proof.z).equals(
    proof.w.add(publicMultiple(publicKey, challenge)),
  );
}

/** Tells whether [z]G = T1 + [c]P and [z]X = T2 + [c]Z. */
export function isEqualityProven(
  publicKey: Point,
  base: Point,
  image: Point,
  proof: EqualityProof,
  challenge: bigint,
): boolean {
  if (proof.z <= 0n || proof.z >= ORDER || proof.t1.is0() || proof.t2.is0()) {
    return false;
  }
  const isOnGenerator = publicMultiple(GENERATOR, proof.z).equals(
    proof.t1.add(publicMultiple(publicKey, challenge)),
  );
  const isOnBase = publicMultiple(base, proof.z).equals(
    proof.t2.add(publicMultiple(image, challenge)),
  );
  return isOnGenerator && isOnBase;
}
