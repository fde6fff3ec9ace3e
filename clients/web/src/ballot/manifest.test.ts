/** ELECTION-MANIFEST, ELECTION-ID against the shared vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { decodeCanonical, encodeCanonical, type Json } from "../core/canonicalJson.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { loadVectors } from "../node/vectors.js";
import { decodeManifest } from "./manifest.js";

interface Manifests {
  valid: { manifest: string; eid: string }[];
  invalid: { why: string; manifest: string }[];
}

const { valid, invalid } = loadVectors<Manifests>("manifest");

test("a manifest decodes and has its id", () => {
  for (const { manifest, eid } of valid) {
    assert.equal(toHex(decodeManifest(fromHex(manifest)).eid), eid);
  }
});

for (const { why, manifest } of invalid) {
  test(`refused: ${why}`, () => {
    assert.throws(() => decodeManifest(fromHex(manifest)), Refusal);
  });
}

const fields = decodeCanonical(fromHex(itemAt(valid, 0).manifest)) as Record<string, Json>;

for (const [name, value] of Object.entries<Json>({
  version: 2,
  profile: "T",
  threshold: 5,
  mixers: [1, 1, 2],
  min_mixes: 5,
  registrars: [],
  draft_id: "22",
  ballot_key: `04${"11".repeat(32)}`,
  races: [],
  opens_at: "soon",
  is_mock: 0,
})) {
  test(`refused: ${name} of ${JSON.stringify(value)}`, () => {
    const bent = encodeCanonical({ ...fields, [name]: value });
    assert.throws(() => decodeManifest(bent), Refusal);
  });
}

for (const name of Object.keys(fields)) {
  test(`refused: without ${name}`, () => {
    const { [name]: _, ...rest } = fields;
    assert.throws(() => decodeManifest(encodeCanonical(rest)), Refusal);
  });
}
