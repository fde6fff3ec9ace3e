/** Points whose logarithms nobody knows: generators, candidates, roll pointers. Spec: BALLOT-H2C. */

import { secp256k1_hasher } from "@noble/curves/secp256k1.js";
import { concat, encodeInteger } from "../core/bytes.js";
import type { Eid } from "./eid.js";
import { encodePointXy, type Point } from "./group.js";

const SUITE = "secp256k1_XMD:SHA-256_SSWU_RO_";

/** Returns H2C(label, message). */
export function hashToCurve(label: string, message: Uint8Array): Point {
  return hashWithDomain(message, `JMEV1/${label}/${SUITE}`);
}

/** Hashes under an explicit domain separation tag (RFC 9380). */
export function hashWithDomain(message: Uint8Array, domain: string): Point {
  return secp256k1_hasher.hashToCurve(message, { DST: domain });
}

const generators: Point[] = [];

/** Returns H, h_1, ..., h_count: the bases of the shuffle's commitments. */
export function commitmentGenerators(count: number): readonly Point[] {
  while (generators.length <= count) {
    generators.push(hashToCurve("gen", encodeInteger(generators.length, 8)));
  }
  return generators.slice(0, count + 1);
}

/** Returns C(race, candidate); candidate 0 is the blank vote. */
export function candidatePoint(eid: Eid, race: number, candidate: number): Point {
  return hashToCurve("cand", concat(eid, encodeInteger(race, 2), encodeInteger(candidate, 2)));
}

/** Returns M(K), the roll pointer of a ballot key. */
export function rollPointer(eid: Eid, key: Point): Point {
  return hashToCurve("roll", concat(eid, encodePointXy(key)));
}
