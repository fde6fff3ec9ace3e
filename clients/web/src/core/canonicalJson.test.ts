import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeText } from "./bytes.js";
import { decodeCanonical, encodeCanonical } from "./canonicalJson.js";
import { Refusal } from "./refusal.js";

test("names are sorted by their UTF-16 units and nothing is put between", () => {
  const value = { "\ufb33": 1, "\u{1f600}": 2, b: [true, null, "é\n"], a: 0 };
  const text = new TextDecoder().decode(encodeCanonical(value));
  assert.equal(text, '{"a":0,"b":[true,null,"é\\n"],"\u{1f600}":2,"\ufb33":1}');
  assert.deepEqual(decodeCanonical(encodeText(text)), value);
});

for (const text of [
  '{"b":1,"a":2}',
  '{"a": 1}',
  '{"a":1,"a":1}',
  '{"a":1.0}',
  '{"a":-0}',
  '{"a":9007199254740993}',
  '{"a":"\\u0041"}',
  '{"a":"\\ud800"}',
  '{"a":1}\n',
  "\ufeff{}",
  "[",
]) {
  test(`${JSON.stringify(text)} is not canonical`, () => {
    assert.throws(() => decodeCanonical(encodeText(text)), Refusal);
  });
}
