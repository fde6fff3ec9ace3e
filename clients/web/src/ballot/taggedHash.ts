/** TH and HQ, the hashes under everything. Spec: BALLOT-HASH. */

import { sha256 } from "@noble/hashes/sha2.js";
import { concat, encodeText, toInteger } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { ORDER } from "./group.js";

/** The uses of the hash; no two share one. */
export type Tag = `JMEV1/${string}`;

const heads = new Map<Tag, Uint8Array>();

function headOf(tag: Tag): Uint8Array {
  const known = heads.get(tag);
  if (known !== undefined) {
    return known;
  }
  const digest = sha256(encodeText(tag));
  const head = concat(digest, digest);
  heads.set(tag, head);
  return head;
}

/** Returns TH(tag, message) over the joined parts. */
export function taggedHash(tag: Tag, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(concat(headOf(tag), ...parts));
}

/** Returns HQ(tag, message), a challenge in [1, n). */
export function hashToScalar(tag: Tag, ...parts: readonly Uint8Array[]): bigint {
  const value = toInteger(taggedHash(tag, ...parts)) % ORDER;
  if (value === 0n) {
    throw new Refusal(`challenge ${tag} is zero`, "BALLOT-HASH");
  }
  return value;
}
