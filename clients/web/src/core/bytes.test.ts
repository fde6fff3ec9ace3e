import assert from "node:assert/strict";
import { test } from "node:test";
import {
  compareBytes,
  concat,
  encodeInteger,
  fromHex,
  isEqual,
  toHex,
  toInteger,
} from "./bytes.js";
import { Reader } from "./reader.js";
import { Refusal } from "./refusal.js";

test("hexadecimal and integers go both ways", () => {
  assert.equal(toHex(fromHex("00ff10")), "00ff10");
  assert.equal(toInteger(encodeInteger(258, 4)), 258n);
  assert.equal(toHex(encodeInteger(258, 4)), "00000102");
});

for (const text of ["0", "0X", "FF", "zz", "0x00"]) {
  test(`${text} is no hexadecimal`, () => {
    assert.throws(() => fromHex(text), Refusal);
  });
}

test("an integer too large for its width, or negative, is refused", () => {
  assert.throws(() => encodeInteger(256, 1), RangeError);
  assert.throws(() => encodeInteger(-1, 2), RangeError);
});

test("byte strings are ordered as numbers, a beginning before the whole", () => {
  const ordered = ["", "00", "0001", "01", "ff"].map(fromHex);
  assert.deepEqual([...ordered].reverse().sort(compareBytes), ordered);
  assert.ok(!isEqual(fromHex("00"), fromHex("0000")));
  assert.equal(toHex(concat(fromHex("01"), fromHex(""), fromHex("02"))), "0102");
});

test("a reader refuses to read past the end and to leave bytes over", () => {
  const reader = new Reader(fromHex("0102"), "RULE");
  assert.equal(reader.takeNumber(1), 1);
  assert.throws(() => reader.finish(), /1 bytes left over \(RULE\)/);
  assert.throws(() => reader.take(2), Refusal);
});
