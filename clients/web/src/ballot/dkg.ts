/**
 * Distributed key generation as a verifier sees it: commits, reveals, complaints, confirmations.
 *
 * Indices of dealers and trustees begin at 1.
 *
 * Spec: DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE.
 */

import { concat, encodeInteger, encodeText } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";
import {
  encodePoint,
  encodePoints,
  GENERATOR,
  IDENTITY,
  type Point,
  publicMultiple,
  reduce,
  weightedSum,
} from "./group.js";
import { type EqualityProof, isEqualityProven, type KnowledgeProof } from "./proofs.js";
import { decodeScalar, encodeScalar } from "./scalar.js";
import { hashToScalar, taggedHash } from "./taggedHash.js";

/** What the generated key encrypts: ballots or the roll. */
export type KeyPurpose = "B" | "R";

export interface TrusteeKeys {
  /** Chain key of the municipality. */
  readonly node: Point;
  /** EK_j, to which shares are encrypted. */
  readonly encryption: Point;
}

export interface KeyGeneration {
  readonly chainId: bigint;
  /** 20 bytes: address of the election contract. */
  readonly registry: Uint8Array;
  /** 32 bytes. */
  readonly draftId: Uint8Array;
  readonly purpose: KeyPurpose;
  readonly threshold: number;
  readonly trustees: readonly TrusteeKeys[];
}

export interface Reveal {
  /** A_0..A_(t-1). */
  readonly commitments: readonly Point[];
  /** Of a_0. */
  readonly proof: KnowledgeProof;
}

export interface EncryptedShare {
  /** E = [e]G. */
  readonly ephemeral: Point;
  /** 32 bytes: S32(share) xor key. */
  readonly ciphertext: Uint8Array;
}

export interface Complaint {
  /** S = [ek_j]E. */
  readonly shared: Point;
  readonly proof: EqualityProof;
}

/** Returns did, which binds every parameter of a run. */
export function computeDid(run: KeyGeneration): Uint8Array {
  const keys = run.trustees.map((each) => encodePoints([each.node, each.encryption]));
  return taggedHash(
    "JMEV1/did",
    encodeInteger(run.chainId, 8),
    run.registry,
    run.draftId,
    encodeText(run.purpose),
    encodeInteger(run.trustees.length, 2),
    encodeInteger(run.threshold, 2),
    ...keys,
  );
}

/** Hashes the statement of a registered encryption key. */
export function encryptionKeyChallenge(
  chainId: bigint,
  registry: Uint8Array,
  keys: TrusteeKeys,
  w: Point,
): bigint {
  const points = encodePoints([keys.node, keys.encryption, w]);
  return hashToScalar("JMEV1/ek-pok", encodeInteger(chainId, 8), registry, points);
}

/** Hashes the statement of a dealer's constant term. */
export function revealChallenge(did: Uint8Array, dealer: number, reveal: Reveal): bigint {
  const points = encodePoints([...reveal.commitments, reveal.proof.w]);
  return hashToScalar("JMEV1/dkg-pok", did, encodeInteger(dealer, 2), points);
}

/** Returns the hash that a dealer posts before anyone reveals. */
export function commitOf(did: Uint8Array, dealer: number, reveal: Reveal): Uint8Array {
  const points = encodePoints([...reveal.commitments, reveal.proof.w]);
  return taggedHash(
    "JMEV1/dkg-commit",
    did,
    encodeInteger(dealer, 2),
    points,
    encodeScalar(reveal.proof.z),
  );
}

/** Hashes the statement of a complaint. */
export function complaintChallenge(
  did: Uint8Array,
  dealer: number,
  complainer: number,
  points: readonly Point[],
): bigint {
  const indices = concat(encodeInteger(dealer, 2), encodeInteger(complainer, 2));
  return hashToScalar("JMEV1/dkg-complaint", did, indices, encodePoints(points));
}

/** Hashes the statement of a trustee's confirmation. */
export function confirmationChallenge(
  did: Uint8Array,
  trustee: number,
  key: Point,
  shareKeys: readonly Point[],
  w: Point,
): bigint {
  const points = encodePoints([key, ...shareKeys, w]);
  return hashToScalar("JMEV1/dkg-confirm", did, encodeInteger(trustee, 2), points);
}

/** Returns P_j of the dealers' commitments. */
export function shareKeyOf(dealings: readonly (readonly Point[])[], trustee: number): Point {
  let total = IDENTITY;
  for (const commitments of dealings) {
    let power = 1n;
    for (const commitment of commitments) {
      total = total.add(publicMultiple(commitment, power));
      power = reduce(power * BigInt(trustee));
    }
  }
  return total;
}

/** Returns Y and P_1..P_n of the dealers' commitments. */
export function derivePublic(
  dealings: readonly (readonly Point[])[],
  count: number,
): { readonly key: Point; readonly shareKeys: readonly Point[] } {
  const key = weightedSum(dealings.map((commitments) => [itemAt(commitments, 0), 1n]));
  const shareKeys = Array.from({ length: count }, (_, at) => shareKeyOf(dealings, at + 1));
  return { key, shareKeys };
}

/** Says who is at fault after a complaint. */
export function judgeComplaint(
  run: KeyGeneration,
  dealer: number,
  complainer: number,
  share: EncryptedShare,
  complaint: Complaint,
  commitments: readonly Point[],
): "dealer" | "complainer" {
  const did = computeDid(run);
  const key = itemAt(run.trustees, complainer - 1).encryption;
  const { shared, proof } = complaint;
  const statement = [key, share.ephemeral, shared, proof.t1, proof.t2];
  const challenge = complaintChallenge(did, dealer, complainer, statement);
  if (!isEqualityProven(key, share.ephemeral, shared, proof, challenge)) {
    return "complainer";
  }
  const mask = taggedHash(
    "JMEV1/dkg-share",
    did,
    encodeInteger(dealer, 2),
    encodeInteger(complainer, 2),
    encodePoint(share.ephemeral),
    encodePoint(shared),
  );
  const opened = share.ciphertext.map((byte, at) => byte ^ itemAt(mask, at));
  return isShareConsistent(opened, complainer, commitments) ? "complainer" : "dealer";
}

/** Tells whether an opened share lies on the committed polynomial. */
export function isShareConsistent(
  bytes: Uint8Array,
  trustee: number,
  commitments: readonly Point[],
): boolean {
  let value: bigint;
  try {
    value = decodeScalar(bytes);
  } catch {
    return false;
  }
  return publicMultiple(GENERATOR, value).equals(shareKeyOf([commitments], trustee));
}
