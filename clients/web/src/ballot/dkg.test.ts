/** DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE against the shared vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";
import { loadVectors } from "../node/vectors.js";
import {
  commitOf,
  complaintChallenge,
  computeDid,
  confirmationChallenge,
  derivePublic,
  encryptionKeyChallenge,
  judgeComplaint,
  type KeyGeneration,
  type KeyPurpose,
  type Reveal,
  revealChallenge,
  type TrusteeKeys,
} from "./dkg.js";
import { decodePoint, encodePoint, GENERATOR, ORDER, type Point } from "./group.js";
import { isKnowledgeProven } from "./proofs.js";
import { decodeScalar, encodeScalar } from "./scalar.js";

interface Proof {
  w: string;
  z: string;
  challenge: string;
}

interface Run {
  chain_id: number;
  registry: string;
  draft_id: string;
  purpose: string;
  threshold: number;
  trustees: (Proof & { node: string; encryption: string })[];
  did: string;
  dealers: (Proof & { commitments: string[]; commit: string })[];
  key: string;
  share_keys: string[];
  confirmations: Proof[];
  complaints: {
    dealer: number;
    complainer: number;
    e: string;
    ciphertext: string;
    s: string;
    t1: string;
    t2: string;
    z: string;
    challenge: string;
    at_fault: string;
  }[];
}

const point = (hex: string): Point => decodePoint(fromHex(hex));
const scalar = (hex: string): bigint => decodeScalar(fromHex(hex));
const hex = (value: bigint): string => toHex(encodeScalar(value));

function runOf(run: Run): KeyGeneration {
  return {
    chainId: BigInt(run.chain_id),
    registry: fromHex(run.registry),
    draftId: fromHex(run.draft_id),
    purpose: new TextDecoder().decode(fromHex(run.purpose)) as KeyPurpose,
    threshold: run.threshold,
    trustees: run.trustees.map(
      (each): TrusteeKeys => ({ node: point(each.node), encryption: point(each.encryption) }),
    ),
  };
}

for (const run of loadVectors<{ runs: Run[] }>("dkg").runs) {
  const given = runOf(run);
  const did = computeDid(given);
  const reveals = run.dealers.map(
    (dealer): Reveal => ({
      commitments: dealer.commitments.map(point),
      proof: { w: point(dealer.w), z: scalar(dealer.z) },
    }),
  );
  const name = `${run.trustees.length} trustees, purpose ${given.purpose}`;

  test(`${name}: encryption keys are proven`, () => {
    assert.equal(toHex(did), run.did);
    run.trustees.forEach((each, at) => {
      const keys = itemAt(given.trustees, at);
      const challenge = encryptionKeyChallenge(given.chainId, given.registry, keys, point(each.w));
      assert.equal(hex(challenge), each.challenge);
      const proof = { w: point(each.w), z: scalar(each.z) };
      assert.ok(isKnowledgeProven(keys.encryption, proof, challenge));
      assert.ok(!isKnowledgeProven(keys.encryption, proof, (challenge + 1n) % ORDER));
    });
  });

  test(`${name}: reveals open their commits and prove the constant term`, () => {
    run.dealers.forEach((dealer, at) => {
      const reveal = itemAt(reveals, at);
      const challenge = revealChallenge(did, at + 1, reveal);
      assert.equal(hex(challenge), dealer.challenge);
      assert.equal(toHex(commitOf(did, at + 1, reveal)), dealer.commit);
      assert.ok(isKnowledgeProven(itemAt(reveal.commitments, 0), reveal.proof, challenge));
    });
  });

  test(`${name}: key and share keys follow, and are confirmed`, () => {
    const { key, shareKeys } = derivePublic(
      reveals.map((reveal) => reveal.commitments),
      run.trustees.length,
    );
    assert.equal(toHex(encodePoint(key)), run.key);
    assert.deepEqual(shareKeys.map(encodePoint).map(toHex), run.share_keys);
    run.confirmations.forEach((each, at) => {
      const challenge = confirmationChallenge(did, at + 1, key, shareKeys, point(each.w));
      assert.equal(hex(challenge), each.challenge);
      const proof = { w: point(each.w), z: scalar(each.z) };
      assert.ok(isKnowledgeProven(itemAt(shareKeys, at), proof, challenge));
      assert.ok(!isKnowledgeProven(key.add(GENERATOR), proof, challenge));
    });
  });

  for (const each of run.complaints) {
    test(`${name}: the ${each.at_fault} is at fault`, () => {
      const share = { ephemeral: point(each.e), ciphertext: fromHex(each.ciphertext) };
      const proof = { t1: point(each.t1), t2: point(each.t2), z: scalar(each.z) };
      const shared = point(each.s);
      const key = itemAt(given.trustees, each.complainer - 1).encryption;
      const statement = [key, share.ephemeral, shared, proof.t1, proof.t2];
      const challenge = complaintChallenge(did, each.dealer, each.complainer, statement);
      assert.equal(hex(challenge), each.challenge);
      const { commitments } = itemAt(reveals, each.dealer - 1);
      const judge = (complaint: { shared: Point; proof: typeof proof }) =>
        judgeComplaint(given, each.dealer, each.complainer, share, complaint, commitments);
      assert.equal(judge({ shared, proof }), each.at_fault);
      assert.equal(judge({ shared: shared.add(GENERATOR), proof }), "complainer");
    });
  }
}
