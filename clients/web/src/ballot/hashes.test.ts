/** BALLOT-HASH, BALLOT-H2C, BALLOT-ENCODING, ROLL-KEY and receipts against the shared vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { secp256k1_hasher } from "@noble/curves/secp256k1.js";
import { encodeText, fromHex, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { loadVectors } from "../node/vectors.js";
import { encodeCrockford } from "./crockford.js";
import { toEid } from "./eid.js";
import {
  decodePoint,
  decodePointXy,
  encodePoint,
  encodePointXy,
  GENERATOR,
  IDENTITY,
} from "./group.js";
import {
  candidatePoint,
  commitmentGenerators,
  hashToCurve,
  hashWithDomain,
  rollPointer,
} from "./hashToCurve.js";
import { ballotReceiptHash, rollReceiptHash } from "./receipt.js";
import { eligibleLeaf } from "./rollEntry.js";
import { decodeScalar, encodeScalar } from "./scalar.js";
import { hashToScalar, type Tag, taggedHash } from "./taggedHash.js";
import { deriveBallotKey, tokenMessage, voteCode, withdrawalHash } from "./voterKey.js";

interface Hashes {
  tagged: { tag: Tag; message: string; hash: string; scalar: string }[];
  codes: { bytes: string; code: string }[];
}

interface Points {
  hash_to_curve: { label: string; message: string; point: string }[];
  generators: string[];
  candidates: { eid: string; race: number; candidate: number; point: string }[];
  pointers: { eid: string; key: string; point: string }[];
  encodings: { p33: string; p64: string }[];
  not_p33: string[];
  not_p64: string[];
  not_scalars: string[];
}

interface Names {
  keys: {
    eid: string;
    seed: string;
    secret: string;
    key: string;
    vote_code: string;
    token_message: string;
    withdraw_sequence: number;
    withdrawal: string;
    commitment: string;
    batch: number;
    time: number;
    roll_receipt: string;
    ballot_hash: string;
    deadline: number;
    ballot_receipt: string;
  }[];
  slots: { slot: string; style: number; leaf: string }[];
}

const hashes = loadVectors<Hashes>("hashes");
const points = loadVectors<Points>("points");
const names = loadVectors<Names>("names");

test("tagged hashes and challenges", () => {
  for (const { tag, message, hash, scalar } of hashes.tagged) {
    assert.equal(toHex(taggedHash(tag, fromHex(message))), hash);
    assert.equal(toHex(encodeScalar(hashToScalar(tag, fromHex(message)))), scalar);
  }
});

test("codes for people", () => {
  for (const { bytes, code } of hashes.codes) {
    assert.equal(encodeCrockford(fromHex(bytes)), code);
  }
});

test("hash to curve, generators, candidates, pointers", () => {
  for (const { label, message, point } of points.hash_to_curve) {
    assert.equal(toHex(encodePoint(hashToCurve(label, fromHex(message)))), point);
  }
  assert.deepEqual(commitmentGenerators(6).map(encodePoint).map(toHex), points.generators);
  for (const { eid, race, candidate, point } of points.candidates) {
    const found = candidatePoint(toEid(fromHex(eid)), race, candidate);
    assert.equal(toHex(encodePoint(found)), point);
  }
  for (const { eid, key, point } of points.pointers) {
    const found = rollPointer(toEid(fromHex(eid)), decodePointXy(fromHex(key)));
    assert.equal(toHex(encodePoint(found)), point);
  }
});

test("RFC 9380, appendix J.8.1, under its own domain", () => {
  const domain = "QUUX-V01-CS02-with-secp256k1_XMD:SHA-256_SSWU_RO_";
  const empty = hashWithDomain(encodeText(""), domain);
  const abc = hashWithDomain(encodeText("abc"), domain);
  assert.equal(
    empty.toAffine().x.toString(16),
    "c1cae290e291aee617ebaef1be6d73861479c48b841eaba9b7b5852ddfeb1346",
  );
  assert.equal(
    abc.toAffine().x.toString(16),
    "3377e01eab42db296b512293120c6cee72b6ecf9f9205760bd9ff11fb3cb2c4b",
  );
  assert.ok(!secp256k1_hasher.hashToCurve(encodeText("")).equals(empty));
});

test("points in both encodings", () => {
  for (const { p33, p64 } of points.encodings) {
    assert.equal(toHex(encodePointXy(decodePoint(fromHex(p33)))), p64);
    assert.equal(toHex(encodePoint(decodePointXy(fromHex(p64)))), p33);
  }
  assert.throws(() => encodePoint(IDENTITY), Refusal);
  assert.throws(() => encodePointXy(GENERATOR.subtract(GENERATOR)), Refusal);
});

for (const bytes of points.not_p33) {
  test(`${bytes} is no P33`, () => {
    assert.throws(() => decodePoint(fromHex(bytes)), Refusal);
  });
}

for (const bytes of points.not_p64) {
  test(`${bytes} is no P64`, () => {
    assert.throws(() => decodePointXy(fromHex(bytes)), Refusal);
  });
}

for (const bytes of points.not_scalars) {
  test(`${bytes} is no scalar`, () => {
    assert.throws(() => decodeScalar(fromHex(bytes)), Refusal);
  });
}

test("what is derived from a voter's seed and key, and what receipts sign", () => {
  for (const each of names.keys) {
    const eid = toEid(fromHex(each.eid));
    const secret = deriveBallotKey(fromHex(each.seed), eid);
    assert.equal(toHex(encodeScalar(secret)), each.secret);
    const key = GENERATOR.multiply(secret);
    assert.equal(toHex(encodePointXy(key)), each.key);
    assert.equal(voteCode(eid, key), each.vote_code);
    assert.equal(toHex(tokenMessage(eid, key)), each.token_message);
    assert.equal(toHex(withdrawalHash(eid, key, each.withdraw_sequence)), each.withdrawal);
    const enrolled = rollReceiptHash(eid, fromHex(each.commitment), each.batch, each.time);
    assert.equal(toHex(enrolled), each.roll_receipt);
    const received = ballotReceiptHash(eid, fromHex(each.ballot_hash), each.deadline);
    assert.equal(toHex(received), each.ballot_receipt);
  }
  for (const { slot, style, leaf } of names.slots) {
    assert.equal(toHex(eligibleLeaf(fromHex(slot), style)), leaf);
  }
});
