/**
 * The five equations of a Terelius-Wikström shuffle, in one sum or one by one.
 *
 * The sum takes the verifier's own weights, drawn after the proof is read.
 *
 * Spec: MIX-VERIFY.
 */

import { itemAt, zip } from "../core/rows.js";
import {
  GENERATOR,
  IDENTITY,
  type Point,
  publicMultiple,
  reduce,
  type Term,
  weightedSum,
} from "./group.js";
import { commitmentGenerators } from "./hashToCurve.js";
import { drawWeight, type NonceSource } from "./scalar.js";
import {
  type ShuffleProof,
  type ShuffleStatement,
  shuffleChallenge,
  shuffleSeed,
  shuffleWeights,
} from "./shuffleProof.js";

/** One side of an equation is zero when the equation holds: a sum that must be the identity. */
interface Equation {
  /** "1", "2", "3", "4a[l]", "4b[l]" or "5[i]", indices from 1. */
  readonly name: string;
  readonly terms: readonly Term[];
}

/** Tells whether a shuffle is valid. */
export function isShuffleValid(
  statement: ShuffleStatement,
  proof: ShuffleProof,
  source: NonceSource,
): boolean {
  if (!isShapeRight(statement, proof)) {
    return false;
  }
  const scalars = new Map<Point, bigint>();
  for (const { terms } of equationsOf(statement, proof)) {
    const weight = drawWeight(source);
    for (const [point, scalar] of terms) {
      scalars.set(point, reduce((scalars.get(point) ?? 0n) + weight * scalar));
    }
  }
  return weightedSum([...scalars]).is0();
}

/** Returns the names of the equations that do not hold; slower, to say what is wrong. */
export function failedEquations(statement: ShuffleStatement, proof: ShuffleProof): string[] {
  if (!isShapeRight(statement, proof)) {
    return ["shape"];
  }
  return equationsOf(statement, proof)
    .filter(({ terms }) => !sumOf(terms).is0())
    .map(({ name }) => name);
}

const FEW = 6;

function sumOf(terms: readonly Term[]): Point {
  if (terms.length > FEW) {
    return weightedSum(terms);
  }
  return terms.reduce((sum, [point, scalar]) => sum.add(publicMultiple(point, scalar)), IDENTITY);
}

function isShapeRight(statement: ShuffleStatement, proof: ShuffleProof): boolean {
  const count = statement.inputs.rows.length;
  const width = statement.keys.length;
  const { commitments, links, tHat, zHat, zPrime } = proof;
  return (
    count > 0 &&
    [statement.inputs.width, statement.outputs.width].every((found) => found === width) &&
    statement.outputs.rows.length === count &&
    [commitments, links, tHat, zHat, zPrime].every((part) => part.length === count) &&
    proof.t4.length === width &&
    proof.z4.length === width
  );
}

function equationsOf(statement: ShuffleStatement, proof: ShuffleProof): readonly Equation[] {
  const count = statement.inputs.rows.length;
  const seed = shuffleSeed(statement, proof.commitments);
  const weights = shuffleWeights(seed, count);
  const challenge = shuffleChallenge(seed, proof);
  const [base, ...bases] = commitmentGenerators(count) as [Point, ...Point[]];
  const scaled = weights.map((weight) => reduce(-challenge * weight));
  const product = weights.reduce((sum, weight) => reduce(sum * weight), 1n);
  return [
    {
      name: "1",
      terms: [
        [GENERATOR, proof.z1],
        [proof.t1, -1n],
        ...proof.commitments.map((point): Term => [point, -challenge]),
        ...bases.map((point): Term => [point, challenge]),
      ],
    },
    {
      name: "2",
      terms: [
        [GENERATOR, proof.z2],
        [proof.t2, -1n],
        [itemAt(proof.links, count - 1), -challenge],
        [base, challenge * product],
      ],
    },
    {
      name: "3",
      terms: [
        [GENERATOR, proof.z3],
        [proof.t3, -1n],
        ...zip(bases, proof.zPrime),
        ...zip(proof.commitments, scaled),
      ],
    },
    ...statement.keys.flatMap((key, column) =>
      columnEquations(statement, proof, scaled, key, column),
    ),
    ...linkEquations(proof, base, challenge),
  ];
}

function columnEquations(
  statement: ShuffleStatement,
  proof: ShuffleProof,
  scaled: readonly bigint[],
  key: Point,
  column: number,
): readonly Equation[] {
  const before = statement.inputs.rows.map((row) => itemAt(row, column));
  const after = statement.outputs.rows.map((row) => itemAt(row, column));
  const { t4a, t4b } = itemAt(proof.t4, column);
  const response = itemAt(proof.z4, column);
  const side = (pick: "a" | "b", announced: Point, under: Point): readonly Term[] => [
    ...zip(
      after.map((each) => each[pick]),
      proof.zPrime,
    ),
    [under, -response],
    [announced, -1n],
    ...zip(
      before.map((each) => each[pick]),
      scaled,
    ),
  ];
  return [
    { name: `4a[${column + 1}]`, terms: side("a", t4a, GENERATOR) },
    { name: `4b[${column + 1}]`, terms: side("b", t4b, key) },
  ];
}

function linkEquations(proof: ShuffleProof, base: Point, challenge: bigint): readonly Equation[] {
  return proof.links.map((link, at) => ({
    name: `5[${at + 1}]`,
    terms: [
      [GENERATOR, itemAt(proof.zHat, at)],
      [at === 0 ? base : itemAt(proof.links, at - 1), itemAt(proof.zPrime, at)],
      [itemAt(proof.tHat, at), -1n],
      [link, -challenge],
    ],
  }));
}
