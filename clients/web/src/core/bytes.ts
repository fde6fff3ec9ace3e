/** Byte strings: joining, comparing, hexadecimal, and reading to the last byte. */

import { Refusal } from "./refusal.js";

/** Joins byte strings. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Tells whether two byte strings are equal; not for secrets. */
export function isEqual(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}

/** Orders byte strings as unsigned numbers, the shorter first where one begins the other. */
export function compareBytes(left: Uint8Array, right: Uint8Array): number {
  const shared = Math.min(left.length, right.length);
  for (let at = 0; at < shared; at += 1) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0);
    if (difference !== 0) {
      return difference;
    }
  }
  return left.length - right.length;
}

const HEX = /^(?:[0-9a-f]{2})*$/;

/** Decodes lower-case hexadecimal without a prefix. */
export function fromHex(text: string): Uint8Array {
  if (!HEX.test(text)) {
    throw new Refusal("hexadecimal: expected lower-case pairs of digits", "ENCODING");
  }
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Encodes as lower-case hexadecimal. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Reads a big-endian unsigned integer. */
export function toInteger(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${toHex(bytes)}`);
}

/** Writes a big-endian unsigned integer of a fixed width. */
export function encodeInteger(value: bigint | number, size: number): Uint8Array {
  const whole = BigInt(value);
  if (whole < 0n || whole >> BigInt(8 * size) !== 0n) {
    throw new RangeError(`an integer that does not fit ${size} bytes`);
  }
  return fromHex(whole.toString(16).padStart(2 * size, "0"));
}

/** Encodes ASCII or UTF-8 text. */
export function encodeText(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
