/** Threshold decryption: checking trustees' shares and combining them. Spec: DEC-SHARE, DEC-COMBINE. */

import { concat, encodeInteger, toInteger } from "../core/bytes.js";
import { Reader } from "../core/reader.js";
import { Refusal } from "../core/refusal.js";
import { itemAt, zip } from "../core/rows.js";
import { type CipherList, encodeContext, type ListContext, listDigest } from "./cipherList.js";
import {
  decodePoint,
  encodePoint,
  encodePoints,
  invert,
  POINT_SIZE,
  type Point,
  publicMultiple,
  reduce,
  weightedSum,
} from "./group.js";
import { type EqualityProof, isEqualityProven } from "./proofs.js";
import { decodeScalar } from "./scalar.js";
import { hashToScalar, taggedHash } from "./taggedHash.js";

export interface DecryptionStatement {
  /** Round 0. */
  readonly context: ListContext;
  /** The final mixed list. */
  readonly list: CipherList;
  readonly column: number;
  /** j, from 1. */
  readonly trustee: number;
  /** P_j, from the manifest. */
  readonly shareKey: Point;
}

export interface DecryptionShare {
  /** D_1..D_N. */
  readonly shares: readonly Point[];
  readonly proof: EqualityProof;
}

/** What a share's proof hashes: weights over all D_i, then the challenge over the weighted sums. */
export interface DecryptionTranscript {
  readonly weights: readonly bigint[];
  /** X, the weighted sum of all A_i. */
  readonly base: Point;
  /** Z, the weighted sum of all D_i. */
  readonly image: Point;
  readonly challenge: bigint;
}

/** Decodes T1, T2 and z of a share's proof. */
export function decodeShareProof(bytes: Uint8Array): EqualityProof {
  const reader = new Reader(bytes, "DEC-SHARE");
  const proof = {
    t1: decodePoint(reader.take(POINT_SIZE)),
    t2: decodePoint(reader.take(POINT_SIZE)),
    z: decodeScalar(reader.take(32)),
  };
  reader.finish();
  return proof;
}

/** Returns hD, the digest of a trustee's shares of a list. */
export function sharesDigest(statement: DecryptionStatement, shares: readonly Point[]): Uint8Array {
  return taggedHash(
    "JMEV1/dec-list",
    encodeContext(statement.context),
    encodeInteger(statement.trustee, 2),
    encodeInteger(shares.length, 8),
    encodePoints(shares),
  );
}

/** Recomputes a share's transcript from what the verifier holds. */
export function decryptionTranscript(
  statement: DecryptionStatement,
  share: DecryptionShare,
): DecryptionTranscript {
  const first = statement.list.rows.map((row) => itemAt(row, statement.column).a);
  const context = encodeContext(statement.context);
  const index = encodeInteger(statement.trustee, 2);
  const head = concat(
    context,
    index,
    encodePoint(statement.shareKey),
    listDigest(statement.context, statement.list),
    sharesDigest(statement, share.shares),
  );
  const weights = share.shares.map((_, at) =>
    toInteger(taggedHash("JMEV1/dec-w", head, encodeInteger(at + 1, 8)).subarray(0, 16)),
  );
  const base = weightedSum(zip(first, weights));
  const image = weightedSum(zip(share.shares, weights));
  const points = encodePoints([base, image, share.proof.t1, share.proof.t2]);
  return { weights, base, image, challenge: hashToScalar("JMEV1/dec-dleq", head, points) };
}

/** Tells whether a trustee's share is right. */
export function isShareValid(statement: DecryptionStatement, share: DecryptionShare): boolean {
  if (share.shares.length !== statement.list.rows.length) {
    return false;
  }
  const { base, image, challenge } = decryptionTranscript(statement, share);
  return isEqualityProven(statement.shareKey, base, image, share.proof, challenge);
}

/** Returns the coefficient at 0 of one trustee among `indices`. */
export function lagrange(indices: readonly number[], index: number): bigint {
  if (new Set(indices).size !== indices.length || indices.some((each) => each < 1)) {
    throw new Refusal(`trustees ${indices.join(", ")}: expected distinct, from 1`, "DEC-COMBINE");
  }
  let value = 1n;
  for (const other of indices) {
    if (other !== index) {
      value = reduce(value * BigInt(other) * invert(BigInt(other - index)));
    }
  }
  return value;
}

/** Returns the message of every row from the shares of exactly these trustees. */
export function combineShares(
  list: CipherList,
  column: number,
  shares: ReadonlyMap<number, readonly Point[]>,
): readonly Point[] {
  const indices = [...shares.keys()];
  const parts = [...shares].map(([index, points]) => ({
    coefficient: lagrange(indices, index),
    points,
  }));
  return list.rows.map((row, at) =>
    parts.reduce(
      (message, { coefficient, points }) =>
        message.subtract(publicMultiple(itemAt(points, at), coefficient)),
      itemAt(row, column).b,
    ),
  );
}
