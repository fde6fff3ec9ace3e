/** BALLOT-CORE, BALLOT-POK, BALLOT-CHECK, BALLOT-SIGNATURE against the shared vectors. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { loadVectors, scripted } from "../node/vectors.js";
import { ballotChallenge, decodeCore, encodeCore } from "./ballotCore.js";
import { computeBallotHash, trackingCode } from "./ballotHash.js";
import { toEid } from "./eid.js";
import { decodePoint, encodePoint, encodePointXy, GENERATOR, multiple, ORDER } from "./group.js";
import { type BallotRequest, checkOpenings, makeBallot, signCore } from "./makeBallot.js";
import { decodeScalar, encodeScalar } from "./scalar.js";
import { areProofsValid, checkProofs, checkRaces, checkSignature } from "./verifyBallots.js";

interface Ballot {
  eid: string;
  style: number;
  sequence: number;
  secret: string;
  election_key: string;
  choices: { race: number; candidate: number; r: string; w: string; challenge: string }[];
  core: string;
  hash: string;
  tracking_code: string;
  signature: string;
}

const { ballots } = loadVectors<{ ballots: Ballot[] }>("ballot");

function requestOf(ballot: Ballot): BallotRequest {
  return {
    eid: toEid(fromHex(ballot.eid)),
    style: ballot.style,
    key: multiple(GENERATOR, decodeScalar(fromHex(ballot.secret))),
    sequence: ballot.sequence,
    selections: ballot.choices.map(({ race, candidate }) => ({ race, candidate })),
    electionKey: decodePoint(fromHex(ballot.election_key)),
  };
}

for (const ballot of ballots) {
  const name = `${ballot.choices.length} races`;
  const request = requestOf(ballot);
  const secret = decodeScalar(fromHex(ballot.secret));
  const source = scripted(...ballot.choices.flatMap(({ r, w }) => [r, w]));
  const { core, openings } = makeBallot(request, source);
  const signature = signCore(core, secret);
  const hash = computeBallotHash(encodeCore(core));

  test(`${name}: the same randomness gives the same ballot`, () => {
    assert.equal(toHex(encodeCore(core)), ballot.core);
    ballot.choices.forEach(({ challenge }, at) => {
      const found = ballotChallenge(core, itemAt(core.choices, at));
      assert.equal(toHex(encodeScalar(found)), challenge);
    });
    assert.equal(toHex(hash), ballot.hash);
    assert.equal(trackingCode(hash), ballot.tracking_code);
    assert.equal(toHex(signature), ballot.signature);
  });

  test(`${name}: the ballot is verified and opened`, () => {
    const decoded = decodeCore(fromHex(ballot.core));
    checkRaces(
      decoded,
      request.selections.map(({ race }) => race),
    );
    checkProofs(decoded);
    assert.ok(areProofsValid([decoded], randomBytes));
    checkSignature(hash, signature, decoded.key);
    checkOpenings(decoded, openings, request.electionKey);
  });

  test(`${name}: another choice, key or sequence is refused`, () => {
    const first = itemAt(openings, 0);
    const otherwise = [{ ...first, candidate: first.candidate + 1 }, ...openings.slice(1)];
    assert.throws(() => checkOpenings(core, otherwise, request.electionKey), Refusal);
    assert.throws(() => checkOpenings(core, openings.slice(1), request.electionKey), Refusal);
    for (const moved of [
      { ...core, sequence: core.sequence + 1 },
      { ...core, key: core.key.add(GENERATOR) },
      { ...core, style: core.style + 1 },
    ]) {
      assert.throws(() => checkProofs(moved), Refusal);
      assert.ok(!areProofsValid([moved], randomBytes));
    }
    assert.throws(() => checkSignature(hash, signature, core.key.add(GENERATOR)), Refusal);
  });
}

test("case 08: high s, another v, another length of a signature are refused", () => {
  const ballot = itemAt(ballots, 0);
  const signature = fromHex(ballot.signature);
  const key = decodeCore(fromHex(ballot.core)).key;
  const hash = fromHex(ballot.hash);
  const s = decodeScalar(signature.subarray(32, 64));
  const high = Uint8Array.of(
    ...signature.subarray(0, 32),
    ...encodeScalar(ORDER - s),
    55 - itemAt(signature, 64),
  );
  assert.throws(() => checkSignature(hash, high, key), Refusal);
  for (const v of [0, 1, 26, 29]) {
    assert.throws(
      () => checkSignature(hash, Uint8Array.of(...signature.subarray(0, 64), v), key),
      Refusal,
    );
  }
  assert.throws(() => checkSignature(hash, signature.subarray(1), key), Refusal);
});

test("cases 06, 07, 09: scalars and lengths out of range are no ballot", () => {
  const core = fromHex(itemAt(ballots, 0).core);
  const bent = (at: number, bytes: Uint8Array): Uint8Array => {
    const copy = core.slice();
    copy.set(bytes, at);
    return copy;
  };
  const responseAt = 107 + 194;
  for (const bytes of [
    core.subarray(1),
    Uint8Array.of(...core, 0),
    core.subarray(0, 107),
    bent(0, Uint8Array.of(2)),
    bent(responseAt, new Uint8Array(32)),
    bent(responseAt, fromHex(ORDER.toString(16))),
    bent(109, fromHex((ORDER + 2n).toString(16))),
    bent(109, new Uint8Array(64)),
    bent(
      35,
      encodePointXy(GENERATOR).map((byte, at) => (at === 63 ? byte ^ 1 : byte)),
    ),
  ]) {
    assert.throws(() => decodeCore(bytes), Refusal);
  }
  assert.equal(toHex(encodePoint(decodeCore(core).key)).length, 66);
});
