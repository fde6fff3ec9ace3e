import type { Brand } from "../core/brand.js";
import { Refusal } from "../core/refusal.js";
import { taggedHash } from "./taggedHash.js";

/** An election's id: 32 bytes that bind its whole manifest. */
export type Eid = Brand<Uint8Array, "Eid">;

/** Returns the id of a manifest given as canonical bytes. Spec: ELECTION-ID. */
export function computeEid(manifest: Uint8Array): Eid {
  return taggedHash("JMEV1/eid", manifest) as Eid;
}

/** Takes 32 bytes for an election id. */
export function toEid(bytes: Uint8Array): Eid {
  if (bytes.length !== 32) {
    throw new Refusal(`election id of ${bytes.length} bytes`, "ELECTION-ID");
  }
  return bytes as Eid;
}
