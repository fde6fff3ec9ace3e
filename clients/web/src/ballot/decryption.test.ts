/** DEC-SHARE, DEC-COMBINE against the shared vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { loadVectors } from "../node/vectors.js";
import { decodeList } from "./cipherList.js";
import {
  combineShares,
  type DecryptionShare,
  type DecryptionStatement,
  decodeShareProof,
  decryptionTranscript,
  isShareValid,
  lagrange,
} from "./decryption.js";
import { toEid } from "./eid.js";
import { decodePoint, decodePoints, encodePoint, GENERATOR } from "./group.js";
import { encodeScalar } from "./scalar.js";

interface Decryption {
  eid: string;
  kind: "B";
  list: number;
  threshold: number;
  rows: string;
  shares: {
    trustee: number;
    share_key: string;
    shares: string;
    weights: string[];
    base: string;
    image: string;
    challenge: string;
    t1: string;
    t2: string;
    z: string;
  }[];
  messages: string[];
}

for (const each of loadVectors<{ decryptions: Decryption[] }>("decryption").decryptions) {
  const list = decodeList(fromHex(each.rows), 1);
  const context = { eid: toEid(fromHex(each.eid)), kind: each.kind, listId: each.list, round: 0 };
  const parts = each.shares.map((given) => {
    const statement: DecryptionStatement = {
      context,
      list,
      column: 0,
      trustee: given.trustee,
      shareKey: decodePoint(fromHex(given.share_key)),
    };
    const share: DecryptionShare = {
      shares: decodePoints(fromHex(given.shares)),
      proof: decodeShareProof(fromHex(given.t1 + given.t2 + given.z)),
    };
    return { given, statement, share };
  });

  test("every trustee's share is proven, hash by hash", () => {
    for (const { given, statement, share } of parts) {
      const transcript = decryptionTranscript(statement, share);
      const weights = transcript.weights.map((weight) => weight.toString(16).padStart(32, "0"));
      assert.deepEqual(weights, given.weights);
      assert.equal(toHex(encodePoint(transcript.base)), given.base);
      assert.equal(toHex(encodePoint(transcript.image)), given.image);
      assert.equal(toHex(encodeScalar(transcript.challenge)), given.challenge);
      assert.ok(isShareValid(statement, share));
    }
  });

  test("case 77, 82: a wrong point, or errors that cancel, are refused", () => {
    const { statement, share } = itemAt(parts, 1);
    const [first, second, ...rest] = share.shares as [typeof GENERATOR, ...(typeof GENERATOR)[]];
    assert.ok(second);
    const cancelled = [first.add(GENERATOR), second.subtract(GENERATOR), ...rest];
    assert.ok(!isShareValid(statement, { ...share, shares: cancelled }));
    assert.ok(!isShareValid(statement, { ...share, shares: share.shares.slice(1) }));
    assert.ok(!isShareValid({ ...statement, trustee: 3 }, share));
    assert.ok(!isShareValid({ ...statement, context: { ...context, listId: 2 } }, share));
  });

  for (const chosen of [
    [1, 2, 3],
    [2, 3, 4],
    [4, 1, 3],
  ]) {
    test(`trustees ${chosen.join(", ")} give the messages`, () => {
      const shares = new Map(
        chosen.map((index) => [index, itemAt(parts, index - 1).share.shares] as const),
      );
      assert.deepEqual(combineShares(list, 0, shares).map(encodePoint).map(toHex), each.messages);
    });
  }

  test("case 83, 84: too few trustees give nothing, index 0 or a repetition is refused", () => {
    const few = new Map([1, 2].map((index) => [index, itemAt(parts, index - 1).share.shares]));
    assert.notDeepEqual(combineShares(list, 0, few).map(encodePoint).map(toHex), each.messages);
    assert.throws(() => lagrange([0, 1, 2], 1), Refusal);
    assert.throws(() => lagrange([1, 2, 2], 1), Refusal);
  });
}
