/**
 * The group of the voting protocol: secp256k1, points and weighted sums of them.
 *
 * The identity has no encoding. `multiple` is for secrets; `publicMultiple` and `weightedSum` are
 * variable-time and serve public data alone.
 *
 * Spec: BALLOT-GROUP, BALLOT-ENCODING.
 */

import { pippenger } from "@noble/curves/abstract/curve.js";
import { secp256k1 } from "@noble/curves/secp256k1.js";
import { concat } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";

const Curve = secp256k1.Point;

export type Point = InstanceType<typeof Curve>;

export const ORDER: bigint = Curve.Fn.ORDER;
export const GENERATOR: Point = Curve.BASE;
export const IDENTITY: Point = Curve.ZERO;
export const POINT_SIZE = 33;
export const POINT_XY_SIZE = 64;

/** Decodes P33. */
export function decodePoint(bytes: Uint8Array): Point {
  if (bytes.length !== POINT_SIZE || (bytes[0] !== 2 && bytes[0] !== 3)) {
    throw new Refusal("point: expected 33 bytes beginning 02 or 03", "BALLOT-ENCODING");
  }
  return parse(bytes);
}

/** Decodes P64. */
export function decodePointXy(bytes: Uint8Array): Point {
  if (bytes.length !== POINT_XY_SIZE) {
    throw new Refusal(`point: expected 64 bytes, found ${bytes.length}`, "BALLOT-ENCODING");
  }
  return parse(concat(Uint8Array.of(4), bytes));
}

function parse(bytes: Uint8Array): Point {
  try {
    const point = Curve.fromBytes(bytes);
    point.assertValidity();
    return point;
  } catch {
    throw new Refusal("point: not on the curve", "BALLOT-ENCODING");
  }
}

/** Decodes joined P33 encodings. */
export function decodePoints(bytes: Uint8Array): readonly Point[] {
  if (bytes.length % POINT_SIZE !== 0) {
    throw new Refusal(`points: ${bytes.length} bytes is no multiple of 33`, "BALLOT-ENCODING");
  }
  const points: Point[] = [];
  for (let at = 0; at < bytes.length; at += POINT_SIZE) {
    points.push(decodePoint(bytes.subarray(at, at + POINT_SIZE)));
  }
  return points;
}

/** Encodes as P33. */
export function encodePoint(point: Point): Uint8Array {
  refuseIdentity(point);
  return point.toBytes(true);
}

/** Encodes as P64. */
export function encodePointXy(point: Point): Uint8Array {
  refuseIdentity(point);
  return point.toBytes(false).subarray(1);
}

/** Encodes many points as P33, joined. */
export function encodePoints(points: readonly Point[]): Uint8Array {
  return concat(...points.map(encodePoint));
}

function refuseIdentity(point: Point): void {
  if (point.is0()) {
    throw new Refusal("the identity has no encoding", "BALLOT-ENCODING");
  }
}

/** Returns a scalar's residue in [0, n). */
export function reduce(scalar: bigint): bigint {
  return Curve.Fn.create(scalar);
}

/** Returns the inverse of a scalar mod n. */
export function invert(scalar: bigint): bigint {
  return Curve.Fn.inv(reduce(scalar));
}

/** Returns [scalar]point for a secret scalar in [1, n). */
export function multiple(point: Point, scalar: bigint): Point {
  return point.multiply(scalar);
}

/** Returns [scalar]point for a public scalar, in variable time. */
export function publicMultiple(point: Point, scalar: bigint): Point {
  return point.multiplyUnsafe(reduce(scalar));
}

/** One summand of a weighted sum. */
export type Term = readonly [Point, bigint];

/** Returns the sum of [scalar]point over the terms, in variable time. */
export function weightedSum(terms: readonly Term[]): Point {
  const kept = terms.filter(([point]) => !point.is0());
  return pippenger(
    Curve,
    kept.map(([point]) => point),
    kept.map(([, scalar]) => reduce(scalar)),
  );
}
