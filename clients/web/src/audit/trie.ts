/** The root of a Merkle-Patricia trie over all its pairs, built once and thrown away. */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { compareBytes, concat } from "../core/bytes.js";
import { encodeRlp, encodeScalarRlp, type RlpItem } from "../core/rlp.js";
import { itemAt } from "../core/rows.js";

interface Leaf {
  readonly path: Uint8Array;
  readonly value: Uint8Array;
}

/** Returns the root of the trie that holds exactly these values; keys differ, none is a prefix. */
export function trieRoot(pairs: readonly (readonly [Uint8Array, Uint8Array])[]): Uint8Array {
  const leaves = pairs.map(([key, value]) => ({ path: nibblesOf(key), value }));
  leaves.sort((left, right) => compareBytes(left.path, right.path));
  return keccak_256(
    leaves.length === 0 ? encodeRlp(new Uint8Array()) : encodeRlp(buildNode(leaves, 0)),
  );
}

/** Returns the root of the trie of values by their index, as transactions and receipts have it. */
export function orderedRoot(values: readonly Uint8Array[]): Uint8Array {
  return trieRoot(values.map((value, at) => [encodeRlp(encodeScalarRlp(BigInt(at))), value]));
}

function nibblesOf(key: Uint8Array): Uint8Array {
  return Uint8Array.from({ length: 2 * key.length }, (_, at) => {
    const byte = itemAt(key, at >> 1);
    return at % 2 === 0 ? byte >> 4 : byte & 15;
  });
}

/** Encodes a path with its parity and whether a value ends it. */
function encodePath(path: Uint8Array, isLeaf: boolean): Uint8Array {
  const flag = (isLeaf ? 2 : 0) + (path.length % 2);
  const all =
    path.length % 2 === 1
      ? concat(Uint8Array.of(flag), path)
      : concat(Uint8Array.of(flag, 0), path);
  return Uint8Array.from(
    { length: all.length / 2 },
    (_, at) => 16 * itemAt(all, 2 * at) + itemAt(all, 2 * at + 1),
  );
}

function buildNode(leaves: readonly Leaf[], depth: number): RlpItem {
  const first = itemAt(leaves, 0);
  if (leaves.length === 1) {
    return [encodePath(first.path.subarray(depth), true), first.value];
  }
  const last = itemAt(leaves, leaves.length - 1);
  let shared = depth;
  while (first.path[shared] === last.path[shared]) {
    shared += 1;
  }
  if (shared > depth) {
    const below = referTo(buildNode(leaves, shared));
    return [encodePath(first.path.subarray(depth, shared), false), below];
  }
  const branches = Array.from({ length: 16 }, (_, nibble) => {
    const below = leaves.filter(({ path }) => path[depth] === nibble);
    return below.length === 0 ? new Uint8Array() : referTo(buildNode(below, depth + 1));
  });
  return [...branches, new Uint8Array()];
}

/** Returns a node itself where it is shorter than a hash, else its hash. */
function referTo(node: RlpItem): RlpItem {
  const bytes = encodeRlp(node);
  return bytes.length < 32 ? node : keccak_256(bytes);
}
