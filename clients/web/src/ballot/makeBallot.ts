/** The voter's side: encrypt and prove, check or send, sign. Spec: BALLOT-CORE, BALLOT-CHECK. */

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concat, encodeInteger, isEqual, toInteger } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import {
  type BallotCore,
  ballotChallenge,
  type EncryptedChoice,
  encodeCore,
} from "./ballotCore.js";
import { computeBallotHash } from "./ballotHash.js";
import type { Eid } from "./eid.js";
import { encrypt } from "./elgamal.js";
import { encodePointXy, GENERATOR, multiple, ORDER, type Point, reduce } from "./group.js";
import { candidatePoint } from "./hashToCurve.js";
import { drawScalar, encodeScalar, type NonceSource } from "./scalar.js";

/** Randomness of one encrypted choice; shown only for a ballot that is then thrown away. */
export interface Opening {
  readonly race: number;
  readonly candidate: number;
  /** r of the ciphertext. */
  readonly randomness: bigint;
  /** w of the proof. */
  readonly nonce: bigint;
}

export interface Selection {
  readonly race: number;
  readonly candidate: number;
}

export interface BallotRequest {
  readonly eid: Eid;
  readonly style: number;
  readonly key: Point;
  readonly sequence: number;
  /** One per race of the style, ascending. */
  readonly selections: readonly Selection[];
  /** Y_B of the manifest. */
  readonly electionKey: Point;
}

export interface UnsignedBallot {
  readonly core: BallotCore;
  /** Erased by the device unless the ballot is checked. */
  readonly openings: readonly Opening[];
}

/** Encrypts and proves one choice per race. */
export function makeBallot(request: BallotRequest, source: NonceSource): UnsignedBallot {
  const openings = request.selections.map((selection) => drawOpening(request, selection, source));
  return { core: openCore(request, openings), openings };
}

function drawOpening(request: BallotRequest, selection: Selection, source: NonceSource): Opening {
  for (;;) {
    const randomness = drawScalar(source);
    const opening = { ...selection, randomness, nonce: drawScalar(source) };
    const message = candidatePoint(request.eid, selection.race, selection.candidate);
    const { a, b } = encrypt(message, request.electionKey, randomness);
    const ax = toInteger(encodePointXy(a).subarray(0, 32));
    if (!b.is0() && ax > 0n && ax < ORDER) {
      return opening;
    }
  }
}

/** Returns the core that these openings give. */
export function openCore(request: BallotRequest, openings: readonly Opening[]): BallotCore {
  const { eid, style, key, sequence } = request;
  const empty: BallotCore = { eid, style, key, sequence, choices: [] };
  const choices = openings.map((opening) => prove(empty, opening, request.electionKey));
  return { ...empty, choices };
}

function prove(core: BallotCore, opening: Opening, electionKey: Point): EncryptedChoice {
  const { race, candidate, randomness, nonce } = opening;
  const { a, b } = encrypt(candidatePoint(core.eid, race, candidate), electionKey, randomness);
  const unproven = { race, a, b, announcement: multiple(GENERATOR, nonce), response: 0n };
  return { ...unproven, response: reduce(nonce + ballotChallenge(core, unproven) * randomness) };
}

/** Refuses openings that do not give the ballot shown: the second device's check. */
export function checkOpenings(
  core: BallotCore,
  openings: readonly Opening[],
  electionKey: Point,
): void {
  const isSameRaces =
    openings.length === core.choices.length &&
    openings.every((opening, at) => opening.race === itemAt(core.choices, at).race);
  if (!isSameRaces) {
    throw new Refusal("openings are for other races than the ballot", "BALLOT-CHECK");
  }
  const request: BallotRequest = { ...core, selections: openings, electionKey };
  const opened = openCore(request, openings);
  if (!isEqual(encodeCore(opened), encodeCore(core))) {
    throw new Refusal("the ballot does not hold the choices shown", "BALLOT-CHECK");
  }
}

/** Signs a core with the ballot key, r, s, v as the contract takes it; only now can it be cast. */
export function signCore(core: BallotCore, secret: bigint): Uint8Array {
  const hash = computeBallotHash(encodeCore(core));
  const signed = secp256k1.sign(hash, encodeScalar(secret), {
    prehash: false,
    format: "recovered",
  });
  return concat(signed.subarray(1), encodeInteger(27 + itemAt(signed, 0), 1));
}
