/** What a mixer publishes, its bytes, and the hashes over it. Spec: MIX-FORMAT, MIX-TRANSCRIPT. */

import { encodeInteger } from "../core/bytes.js";
import { Reader } from "../core/reader.js";
import { type CipherList, encodeContext, type ListContext, listDigest } from "./cipherList.js";
import { decodePoint, decodePoints, encodePoints, POINT_SIZE, type Point } from "./group.js";
import { decodeScalar } from "./scalar.js";
import { hashToScalar, taggedHash } from "./taggedHash.js";

export interface ShuffleStatement {
  readonly context: ListContext;
  /** Y_1..Y_w. */
  readonly keys: readonly Point[];
  readonly inputs: CipherList;
  readonly outputs: CipherList;
}

export interface ColumnAnnouncement {
  readonly t4a: Point;
  readonly t4b: Point;
}

export interface ShuffleProof {
  readonly t1: Point;
  readonly t2: Point;
  readonly t3: Point;
  /** Per column. */
  readonly t4: readonly ColumnAnnouncement[];
  readonly z1: bigint;
  readonly z2: bigint;
  readonly z3: bigint;
  /** Per column. */
  readonly z4: readonly bigint[];
  /** c_i: the committed permutation. */
  readonly commitments: readonly Point[];
  /** The commitment chain. */
  readonly links: readonly Point[];
  /** Announcements of the links. */
  readonly tHat: readonly Point[];
  readonly zHat: readonly bigint[];
  readonly zPrime: readonly bigint[];
}

/** Decodes the proof of a shuffle of `count` rows of `width` ciphertexts. */
export function decodeShuffleProof(bytes: Uint8Array, count: number, width: number): ShuffleProof {
  const reader = new Reader(bytes, "MIX-FORMAT");
  const takePoint = () => decodePoint(reader.take(POINT_SIZE));
  const takeScalar = () => decodeScalar(reader.take(32));
  const takeScalars = (size: number) => Array.from({ length: size }, takeScalar);
  const proof = {
    t1: takePoint(),
    t2: takePoint(),
    t3: takePoint(),
    t4: Array.from({ length: width }, () => ({ t4a: takePoint(), t4b: takePoint() })),
    z1: takeScalar(),
    z2: takeScalar(),
    z3: takeScalar(),
    z4: takeScalars(width),
    commitments: decodePoints(reader.take(POINT_SIZE * count)),
    links: decodePoints(reader.take(POINT_SIZE * count)),
    tHat: decodePoints(reader.take(POINT_SIZE * count)),
    zHat: takeScalars(count),
    zPrime: takeScalars(count),
  };
  reader.finish();
  return proof;
}

/** Hashes the statement and the committed permutation. */
export function shuffleSeed(
  statement: ShuffleStatement,
  commitments: readonly Point[],
): Uint8Array {
  return taggedHash(
    "JMEV1/shuf-seed",
    encodeContext(statement.context),
    encodeInteger(statement.keys.length, 2),
    encodePoints(statement.keys),
    encodeInteger(statement.inputs.rows.length, 8),
    listDigest(statement.context, statement.inputs),
    listDigest(statement.context, statement.outputs),
    encodePoints(commitments),
  );
}

/** Returns the batching vector u_1..u_N. */
export function shuffleWeights(seed: Uint8Array, count: number): readonly bigint[] {
  return Array.from({ length: count }, (_, at) =>
    hashToScalar("JMEV1/shuf-u", seed, encodeInteger(at + 1, 8)),
  );
}

/** Returns the challenge over the chain and every announcement. */
export function shuffleChallenge(seed: Uint8Array, proof: ShuffleProof): bigint {
  const columns = proof.t4.flatMap(({ t4a, t4b }) => [t4a, t4b]);
  return hashToScalar(
    "JMEV1/shuf-chal",
    seed,
    encodePoints(proof.links),
    encodePoints([proof.t1, proof.t2, proof.t3, ...columns]),
    encodePoints(proof.tHat),
  );
}
