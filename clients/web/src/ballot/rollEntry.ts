/** The sealed roll's entry, 327 bytes, and its commitment. Spec: ROLL-ENTRY, ROLL-COMMITMENT. */

import { concat, encodeInteger, encodeText, toHex } from "../core/bytes.js";
import { Reader } from "../core/reader.js";
import { Refusal } from "../core/refusal.js";
import { type Eid, toEid } from "./eid.js";
import { encrypt } from "./elgamal.js";
import {
  decodePointXy,
  encodePointXy,
  GENERATOR,
  multiple,
  type Point,
  publicMultiple,
  reduce,
} from "./group.js";
import { rollPointer } from "./hashToCurve.js";
import { decodeScalar, drawScalar, encodeScalar, type NonceSource } from "./scalar.js";
import { hashToScalar, taggedHash } from "./taggedHash.js";

const VERSION = 1;

export interface RollEntry {
  readonly eid: Eid;
  readonly slot: Uint8Array;
  readonly style: number;
  /** 1 for the slot's first enrolment; a higher one supersedes. */
  readonly version: number;
  /** Fresh from the registrar. */
  readonly nonce: Uint8Array;
  readonly a: Point;
  /** B = M(K) + [a]Y_R. */
  readonly b: Point;
  readonly announcement: Point;
  readonly response: bigint;
}

/** What an entry is made for. */
export type RollSlot = Pick<RollEntry, "eid" | "slot" | "style" | "version" | "nonce">;

/** Seals the pointer of a ballot key and proves knowledge of the randomness. */
export function makeRollEntry(
  slot: RollSlot,
  ballotKey: Point,
  rollKey: Point,
  source: NonceSource,
): RollEntry {
  const randomness = drawScalar(source);
  const nonce = drawScalar(source);
  const sealed = encrypt(rollPointer(slot.eid, ballotKey), rollKey, randomness);
  const unproven = {
    ...slot,
    ...sealed,
    announcement: multiple(GENERATOR, nonce),
    response: 0n,
  };
  return { ...unproven, response: reduce(nonce + rollChallenge(unproven) * randomness) };
}

function encodeNumbers(entry: RollEntry): Uint8Array {
  return concat(
    entry.eid,
    entry.slot,
    encodeInteger(entry.style, 2),
    encodeInteger(entry.version, 4),
    entry.nonce,
  );
}

function encodeSealed(entry: RollEntry): Uint8Array {
  return concat(...[entry.a, entry.b, entry.announcement].map(encodePointXy));
}

/** Encodes RE. */
export function encodeRollEntry(entry: RollEntry): Uint8Array {
  const response = encodeScalar(entry.response);
  return concat(Uint8Array.of(VERSION), encodeNumbers(entry), encodeSealed(entry), response);
}

/** Decodes RE, strictly. */
export function decodeRollEntry(bytes: Uint8Array): RollEntry {
  const reader = new Reader(bytes, "ROLL-ENTRY");
  if (reader.takeNumber(1) !== VERSION) {
    throw new Refusal("roll entry of another version", "ROLL-ENTRY");
  }
  const entry = {
    eid: toEid(reader.take(32)),
    slot: reader.take(32),
    style: reader.takeNumber(2),
    version: reader.takeNumber(4),
    nonce: reader.take(32),
    a: decodePointXy(reader.take(64)),
    b: decodePointXy(reader.take(64)),
    announcement: decodePointXy(reader.take(64)),
    response: decodeScalar(reader.take(32)),
  };
  reader.finish();
  return entry;
}

/** Hashes everything an entry's proof is bound to. */
export function rollChallenge(entry: RollEntry): bigint {
  return hashToScalar("JMEV1/roll-pok", encodeNumbers(entry), encodeSealed(entry));
}

/** Refuses an entry whose maker did not know its randomness. */
export function checkRollEntry(entry: RollEntry): void {
  const right = entry.announcement.add(publicMultiple(entry.a, rollChallenge(entry)));
  if (!publicMultiple(GENERATOR, entry.response).equals(right)) {
    throw new Refusal("the proof does not hold for slot, version and nonce", "ROLL-ENTRY");
  }
}

/** Returns D of an entry's bytes. */
export function rollDigest(entry: Uint8Array): Uint8Array {
  return taggedHash("JMEV1/roll-entry", entry);
}

/** Returns the ASCII text that the card signs. */
export function cardText(digest: Uint8Array): Uint8Array {
  return encodeText(`JMEV1/roll-entry:${toHex(digest)}`);
}

/** Returns cm, the salted hash of an entry that goes on chain. */
export function rollCommitment(digest: Uint8Array, salt: Uint8Array): Uint8Array {
  return taggedHash("JMEV1/roll-cm", digest, salt);
}

/** Returns the leaf of the eligible list for a slot. Spec: ROLL-LEAF. */
export function eligibleLeaf(slot: Uint8Array, style: number): Uint8Array {
  return taggedHash("JMEV1/leaf", slot, encodeInteger(style, 2));
}
