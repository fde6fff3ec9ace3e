/** What is derived from a voter's seed and ballot key. Spec: ROLL-KEY, TOKEN-BLIND, BALLOT-WITHDRAW. */

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { encodeInteger, encodeText, toInteger } from "../core/bytes.js";
import { encodeCrockford } from "./crockford.js";
import type { Eid } from "./eid.js";
import { encodePointXy, ORDER, type Point } from "./group.js";
import { taggedHash } from "./taggedHash.js";

/** Returns k of a 16-byte seed for one election. */
export function deriveBallotKey(seed: Uint8Array, eid: Eid): bigint {
  const drawn = hkdf(sha256, seed, eid, encodeText("JMEV1/ballot-key"), 48);
  return (toInteger(drawn) % (ORDER - 1n)) + 1n;
}

/** Returns the code by which a voter finds the ballots of a key. */
export function voteCode(eid: Eid, key: Point): string {
  return encodeCrockford(taggedHash("JMEV1/code", eid, encodePointXy(key)).subarray(0, 10));
}

/** Returns the message of a key's admission token. */
export function tokenMessage(eid: Eid, key: Point): Uint8Array {
  return taggedHash("JMEV1/token", eid, encodePointXy(key));
}

/** Returns what a ballot key signs to withdraw. */
export function withdrawalHash(eid: Eid, key: Point, sequence: number): Uint8Array {
  return taggedHash("JMEV1/withdraw", eid, encodePointXy(key), encodeInteger(sequence, 8));
}
