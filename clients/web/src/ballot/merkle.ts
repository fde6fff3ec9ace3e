import { sha256 } from "@noble/hashes/sha2.js";
import { concat } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";

/** Returns the root of RFC 6962's tree over these leaves. Spec: MERKLE-TREE. */
export function merkleRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) {
    return sha256(new Uint8Array());
  }
  if (leaves.length === 1) {
    return sha256(concat(Uint8Array.of(0), itemAt(leaves, 0)));
  }
  const half = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  const left = merkleRoot(leaves.slice(0, half));
  return sha256(concat(Uint8Array.of(1), left, merkleRoot(leaves.slice(half))));
}
