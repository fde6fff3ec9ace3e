/** Verifying ballots, one by one and many at once. Spec: BALLOT-POK, BALLOT-SIGNATURE. */

import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concat, isEqual, toInteger } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { type BallotCore, ballotChallenge } from "./ballotCore.js";
import {
  decodePoint,
  encodePoint,
  GENERATOR,
  ORDER,
  type Point,
  publicMultiple,
  type Term,
  weightedSum,
} from "./group.js";
import { drawWeight, type NonceSource } from "./scalar.js";

const SIGNATURE_SIZE = 65;

/** Refuses a ballot whose races are not its style's. */
export function checkRaces(core: BallotCore, races: readonly number[]): void {
  const found = core.choices.map((choice) => choice.race);
  if (found.length !== races.length || found.some((race, at) => race !== races[at])) {
    throw new Refusal(`races ${found.join(", ")}, style has ${races.join(", ")}`, "BALLOT-CORE");
  }
}

/** Refuses a core with a choice whose proof of knowledge does not hold. */
export function checkProofs(core: BallotCore): void {
  for (const choice of core.choices) {
    const right = choice.announcement.add(publicMultiple(choice.a, ballotChallenge(core, choice)));
    if (!publicMultiple(GENERATOR, choice.response).equals(right)) {
      throw new Refusal(`race ${choice.race}: the proof of knowledge does not hold`, "BALLOT-POK");
    }
  }
}

/** Tells whether all proofs of many ballots hold; on no, `checkProofs` says which does not. */
export function areProofsValid(cores: readonly BallotCore[], source: NonceSource): boolean {
  let generatorScalar = 0n;
  const terms: Term[] = [];
  for (const core of cores) {
    for (const choice of core.choices) {
      const weight = drawWeight(source);
      generatorScalar += weight * choice.response;
      terms.push([choice.announcement, -weight]);
      terms.push([choice.a, -weight * ballotChallenge(core, choice)]);
    }
  }
  return weightedSum([[GENERATOR, generatorScalar], ...terms]).is0();
}

/** Refuses a signature over `hash` that is not the key's, in canonical form. */
export function checkSignature(hash: Uint8Array, signature: Uint8Array, key: Point): void {
  const refusal = new Refusal("not signed by the key in canonical form", "BALLOT-SIGNATURE");
  if (signature.length !== SIGNATURE_SIZE) {
    throw refusal;
  }
  const v = itemAt(signature, 64);
  if ((v !== 27 && v !== 28) || toInteger(signature.subarray(32, 64)) > ORDER / 2n) {
    throw refusal;
  }
  let signer: Point;
  try {
    const recoverable = concat(Uint8Array.of(v - 27), signature.subarray(0, 64));
    signer = decodePoint(secp256k1.recoverPublicKey(recoverable, hash, { prehash: false }));
  } catch {
    throw refusal;
  }
  if (!isEqual(encodePoint(signer), encodePoint(key))) {
    throw refusal;
  }
}
