import { toInteger } from "./bytes.js";
import { Refusal } from "./refusal.js";

/** Reads a byte string from front to back and insists that nothing is left over. */
export class Reader {
  #at = 0;
  readonly #bytes: Uint8Array;
  readonly #rule: string;

  constructor(bytes: Uint8Array, rule: string) {
    this.#bytes = bytes;
    this.#rule = rule;
  }

  /** Takes the next bytes. */
  take(size: number): Uint8Array {
    const stop = this.#at + size;
    if (stop > this.#bytes.length) {
      throw new Refusal(`bytes end at ${this.#bytes.length}, ${stop} expected`, this.#rule);
    }
    const taken = this.#bytes.slice(this.#at, stop);
    this.#at = stop;
    return taken;
  }

  /** Takes an unsigned integer that JavaScript numbers keep exact. */
  takeNumber(size: number): number {
    const value = toInteger(this.take(size));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new Refusal(`integer ${value} is too large`, this.#rule);
    }
    return Number(value);
  }

  /** Refuses bytes that nobody read. */
  finish(): void {
    if (this.#at !== this.#bytes.length) {
      throw new Refusal(`${this.#bytes.length - this.#at} bytes left over`, this.#rule);
    }
  }
}
