/** RLP, strictly: one form for each value, and nothing after it. */

import { concat, encodeInteger, toInteger } from "./bytes.js";
import { Refusal } from "./refusal.js";
import { itemAt } from "./rows.js";

/** A byte string, or a list of items. */
export type RlpItem = Uint8Array | readonly RlpItem[];

const RULE = "AUDIT-BUNDLE";
const DEPTH_MAX = 16;
const SHORT_MAX = 55;

/** Where an item's body begins and ends, and whether it is a list. */
interface Span {
  readonly isList: boolean;
  readonly start: number;
  readonly stop: number;
}

function readSpan(bytes: Uint8Array, at: number, end: number): Span {
  if (at >= end) {
    throw new Refusal("RLP: an item is missing", RULE);
  }
  const prefix = itemAt(bytes, at);
  if (prefix < 0x80) {
    return { isList: false, start: at, stop: at + 1 };
  }
  const isList = prefix >= 0xc0;
  const size = prefix - (isList ? 0xc0 : 0x80);
  const span = size <= SHORT_MAX ? { start: at + 1, size } : readLong(bytes, at, size - SHORT_MAX);
  const stop = span.start + span.size;
  if (stop > end) {
    throw new Refusal("RLP: bytes end inside an item", RULE);
  }
  if (!isList && span.size === 1 && itemAt(bytes, span.start) < 0x80) {
    throw new Refusal("RLP: a byte in its long form", RULE);
  }
  return { isList, start: span.start, stop };
}

function readLong(bytes: Uint8Array, at: number, width: number): { start: number; size: number } {
  const digits = bytes.subarray(at + 1, at + 1 + width);
  const size = toInteger(digits);
  if (digits.length < width || digits[0] === 0 || size <= SHORT_MAX || size > 2n ** 32n) {
    throw new Refusal("RLP: a length in another form", RULE);
  }
  return { start: at + 1 + width, size: Number(size) };
}

function readItem(bytes: Uint8Array, span: Span, depth: number): RlpItem {
  if (!span.isList) {
    return bytes.subarray(span.start, span.stop);
  }
  if (depth > DEPTH_MAX) {
    throw new Refusal("RLP: lists too deep", RULE);
  }
  const items: RlpItem[] = [];
  for (let at = span.start; at < span.stop; ) {
    const next = readSpan(bytes, at, span.stop);
    items.push(readItem(bytes, next, depth + 1));
    at = next.stop;
  }
  return items;
}

/** Decodes one item that is all of the bytes. */
export function decodeRlp(bytes: Uint8Array): RlpItem {
  const span = readSpan(bytes, 0, bytes.length);
  if (span.stop !== bytes.length) {
    throw new Refusal("RLP: bytes left over", RULE);
  }
  return readItem(bytes, span, 0);
}

/** Yields every item of a row of them, with the place where each begins. */
export function* decodeRow(
  bytes: Uint8Array,
  begin: number,
): Generator<{ readonly item: RlpItem; readonly start: number }> {
  for (let at = begin; at < bytes.length; ) {
    const span = readSpan(bytes, at, bytes.length);
    yield { item: readItem(bytes, span, 0), start: at };
    at = span.stop;
  }
}

function encodeHead(size: number, offset: number): Uint8Array {
  if (size <= SHORT_MAX) {
    return Uint8Array.of(offset + size);
  }
  const width = Math.ceil(size.toString(16).length / 2);
  return concat(Uint8Array.of(offset + SHORT_MAX + width), encodeInteger(size, width));
}

/** Encodes an item. */
export function encodeRlp(item: RlpItem): Uint8Array {
  if (!(item instanceof Uint8Array)) {
    const body = concat(...item.map(encodeRlp));
    return concat(encodeHead(body.length, 0xc0), body);
  }
  const isItself = item.length === 1 && itemAt(item, 0) < 0x80;
  return isItself ? item : concat(encodeHead(item.length, 0x80), item);
}

/** Writes a number without leading zeros. */
export function encodeScalarRlp(value: bigint): Uint8Array {
  return value === 0n
    ? new Uint8Array()
    : encodeInteger(value, Math.ceil(value.toString(16).length / 2));
}

/** Returns an item that must be bytes. */
export function bytesOf(item: RlpItem | undefined): Uint8Array {
  if (item instanceof Uint8Array) {
    return item;
  }
  throw new Refusal("RLP: expected bytes", RULE);
}

/** Returns an item that must be a list, of `size` items where that is given. */
export function listOf(item: RlpItem | undefined, size?: number): readonly RlpItem[] {
  if (item === undefined || item instanceof Uint8Array) {
    throw new Refusal("RLP: expected a list", RULE);
  }
  if (size !== undefined && item.length !== size) {
    throw new Refusal(`RLP: ${item.length} items, expected ${size}`, RULE);
  }
  return item;
}

/** Returns an item that must be a number JavaScript keeps exact. */
export function numberOf(item: RlpItem | undefined): number {
  const bytes = bytesOf(item);
  const value = toInteger(bytes);
  if (bytes[0] === 0 || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new Refusal("RLP: expected a number in its shortest form", RULE);
  }
  return Number(value);
}
