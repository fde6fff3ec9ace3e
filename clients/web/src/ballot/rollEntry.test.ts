/** ROLL-ENTRY, ROLL-COMMITMENT against the shared vectors. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { loadVectors } from "../node/vectors.js";
import { decodePointXy, GENERATOR, multiple } from "./group.js";
import { rollPointer } from "./hashToCurve.js";
import {
  cardText,
  checkRollEntry,
  decodeRollEntry,
  encodeRollEntry,
  makeRollEntry,
  rollChallenge,
  rollCommitment,
  rollDigest,
} from "./rollEntry.js";
import { decodeScalar, encodeScalar } from "./scalar.js";

interface Entry {
  ballot_key: string;
  roll_secret: string;
  entry: string;
  challenge: string;
  digest: string;
  card_text: string;
  salt: string;
  commitment: string;
}

for (const each of loadVectors<{ entries: Entry[] }>("roll").entries) {
  const bytes = fromHex(each.entry);
  const entry = decodeRollEntry(bytes);
  const rollSecret = decodeScalar(fromHex(each.roll_secret));

  test("an entry decodes, is proven, and seals the pointer", () => {
    assert.equal(toHex(encodeRollEntry(entry)), each.entry);
    assert.equal(toHex(encodeScalar(rollChallenge(entry))), each.challenge);
    checkRollEntry(entry);
    const pointer = rollPointer(entry.eid, decodePointXy(fromHex(each.ballot_key)));
    assert.ok(entry.b.subtract(multiple(entry.a, rollSecret)).equals(pointer));
  });

  test("what the card signs and what the chain holds", () => {
    const digest = rollDigest(bytes);
    assert.equal(toHex(digest), each.digest);
    assert.equal(new TextDecoder().decode(cardText(digest)), each.card_text);
    assert.equal(toHex(rollCommitment(digest, fromHex(each.salt))), each.commitment);
  });

  test("an entry moved to another slot, version or nonce is refused", () => {
    const slot = new Uint8Array(32);
    assert.throws(() => checkRollEntry({ ...entry, slot }), Refusal);
    assert.throws(() => checkRollEntry({ ...entry, version: entry.version + 1 }), Refusal);
    assert.throws(() => checkRollEntry({ ...entry, nonce: slot }), Refusal);
    assert.throws(() => decodeRollEntry(bytes.subarray(1)), Refusal);
    assert.throws(() => decodeRollEntry(Uint8Array.of(...bytes, 0)), Refusal);
  });

  test("an entry made here is accepted", () => {
    const made = makeRollEntry(entry, GENERATOR, multiple(GENERATOR, rollSecret), randomBytes);
    checkRollEntry(decodeRollEntry(encodeRollEntry(made)));
  });
}
