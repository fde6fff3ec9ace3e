import type { Brand } from "../core/brand.js";
import { encodeCrockford } from "./crockford.js";
import { taggedHash } from "./taggedHash.js";

/** d, by which a ballot is known and which its key signs. */
export type BallotHash = Brand<Uint8Array, "BallotHash">;

/** Returns d of a core's bytes. Spec: BALLOT-SIGNATURE. */
export function computeBallotHash(core: Uint8Array): BallotHash {
  return taggedHash("JMEV1/ballot-sig", core) as BallotHash;
}

/** Returns the code by which a voter finds a ballot on the board. */
export function trackingCode(hash: BallotHash): string {
  return encodeCrockford(hash.subarray(0, 10));
}
