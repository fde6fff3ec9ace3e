/** From accepted ballots to a result. Spec: TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT. */

import { compareBytes, encodeInteger, toHex } from "../core/bytes.js";
import type { BallotCore } from "./ballotCore.js";
import type { CipherList } from "./cipherList.js";
import type { Eid } from "./eid.js";
import { encodePoint, encodePointXy, type Point } from "./group.js";
import { candidatePoint, rollPointer } from "./hashToCurve.js";
import { taggedHash } from "./taggedHash.js";

/** Why an accepted ballot is not counted. */
export type Removal = "superseded" | "withdrawn" | "not_on_roll";

export interface RemovedBallot {
  readonly ballot: BallotCore;
  readonly reason: Removal;
}

export interface Cleansing {
  /** Ordered by P64(K). */
  readonly kept: readonly BallotCore[];
  /** In the order accepted. */
  readonly removed: readonly RemovedBallot[];
  /** Per style, how many opened pointers match no ballot key. */
  readonly unmatched: ReadonlyMap<number, number>;
  /** Per style, how many opened pointers are repetitions. */
  readonly duplicates: ReadonlyMap<number, number>;
}

function nameOf(point: Point): string {
  return point.is0() ? "identity" : toHex(encodePoint(point));
}

/** Keeps the last ballot of every key that is on the opened roll of its style. */
export function cleanse(
  accepted: readonly BallotCore[],
  withdrawn: readonly Point[],
  roll: ReadonlyMap<number, readonly Point[]>,
): Cleansing {
  const last = new Map<string, BallotCore>();
  for (const core of accepted) {
    const known = last.get(nameOf(core.key));
    if (known === undefined || core.sequence > known.sequence) {
      last.set(nameOf(core.key), core);
    }
  }
  const gone = new Set(withdrawn.map(nameOf));
  const pointers = new Map([...roll].map(([style, points]) => [style, points.map(nameOf)]));
  const known = new Map([...pointers].map(([style, points]) => [style, new Set(points)]));
  const matched = new Map([...roll.keys()].map((style) => [style, 0]));
  const kept: BallotCore[] = [];
  const removed: RemovedBallot[] = [];
  for (const ballot of accepted) {
    if (last.get(nameOf(ballot.key)) !== ballot) {
      removed.push({ ballot, reason: "superseded" });
    } else if (gone.has(nameOf(ballot.key))) {
      removed.push({ ballot, reason: "withdrawn" });
    } else if (known.get(ballot.style)?.has(nameOf(rollPointer(ballot.eid, ballot.key)))) {
      kept.push(ballot);
      matched.set(ballot.style, (matched.get(ballot.style) ?? 0) + 1);
    } else {
      removed.push({ ballot, reason: "not_on_roll" });
    }
  }
  return {
    kept: kept.sort((left, right) =>
      compareBytes(encodePointXy(left.key), encodePointXy(right.key)),
    ),
    removed,
    unmatched: new Map(
      [...known].map(([style, points]) => [style, points.size - (matched.get(style) ?? 0)]),
    ),
    duplicates: new Map(
      [...pointers].map(([style, points]) => [style, points.length - new Set(points).size]),
    ),
  };
}

/** Returns the list of one race over the kept ballots, in their order. */
export function buildRaceList(kept: readonly BallotCore[], race: number): CipherList {
  const choices = kept.flatMap((core) => core.choices.filter((choice) => choice.race === race));
  return { width: 1, rows: choices.map(({ a, b }) => [{ a, b }]) };
}

/** The count of one race. */
export interface RaceResult {
  readonly race: number;
  /** Votes per candidate; index 0 is blank. */
  readonly counts: readonly number[];
  /** Plaintexts that are no candidate of this race. */
  readonly invalid: number;
}

/** Counts the messages of a race with candidates 1..`candidates` and blank. */
export function countRace(
  eid: Eid,
  race: number,
  candidates: number,
  messages: readonly Point[],
): RaceResult {
  const numbers = new Map<string, number>();
  for (let at = 0; at <= candidates; at += 1) {
    numbers.set(nameOf(candidatePoint(eid, race, at)), at);
  }
  const counts = new Array<number>(candidates + 1).fill(0);
  let invalid = 0;
  for (const message of messages) {
    const at = numbers.get(nameOf(message));
    if (at === undefined) {
      invalid += 1;
    } else {
      counts[at] = (counts[at] ?? 0) + 1;
    }
  }
  return { race, counts, invalid };
}

/** Returns what the municipalities confirm to publish a race's result. */
export function resultHash(eid: Eid, result: RaceResult): Uint8Array {
  const total = result.counts.reduce((sum, count) => sum + count, result.invalid);
  return taggedHash(
    "JMEV1/result",
    eid,
    encodeInteger(result.race, 2),
    encodeInteger(total, 8),
    encodeInteger(result.counts.length - 1, 2),
    ...[...result.counts, result.invalid].map((count) => encodeInteger(count, 8)),
  );
}
