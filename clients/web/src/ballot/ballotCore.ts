/** A ballot's core, 107 + 226 R bytes, which is hashed and signed. Spec: BALLOT-CORE. */

import { concat, encodeInteger, toInteger } from "../core/bytes.js";
import { Reader } from "../core/reader.js";
import { Refusal } from "../core/refusal.js";
import { type Eid, toEid } from "./eid.js";
import { decodePointXy, encodePointXy, ORDER, type Point } from "./group.js";
import { decodeScalar, encodeScalar } from "./scalar.js";
import { hashToScalar } from "./taggedHash.js";

export const HEAD_SIZE = 107;
export const RACE_SIZE = 226;
export const RACE_COUNT_MAX = 64;
const VERSION = 1;

/** The ballot's entry for one race. */
export interface EncryptedChoice {
  readonly race: number;
  readonly a: Point;
  readonly b: Point;
  /** R = [w]G of the proof. */
  readonly announcement: Point;
  /** z = w + c r. */
  readonly response: bigint;
}

export interface BallotCore {
  readonly eid: Eid;
  readonly style: number;
  /** K, made on the device for this election. */
  readonly key: Point;
  /** 1 for the key's first ballot, then consecutive. */
  readonly sequence: number;
  /** One per race of the style, ascending. */
  readonly choices: readonly EncryptedChoice[];
}

function encodeHead(core: BallotCore): Uint8Array {
  return concat(
    core.eid,
    encodeInteger(core.style, 2),
    encodePointXy(core.key),
    encodeInteger(core.sequence, 8),
  );
}

function encodePart(choice: EncryptedChoice): Uint8Array {
  const points = [choice.a, choice.b, choice.announcement].map(encodePointXy);
  return concat(encodeInteger(choice.race, 2), ...points);
}

/** Encodes a core. */
export function encodeCore(core: BallotCore): Uint8Array {
  const races = core.choices.map((choice) =>
    concat(encodePart(choice), encodeScalar(choice.response)),
  );
  return concat(Uint8Array.of(VERSION), encodeHead(core), ...races);
}

/** Decodes a core, strictly. */
export function decodeCore(bytes: Uint8Array): BallotCore {
  const count = (bytes.length - HEAD_SIZE) / RACE_SIZE;
  if (!Number.isInteger(count) || count < 1 || count > RACE_COUNT_MAX || bytes[0] !== VERSION) {
    throw new Refusal(`ballot of ${bytes.length} bytes or of another version`, "BALLOT-CORE");
  }
  const reader = new Reader(bytes, "BALLOT-CORE");
  reader.take(1);
  const eid = toEid(reader.take(32));
  const style = reader.takeNumber(2);
  const key = decodePointXy(reader.take(64));
  const sequence = reader.takeNumber(8);
  const choices = Array.from({ length: count }, () => takeChoice(reader));
  reader.finish();
  return { eid, style, key, sequence, choices };
}

function takeChoice(reader: Reader): EncryptedChoice {
  const race = reader.takeNumber(2);
  const aBytes = reader.take(64);
  const ax = toInteger(aBytes.subarray(0, 32));
  if (ax === 0n || ax >= ORDER) {
    throw new Refusal("A.x must be in [1, n)", "BALLOT-POK");
  }
  const a = decodePointXy(aBytes);
  const b = decodePointXy(reader.take(64));
  const announcement = decodePointXy(reader.take(64));
  const response = decodeScalar(reader.take(32));
  if (response === 0n) {
    throw new Refusal("a response must not be zero", "BALLOT-POK");
  }
  return { race, a, b, announcement, response };
}

/** Hashes everything a choice's proof is bound to. Spec: BALLOT-POK. */
export function ballotChallenge(core: BallotCore, choice: EncryptedChoice): bigint {
  return hashToScalar("JMEV1/ballot-pok", encodeHead(core), encodePart(choice));
}
