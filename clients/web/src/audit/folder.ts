/** The record's files, each compared with the list of them before use. Spec: AUDIT-ELECTION-FILES. */

import { sha256 } from "@noble/hashes/sha2.js";
import { toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import type { RecordFile } from "./record.js";

/** Gives a file's bytes by its path, or null when there is none. */
export type ReadFile = (path: string) => Uint8Array | null;

export class Folder {
  readonly #files: ReadonlyMap<string, RecordFile>;
  readonly #read: ReadFile;
  readonly #whole = new Set<string>();

  constructor(files: readonly RecordFile[], read: ReadFile) {
    this.#files = new Map(files.map((file) => [file.path, file]));
    this.#read = read;
  }

  get paths(): readonly string[] {
    return [...this.#files.keys()];
  }

  /** Tells whether a listed file is present and the one that is listed; notes it. */
  isWhole(path: string): boolean {
    const listed = this.#files.get(path);
    const bytes = this.#read(path);
    const isSame =
      listed !== undefined &&
      bytes !== null &&
      bytes.length === listed.size &&
      toHex(sha256(bytes)) === listed.sha256;
    if (isSame) {
      this.#whole.add(path);
    }
    return isSame;
  }

  /** Tells whether a file was found whole. */
  has(path: string): boolean {
    return this.#whole.has(path);
  }

  /** Returns the SHA-256 of a file that was found whole. */
  digestOf(path: string): string {
    return this.#files.get(path)?.sha256 ?? "";
  }

  /** Returns a file that was found whole. */
  read(path: string): Uint8Array {
    const bytes = this.has(path) ? this.#read(path) : null;
    if (bytes === null) {
      throw new Refusal(`${path}: not in the record`, "AUDIT-ELECTION-FILES");
    }
    return bytes;
  }
}
