/** A block's header, its three hashes, and its seals. Spec: QBFT-EXTRA, QBFT-HASH, QBFT-SEALS. */

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { concat, toHex, toInteger } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { bytesOf, decodeRlp, encodeRlp, listOf, numberOf, type RlpItem } from "../core/rlp.js";
import { itemAt } from "../core/rows.js";

const FIELD_COUNT = 17;
const EXTRA_AT = 12;
const VALIDATORS_MAX = 64;
const HALF_ORDER = secp256k1.Point.Fn.ORDER / 2n;

/** A vote of a block's creator on the set. */
export interface Vote {
  readonly recipient: string;
  readonly isAdd: boolean;
}

export interface Header {
  readonly parentHash: string;
  /** Creator of the block, in hexadecimal. */
  readonly coinbase: string;
  readonly transactionsRoot: string;
  readonly receiptsRoot: string;
  readonly height: number;
  readonly timeS: number;
  /** Listed validators, in hexadecimal. */
  readonly validators: readonly string[];
  readonly vote: Vote | null;
  readonly round: number;
  readonly seals: readonly Uint8Array[];
  /** Hash (b): without seals, of round 0. */
  readonly hash: string;
  /** Hash (a): what seals sign. */
  readonly sealHash: Uint8Array;
  /** The header's fixed fields, which are the same in every block. */
  readonly constants: string;
}

/** Reads a header's items. */
export function readHeader(item: RlpItem | undefined): Header {
  const items = listOf(item, FIELD_COUNT);
  const extra = listOf(decodeRlp(bytesOf(items[EXTRA_AT])), 5);
  const [vanity, listed, vote, round, seals] = [0, 1, 2, 3, 4].map((at) => itemAt(extra, at));
  const hashWith = (at: RlpItem | undefined): Uint8Array => {
    const bare = [vanity, listed, vote, at, []] as readonly RlpItem[];
    return keccak_256(
      encodeRlp(items.map((each, place) => (place === EXTRA_AT ? encodeRlp(bare) : each))),
    );
  };
  const hexAt = (at: number): string => toHex(bytesOf(items[at]));
  const validators = listOf(listed).map((each) => toHex(bytesOf(each)));
  if (validators.length > VALIDATORS_MAX || listOf(seals).length > VALIDATORS_MAX) {
    throw new Refusal("header: too many validators or seals", "QBFT-EXTRA");
  }
  return {
    parentHash: hexAt(0),
    coinbase: hexAt(2),
    transactionsRoot: hexAt(4),
    receiptsRoot: hexAt(5),
    height: numberOf(items[8]),
    timeS: numberOf(items[11]),
    validators,
    vote: readVote(listOf(vote)),
    round: numberOf(round),
    seals: listOf(seals).map(bytesOf),
    hash: toHex(hashWith(new Uint8Array())),
    sealHash: hashWith(round),
    constants: [1, 7, 13, 14, 15, 16].map(hexAt).join(" "),
  };
}

function readVote(vote: readonly RlpItem[]): Vote | null {
  if (vote.length === 0) {
    return null;
  }
  const [recipient, direction] = [toHex(bytesOf(vote[0])), toHex(bytesOf(vote[1]))];
  if (vote.length !== 2 || recipient.length !== 40 || (direction !== "ff" && direction !== "")) {
    throw new Refusal("header: a vote in another form", "QBFT-EXTRA");
  }
  return { recipient, isAdd: direction === "ff" };
}

/** Returns who sealed a header, in order; empty text where a seal is nobody's. */
export function sealersOf(header: Header): readonly string[] {
  return header.seals.map((seal) => {
    if (
      seal.length !== 65 ||
      itemAt(seal, 64) > 1 ||
      toInteger(seal.subarray(32, 64)) > HALF_ORDER
    ) {
      return "";
    }
    try {
      const recoverable = concat(seal.subarray(64), seal.subarray(0, 64));
      const key = secp256k1.recoverPublicKey(recoverable, header.sealHash, { prehash: false });
      const point = secp256k1.Point.fromBytes(key).toBytes(false);
      return toHex(keccak_256(point.subarray(1)).subarray(12));
    } catch {
      return "";
    }
  });
}
