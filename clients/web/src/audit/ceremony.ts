/** Both key generations, from their transcripts. Spec: DKG-COMMIT, DKG-COMPLAINT, DKG-DERIVE. */

import { lagrange } from "../ballot/decryption.js";
import {
  commitOf,
  computeDid,
  confirmationChallenge,
  derivePublic,
  encryptionKeyChallenge,
  judgeComplaint,
  type KeyGeneration,
  revealChallenge,
} from "../ballot/dkg.js";
import { encodePoint, type Point, publicMultiple } from "../ballot/group.js";
import type { Manifest } from "../ballot/manifest.js";
import { isKnowledgeProven } from "../ballot/proofs.js";
import { fromHex, isEqual, toHex } from "../core/bytes.js";
import { itemAt } from "../core/rows.js";
import type { Transcript } from "./record.js";
import type { Worksheet } from "./worksheet.js";

const hexOf = (point: Point): string => toHex(encodePoint(point));

/** Checks one key generation against the manifest. */
export function auditCeremony(
  transcript: Transcript,
  purpose: "B" | "R",
  manifest: Manifest,
  sheet: Worksheet,
): void {
  const name = `key ${purpose}`;
  const nameOf = (number: number) => trusteeName(manifest, number);
  sheet.compare(
    "election.keys.run",
    name,
    [
      toHex(manifest.draftId),
      purpose,
      manifest.chainId,
      manifest.registry,
      manifest.threshold,
      manifest.trustees.map((each) => [
        each.municipalityId,
        hexOf(each.node),
        hexOf(each.encryptionKey),
      ]),
    ],
    [
      toHex(transcript.draftId),
      transcript.purpose,
      transcript.chainId,
      transcript.registry,
      transcript.threshold,
      transcript.trustees.map((each) => [
        each.municipalityId,
        hexOf(each.node),
        hexOf(each.encryptionKey),
      ]),
    ],
  );
  const count = transcript.trustees.length;
  const { commitments, reveals, shares, confirmations } = transcript;
  const isComplete = [commitments, reveals, shares, confirmations].every(
    (part) => part.length === count,
  );
  if (!sheet.ask("election.keys.dealings", name, isComplete, "not one dealing of each trustee")) {
    return;
  }
  const run: KeyGeneration = {
    chainId: BigInt(transcript.chainId),
    registry: fromHex(transcript.registry.slice(2)),
    draftId: transcript.draftId,
    purpose: transcript.purpose,
    threshold: transcript.threshold,
    trustees: transcript.trustees.map(({ node, encryptionKey }) => ({
      node,
      encryption: encryptionKey,
    })),
  };
  const did = computeDid(run);
  transcript.trustees.forEach((each, at) => {
    const keys = itemAt(run.trustees, at);
    const challenge = encryptionKeyChallenge(run.chainId, run.registry, keys, each.proof.w);
    const isProven = isKnowledgeProven(keys.encryption, each.proof, challenge);
    sheet.ask("election.keys.encryption", name, isProven, "not proven", [nameOf(at + 1)]);
  });
  reveals.forEach((reveal, at) => {
    const fault = findDealingFault(run, did, at + 1, reveal, itemAt(commitments, at));
    sheet.ask("election.keys.dealings", name, fault === null, fault ?? "", [nameOf(at + 1)]);
    sheet.ask("election.keys.complaints", name, true, "");
  });
  for (const complaint of transcript.complaints) {
    const { dealer, complainer } = complaint;
    const share = shares[dealer - 1]?.[complainer - 1] ?? null;
    const reveal = reveals[dealer - 1];
    const isDealer =
      share !== null &&
      reveal !== undefined &&
      complainer <= count &&
      judgeComplaint(run, dealer, complainer, share, complaint, reveal.commitments) === "dealer";
    const blame = [nameOf(isDealer ? dealer : complainer)];
    sheet.ask("election.keys.complaints", name, false, `complaint about ${dealer}`, blame);
  }
  checkDerived(transcript, purpose, manifest, did, sheet);
  checkRehearsal(transcript, name, sheet);
}

function findDealingFault(
  run: KeyGeneration,
  did: Uint8Array,
  dealer: number,
  reveal: Transcript["reveals"][number],
  commitment: string,
): string | null {
  if (reveal.commitments.length !== run.threshold) {
    return `${reveal.commitments.length} coefficients instead of ${run.threshold}`;
  }
  if (!isEqual(commitOf(did, dealer, reveal), fromHex(commitment))) {
    return "reveals something else than it committed to";
  }
  const challenge = revealChallenge(did, dealer, reveal);
  const isProven = isKnowledgeProven(itemAt(reveal.commitments, 0), reveal.proof, challenge);
  return isProven ? null : "does not prove its constant term";
}

function checkDerived(
  transcript: Transcript,
  purpose: "B" | "R",
  manifest: Manifest,
  did: Uint8Array,
  sheet: Worksheet,
): void {
  const name = `key ${purpose}`;
  const { key, shareKeys } = derivePublic(
    transcript.reveals.map((reveal) => reveal.commitments),
    transcript.trustees.length,
  );
  const derived = [key, ...shareKeys].map(hexOf);
  const claimed =
    purpose === "B"
      ? [manifest.ballotKey, ...manifest.trustees.map((each) => each.ballotShare)]
      : [manifest.rollKey, ...manifest.trustees.map((each) => each.rollShare)];
  const own = [transcript.publicKey, ...transcript.shareKeys];
  sheet.compare("election.keys.derived", name, derived, claimed.map(hexOf));
  sheet.compare("election.keys.derived", `${name}, file`, derived, own.map(hexOf));
  transcript.confirmations.forEach((proof, at) => {
    const challenge = confirmationChallenge(did, at + 1, key, shareKeys, proof.w);
    const isProven = isKnowledgeProven(itemAt(shareKeys, at), proof, challenge);
    const blame = [trusteeName(manifest, at + 1)];
    sheet.ask("election.keys.confirmed", name, isProven, "share not proven", blame);
  });
}

function checkRehearsal(transcript: Transcript, name: string, sheet: Worksheet): void {
  const count = transcript.trustees.length;
  const groups = new Set<string>();
  for (const { subset, a: _, b, message, shares } of transcript.rehearsal) {
    const numbers = shares.map(({ trustee }) => trustee).sort((left, right) => left - right);
    const group = [...subset].sort((left, right) => left - right).join(", ");
    const isGroup =
      numbers.join(", ") === group &&
      numbers.length >= transcript.threshold &&
      new Set(numbers).size === numbers.length &&
      numbers.every((number) => number <= count);
    const isSame =
      isGroup &&
      shares
        .reduce(
          (sum, { trustee, d }) => sum.subtract(publicMultiple(d, lagrange(numbers, trustee))),
          b,
        )
        .equals(message);
    sheet.ask("election.keys.rehearsal", `${name}, ${group}`, isSame, "another point");
    groups.add(group);
  }
  const needed = transcript.threshold === count ? 1 : 2;
  const message = `${groups.size} groups of trustees, ${needed} expected`;
  sheet.ask("election.keys.rehearsal", name, groups.size >= needed, message);
}

/** Returns a trustee's municipality by its number from 1. */
export function trusteeName(manifest: Manifest, number: number): string {
  return manifest.trustees[number - 1]?.municipality ?? `trustee ${number}`;
}
