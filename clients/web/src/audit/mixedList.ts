/** One list from its start to its messages. Spec: TALLY-ROUND, MIX-VERIFY, DEC-SHARE, DEC-COMBINE. */

import { type CipherList, decodeList, type ListContext, listDigest } from "../ballot/cipherList.js";
import {
  combineShares,
  decodeShareProof,
  isShareValid,
  sharesDigest,
} from "../ballot/decryption.js";
import { decodePoints, encodePoint, type Point } from "../ballot/group.js";
import type { Manifest } from "../ballot/manifest.js";
import type { NonceSource } from "../ballot/scalar.js";
import { decodeShuffleProof } from "../ballot/shuffleProof.js";
import { failedEquations, isShuffleValid } from "../ballot/verifyShuffle.js";
import { toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { trusteeName } from "./ceremony.js";
import type { Folder } from "./folder.js";
import type { ChainList, ChainRound, ChainShare } from "./record.js";
import type { Worksheet } from "./worksheet.js";

export interface ListAudit {
  readonly listed: ChainList;
  readonly manifest: Manifest;
  readonly folder: Folder;
  readonly sheet: Worksheet;
  readonly source: NonceSource;
}

const labelOf = (listed: ChainList): string => `${listed.kind}-${listed.number}`;

function contextOf({ listed, manifest }: ListAudit, round: number): ListContext {
  const kind = listed.kind === "roll" ? "R" : "B";
  return { eid: manifest.eid, kind, listId: listed.number, round };
}

/** Checks a list and returns its messages, or null when they cannot be had. */
export function auditList(audit: ListAudit): readonly Point[] | null {
  const { listed, manifest, sheet } = audit;
  const label = labelOf(listed);
  sheet.compare(
    "election.mixes.order",
    label,
    manifest.mixers.map((mixer, at) => [at + 1, mixer]),
    listed.rounds.map((each) => [each.round, each.mixer]),
  );
  const mixers = new Set(listed.rounds.filter((each) => each.isValid).map((each) => each.mixer));
  const message = `${mixers.size} valid mixes, ${manifest.minMixes} needed`;
  sheet.ask("election.mixes.order", label, mixers.size >= manifest.minMixes, message);
  const final = checkRounds(audit);
  if (final === null) {
    const reason = `${label}: the final list is absent`;
    sheet.leaveOpen(reason, "election.shares", "election.shares.enough");
    return null;
  }
  return checkShares(audit, final);
}

/** Reads a list file whose digest must be the ledger's; null when it is absent or another. */
function readList(
  audit: ListAudit,
  round: number,
  digest: string,
  blame: readonly string[],
): CipherList | null {
  const path = `lists/${labelOf(audit.listed)}-${round}.bin`;
  if (!audit.folder.has(path)) {
    return null;
  }
  const check = round === 0 ? "election.lists" : "election.mixes.proofs";
  try {
    const list = decodeList(audit.folder.read(path), 1);
    const found = toHex(listDigest(contextOf(audit, 0), list));
    return audit.sheet.compare(check, path, digest, found, blame) ? list : null;
  } catch (error) {
    audit.sheet.ask(check, path, false, messageOf(error), blame);
    return null;
  }
}

function messageOf(error: unknown): string {
  if (error instanceof Refusal) {
    return error.message;
  }
  throw error;
}

function checkRounds(audit: ListAudit): CipherList | null {
  const { listed, manifest, sheet } = audit;
  let before = readList(audit, 0, listed.digest, []);
  for (const each of listed.rounds) {
    const blame = [trusteeName(manifest, each.mixer)];
    if (each.isValid === false) {
      if (before !== null) {
        checkLeftOut(audit, each, before);
      }
      continue;
    }
    const after = each.output === "" ? null : readList(audit, each.round, each.output, blame);
    if (before !== null && after !== null) {
      checkTaken(audit, each, before, after, blame);
    } else if (each.isValid && !isRestricted(audit, each)) {
      const reason = `${labelOf(listed)}, round ${each.round}: the list before it is not at hand`;
      sheet.leaveOpen(reason, "election.mixes.proofs");
    }
    before = each.isValid ? after : before;
  }
  return before;
}

/** Tells whether the input of a mix is for accredited auditors alone. */
function isRestricted({ listed }: ListAudit, each: ChainRound): boolean {
  const first = listed.rounds.find((round) => round.isValid);
  return listed.kind === "roll" && first === each;
}

function findMixFault(
  audit: ListAudit,
  each: ChainRound,
  before: CipherList,
  after: CipherList,
): string | null {
  const { listed, manifest, folder, source } = audit;
  try {
    const bytes = folder.read(`mixes/${labelOf(listed)}-${each.round}.bin`);
    const statement = {
      context: contextOf(audit, each.round),
      keys: [listed.kind === "roll" ? manifest.rollKey : manifest.ballotKey],
      inputs: before,
      outputs: after,
    };
    const proof = decodeShuffleProof(bytes, before.rows.length, 1);
    if (isShuffleValid(statement, proof, source)) {
      return null;
    }
    return `equations ${failedEquations(statement, proof).slice(0, 5).join(", ")} do not hold`;
  } catch (error) {
    return messageOf(error);
  }
}

function checkTaken(
  audit: ListAudit,
  each: ChainRound,
  before: CipherList,
  after: CipherList,
  blame: readonly string[],
): void {
  const path = `mixes/${labelOf(audit.listed)}-${each.round}.bin`;
  if (!audit.folder.has(path)) {
    return;
  }
  const found = audit.folder.digestOf(path);
  if (audit.sheet.compare("election.mixes.proofs", path, each.proof, found, blame)) {
    const fault = findMixFault(audit, each, before, after);
    audit.sheet.ask("election.mixes.proofs", path, fault === null, fault ?? "", blame);
  }
}

/** Checks that a mix that was left out does not hold, if its files are those that were posted. */
function checkLeftOut(audit: ListAudit, each: ChainRound, before: CipherList): void {
  const label = labelOf(audit.listed);
  const [path, proof] = [`lists/${label}-${each.round}.bin`, `mixes/${label}-${each.round}.bin`];
  if (!audit.folder.has(path) || !audit.folder.has(proof)) {
    return;
  }
  let isWrong = audit.folder.digestOf(proof) !== each.proof;
  try {
    const after = decodeList(audit.folder.read(path), 1);
    isWrong ||= toHex(listDigest(contextOf(audit, 0), after)) !== each.output;
    isWrong ||= findMixFault(audit, each, before, after) !== null;
  } catch (error) {
    isWrong = messageOf(error) !== "";
  }
  const blame = ["the trustees that judged it invalid"];
  audit.sheet.ask("election.mixes.verdicts", path, isWrong, "a valid mix", blame);
}

function checkShares(audit: ListAudit, final: CipherList): readonly Point[] | null {
  const { listed, manifest, folder, sheet } = audit;
  const label = labelOf(listed);
  const valid = new Map<number, readonly Point[]>();
  for (const each of listed.shares) {
    const base = `shares/${label}-${each.trustee}`;
    if (!folder.has(`${base}.bin`) || !folder.has(`${base}.proof`)) {
      sheet.leaveOpen(`${base}: no files`, "election.shares");
      continue;
    }
    const found = findShare(audit, each, base, final);
    const fault = typeof found === "string" ? found : "";
    const blame = [trusteeName(manifest, each.trustee)];
    if (sheet.ask("election.shares", base, fault === "", fault, blame)) {
      valid.set(each.trustee, found as readonly Point[]);
    }
  }
  const { threshold } = manifest;
  const message = `${valid.size} proven shares, ${threshold} needed`;
  if (!sheet.ask("election.shares.enough", label, valid.size >= threshold, message)) {
    return null;
  }
  const numbers = [...valid.keys()].sort((left, right) => left - right);
  const combine = (chosen: readonly number[]) =>
    combineShares(final, 0, new Map(chosen.map((at) => [at, valid.get(at) ?? []])));
  const messages = combine(numbers.slice(0, threshold));
  if (numbers.length > threshold) {
    const other = combine(numbers.slice(-threshold));
    const isSame = messages.every((point, at) => point.equals(itemAt(other, at)));
    sheet.ask("election.shares.subsets", label, isSame, "other trustees decrypt to something else");
  }
  return messages;
}

/** Returns a trustee's proven shares, or what is wrong with them. */
function findShare(
  audit: ListAudit,
  each: ChainShare,
  base: string,
  final: CipherList,
): readonly Point[] | string {
  const { listed, manifest, folder } = audit;
  const trustee = manifest.trustees[each.trustee - 1];
  if (trustee === undefined) {
    return "a trustee that is none";
  }
  try {
    const shares = decodePoints(folder.read(`${base}.bin`));
    const context = contextOf(audit, 0);
    const statement = {
      context,
      list: final,
      column: 0,
      trustee: each.trustee,
      shareKey: listed.kind === "roll" ? trustee.rollShare : trustee.ballotShare,
    };
    const isPosted =
      toHex(sharesDigest(statement, shares)) === each.shares &&
      folder.digestOf(`${base}.proof`) === each.proof;
    if (!isPosted) {
      return "files with other digests than the ledger has";
    }
    const proof = decodeShareProof(folder.read(`${base}.proof`));
    return isShareValid(statement, { shares, proof }) ? shares : "the proof does not hold";
  } catch (error) {
    return messageOf(error);
  }
}

/** Returns a message as text, for comparing. */
export function nameOfMessage(point: Point): string {
  return point.is0() ? "identity" : toHex(encodePoint(point));
}
