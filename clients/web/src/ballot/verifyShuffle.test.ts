/** MIX-VERIFY, MIX-TRANSCRIPT, MIX-FORMAT, MIX-CONTEXT against the shared vectors. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { loadVectors } from "../node/vectors.js";
import {
  decodeList,
  encodeContext,
  encodeList,
  type ListContext,
  listDigest,
} from "./cipherList.js";
import { toEid } from "./eid.js";
import { decodePoint } from "./group.js";
import { encodeScalar } from "./scalar.js";
import {
  decodeShuffleProof,
  type ShuffleProof,
  type ShuffleStatement,
  shuffleChallenge,
  shuffleSeed,
  shuffleWeights,
} from "./shuffleProof.js";
import { failedEquations, isShuffleValid } from "./verifyShuffle.js";

interface Shuffle {
  eid: string;
  kind: "B";
  list: number;
  round: number;
  width: number;
  rows: number;
  keys: string[];
  context: string;
  inputs: string;
  outputs: string;
  inputs_digest: string;
  outputs_digest: string;
  seed: string;
  weights: string[];
  challenge: string;
  proof: string;
}

function refused(statement: ShuffleStatement, proof: ShuffleProof): readonly string[] {
  assert.ok(!isShuffleValid(statement, proof, randomBytes));
  return failedEquations(statement, proof);
}

for (const each of loadVectors<{ shuffles: Shuffle[] }>("shuffle").shuffles) {
  const name = `${each.rows} rows of ${each.width}`;
  const context: ListContext = {
    eid: toEid(fromHex(each.eid)),
    kind: each.kind,
    listId: each.list,
    round: each.round,
  };
  const statement: ShuffleStatement = {
    context,
    keys: each.keys.map((key) => decodePoint(fromHex(key))),
    inputs: decodeList(fromHex(each.inputs), each.width),
    outputs: decodeList(fromHex(each.outputs), each.width),
  };
  const bytes = fromHex(each.proof);
  const proof = decodeShuffleProof(bytes, each.rows, each.width);

  test(`${name}: every hash is the vectors'`, () => {
    assert.equal(toHex(encodeContext(context)), each.context);
    assert.equal(toHex(encodeList(statement.inputs)), each.inputs);
    assert.equal(toHex(listDigest(context, statement.inputs)), each.inputs_digest);
    assert.equal(toHex(listDigest(context, statement.outputs)), each.outputs_digest);
    const seed = shuffleSeed(statement, proof.commitments);
    assert.equal(toHex(seed), each.seed);
    const weights = shuffleWeights(seed, each.rows).map(encodeScalar).map(toHex);
    assert.deepEqual(weights, each.weights);
    assert.equal(toHex(encodeScalar(shuffleChallenge(seed, proof))), each.challenge);
  });

  test(`${name}: the proof holds, in one sum and one by one`, () => {
    assert.ok(isShuffleValid(statement, proof, randomBytes));
    assert.deepEqual(failedEquations(statement, proof), []);
  });

  test(`${name}: a proof of another length is refused`, () => {
    for (const bent of [bytes.subarray(1), Uint8Array.of(...bytes, 0)]) {
      assert.throws(() => decodeShuffleProof(bent, each.rows, each.width), Refusal);
    }
    assert.throws(() => decodeShuffleProof(bytes, each.rows + 1, each.width), Refusal);
  });

  test(`${name}: a shuffle shown as another round, or swapped, is refused`, () => {
    const moved = { ...statement, context: { ...context, round: context.round + 1 } };
    assert.ok(refused(moved, proof).length > 0);
    const swapped = { ...statement, inputs: statement.outputs, outputs: statement.inputs };
    assert.ok(refused(swapped, proof).length > 0);
    const shorter = { ...statement, inputs: { ...statement.inputs, rows: [] } };
    assert.deepEqual(refused(shorter, proof), ["shape"]);
  });

  test(`${name}: every scalar of the proof matters`, () => {
    const bump = (values: readonly bigint[]) =>
      values.map((value, at) => (at ? value : value + 1n));
    assert.deepEqual(refused(statement, { ...proof, z1: proof.z1 + 1n }), ["1"]);
    assert.deepEqual(refused(statement, { ...proof, z2: proof.z2 + 1n }), ["2"]);
    assert.deepEqual(refused(statement, { ...proof, z3: proof.z3 + 1n }), ["3"]);
    assert.deepEqual(refused(statement, { ...proof, z4: bump(proof.z4) }), ["4a[1]", "4b[1]"]);
    assert.deepEqual(refused(statement, { ...proof, zHat: bump(proof.zHat) }), ["5[1]"]);
    assert.ok(refused(statement, { ...proof, zPrime: bump(proof.zPrime) }).includes("5[1]"));
  });

  test(`${name}: every point of the proof matters`, () => {
    const bump = (points: ShuffleProof["links"]) => points.map((point) => point.double());
    for (const part of ["commitments", "links", "tHat"] as const) {
      assert.ok(refused(statement, { ...proof, [part]: bump(proof[part]) }).length > 0, part);
    }
    for (const part of ["t1", "t2", "t3"] as const) {
      assert.ok(refused(statement, { ...proof, [part]: proof[part].double() }).length > 0, part);
    }
    const t4 = proof.t4.map(({ t4a, t4b }) => ({ t4a: t4b, t4b: t4a }));
    assert.ok(refused(statement, { ...proof, t4 }).length > 0);
  });
}
