/** The recorded ballots and withdrawals. Spec: BOX-CHAIN, BOX-SEQUENCE, BOX-WINDOW. */

import { sha256 } from "@noble/hashes/sha2.js";
import { type BallotCore, decodeCore } from "../ballot/ballotCore.js";
import { type BallotHash, computeBallotHash } from "../ballot/ballotHash.js";
import type { Eid } from "../ballot/eid.js";
import { decodePointXy, type Point } from "../ballot/group.js";
import type { Manifest } from "../ballot/manifest.js";
import type { NonceSource } from "../ballot/scalar.js";
import {
  areProofsValid,
  checkProofs,
  checkRaces,
  checkSignature,
} from "../ballot/verifyBallots.js";
import { withdrawalHash } from "../ballot/voterKey.js";
import { concat, encodeInteger, isEqual, toHex } from "../core/bytes.js";
import { Reader } from "../core/reader.js";
import { Refusal } from "../core/refusal.js";
import type { Worksheet } from "./worksheet.js";

interface Frame {
  readonly index: number;
  readonly height: number;
  readonly timeS: number;
  readonly core: Uint8Array;
  readonly signature: Uint8Array;
  readonly hash: BallotHash;
}

/** What is known of a ballot key after all ballots were read. */
interface KeyState {
  sequence: number;
  height: number;
  timeS: number;
}

export interface BoxContents {
  /** In the order recorded; those that cannot be read are left out. */
  readonly ballots: readonly BallotCore[];
  /** Index, hash, height and time of every recorded ballot, in order. */
  readonly marks: readonly (readonly [number, string, number, number])[];
  /** By ballot hash. */
  readonly heights: ReadonlyMap<string, number>;
  readonly count: number;
  /** The box's value as recomputed. */
  readonly value: Uint8Array;
  /** By P64(K). */
  readonly keys: ReadonlyMap<string, { readonly sequence: number; readonly height: number }>;
}

/** Checks every recorded ballot. */
export function auditBox(
  bytes: Uint8Array,
  manifest: Manifest,
  sheet: Worksheet,
  source: NonceSource,
): BoxContents {
  const ballots: BallotCore[] = [];
  const heights = new Map<string, number>();
  const marks: [number, string, number, number][] = [];
  const keys = new Map<string, KeyState>();
  let value: Uint8Array = manifest.eid;
  let before = { height: 0, timeS: 0 };
  let count = 0;
  const reader = new Reader(bytes, "BALLOT-CORE");
  for (const frame of takeFrames(reader, bytes.length, sheet)) {
    const subject = `ballot ${frame.index}`;
    sheet.compare("election.box", subject, count, frame.index);
    value = sha256(concat(value, frame.hash, encodeInteger(count, 8)));
    checkWindow(frame, before, manifest, sheet);
    checkSequence(frame, keys, manifest, sheet);
    const ballot = checkForm(frame, manifest, sheet);
    if (ballot !== null) {
      ballots.push(ballot);
    }
    const name = toHex(frame.hash);
    marks.push([frame.index, name, frame.height, frame.timeS]);
    heights.set(name, heights.get(name) ?? frame.height);
    before = frame;
    count += 1;
  }
  checkAllProofs(ballots, sheet, source);
  return { ballots, marks, heights, count, value, keys };
}

function* takeFrames(reader: Reader, size: number, sheet: Worksheet): Generator<Frame> {
  let at = 0;
  let index = 0;
  while (at < size) {
    try {
      index = reader.takeNumber(8);
      const height = reader.takeNumber(8);
      const timeS = reader.takeNumber(8);
      const coreSize = reader.takeNumber(2);
      const core = reader.take(coreSize);
      const signature = reader.take(65);
      at += 26 + coreSize + 65;
      yield { index, height, timeS, core, signature, hash: computeBallotHash(core) };
    } catch (error) {
      sheet.ask("election.ballots.form", `ballot ${index}`, false, messageOf(error));
      return;
    }
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.message;
  }
  throw error;
}

function checkWindow(
  frame: Frame,
  before: { readonly height: number; readonly timeS: number },
  manifest: Manifest,
  sheet: Worksheet,
): void {
  const isOpen = manifest.opensAt <= frame.timeS && frame.timeS < manifest.closesAt;
  const isOrdered =
    frame.height === before.height
      ? frame.timeS === before.timeS
      : frame.height > before.height && frame.timeS >= before.timeS;
  const message = `time ${frame.timeS} at height ${frame.height}`;
  sheet.ask("election.ballots.window", `ballot ${frame.index}`, isOpen && isOrdered, message);
}

function checkSequence(
  frame: Frame,
  keys: Map<string, KeyState>,
  manifest: Manifest,
  sheet: Worksheet,
): void {
  const key = toHex(frame.core.subarray(35, 99));
  const sequence = new DataView(
    concat(frame.core.subarray(99, 107), new Uint8Array(8)).buffer,
  ).getBigUint64(0);
  const last = keys.get(key);
  const expected = (last?.sequence ?? 0) + 1;
  const isNext =
    sequence === BigInt(expected) &&
    expected <= manifest.maxSequence &&
    (last === undefined || frame.timeS >= last.timeS + manifest.minIntervalS);
  const message = `number ${sequence} at ${frame.timeS}, ${expected} expected`;
  sheet.ask("election.ballots.sequence", `ballot ${frame.index}`, isNext, message);
  keys.set(key, { sequence: Number(sequence), height: frame.height, timeS: frame.timeS });
}

function checkForm(frame: Frame, manifest: Manifest, sheet: Worksheet): BallotCore | null {
  const subject = `ballot ${frame.index}`;
  let ballot: BallotCore;
  try {
    ballot = decodeCore(frame.core);
  } catch (error) {
    sheet.ask("election.ballots.form", subject, false, messageOf(error));
    return null;
  }
  try {
    const style = manifest.styles.find((each) => each.style === ballot.style);
    checkRaces(ballot, style?.races ?? []);
    const isOurs = isEqual(ballot.eid, manifest.eid);
    sheet.ask("election.ballots.form", subject, isOurs, "of another election");
  } catch (error) {
    sheet.ask("election.ballots.form", subject, false, messageOf(error));
  }
  try {
    checkSignature(frame.hash, frame.signature, ballot.key);
    sheet.ask("election.ballots.signatures", subject, true, "");
  } catch (error) {
    sheet.ask("election.ballots.signatures", subject, false, messageOf(error));
  }
  return ballot;
}

function checkAllProofs(
  ballots: readonly BallotCore[],
  sheet: Worksheet,
  source: NonceSource,
): void {
  const areValid = ballots.length === 0 || areProofsValid(ballots, source);
  ballots.forEach((ballot, at) => {
    let fault = "";
    if (!areValid) {
      try {
        checkProofs(ballot);
      } catch (error) {
        fault = messageOf(error);
      }
    }
    sheet.ask("election.ballots.proofs", `ballot ${at}`, fault === "", fault);
  });
}

const WITHDRAWAL_SIZE = 137;

/** Checks withdrawals and returns the keys withdrawn. */
export function auditWithdrawals(
  bytes: Uint8Array,
  eid: Eid,
  box: BoxContents,
  sheet: Worksheet,
): readonly Point[] {
  const check = "election.withdrawals";
  sheet.ask(check, "withdrawals.bin", bytes.length % WITHDRAWAL_SIZE === 0, "bytes left over");
  const withdrawn = new Map<string, Point>();
  const reader = new Reader(bytes, "BALLOT-WITHDRAW");
  for (let at = 0; at + WITHDRAWAL_SIZE <= bytes.length; at += WITHDRAWAL_SIZE) {
    const keyBytes = reader.take(64);
    const height = reader.takeNumber(8);
    const signature = reader.take(65);
    const name = toHex(keyBytes);
    const last = box.keys.get(name) ?? { sequence: 0, height: 0 };
    try {
      const key = decodePointXy(keyBytes);
      checkSignature(withdrawalHash(eid, key, last.sequence + 1), signature, key);
      const isFirst = !withdrawn.has(name) && last.height <= height;
      sheet.ask(check, `withdrawal ${at}`, isFirst, "again, or with a ballot after it");
      withdrawn.set(name, key);
    } catch (error) {
      sheet.ask(check, `withdrawal ${at}`, false, messageOf(error));
    }
  }
  return [...withdrawn.values()];
}
