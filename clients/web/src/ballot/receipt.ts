/** What registrars and relays sign as receipts. */

import { encodeInteger } from "../core/bytes.js";
import type { Eid } from "./eid.js";
import { taggedHash } from "./taggedHash.js";

/** Returns what registrar and attestor sign over an enrolment's commitment. */
export function rollReceiptHash(
  eid: Eid,
  commitment: Uint8Array,
  batch: number,
  timeS: number,
): Uint8Array {
  const numbers = [encodeInteger(batch, 4), encodeInteger(timeS, 8)];
  return taggedHash("JMEV1/roll-receipt", eid, commitment, ...numbers);
}

/** Returns what a relay signs over a ballot and the height by which it is recorded. */
export function ballotReceiptHash(eid: Eid, ballotHash: Uint8Array, deadline: number): Uint8Array {
  return taggedHash("JMEV1/ballot-receipt", eid, ballotHash, encodeInteger(deadline, 8));
}
