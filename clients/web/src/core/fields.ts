/** Reading JSON that was written by others: each field has a type, and there are no others. */

import type { Json } from "./canonicalJson.js";
import { Refusal } from "./refusal.js";

/** The members of one JSON object, taken one by one. */
export class Fields {
  readonly #members: Map<string, Json>;
  readonly #place: string;
  readonly #rule: string;

  constructor(value: Json, place: string, rule: string) {
    this.#place = place;
    this.#rule = rule;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.#refusal("expected an object");
    }
    this.#members = new Map(Object.entries(value));
  }

  #refusal(message: string): Refusal {
    return new Refusal(`${this.#place}: ${message}`, this.#rule);
  }

  #take(name: string): Json {
    const value = this.#members.get(name);
    if (value === undefined) {
      throw this.#refusal(`${name} is missing`);
    }
    this.#members.delete(name);
    return value;
  }

  /** Takes a text, which must match `pattern` as a whole. */
  text(name: string, pattern = /^[\s\S]{1,200}$/u): string {
    const value = this.#take(name);
    if (typeof value !== "string" || !pattern.test(value)) {
      throw this.#refusal(`${name} is no text of the right form`);
    }
    return value;
  }

  /** Takes an integer within bounds. */
  integer(name: string, min: number, max: number): number {
    const value = this.#take(name);
    if (typeof value !== "number" || value < min || value > max) {
      throw this.#refusal(`${name} is no integer from ${min} to ${max}`);
    }
    return value;
  }

  /** Takes a truth value. */
  truth(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== "boolean") {
      throw this.#refusal(`${name} is neither true nor false`);
    }
    return value;
  }

  /** Takes a truth value, or null where it is not yet decided. */
  truthOrNull(name: string): boolean | null {
    const value = this.#take(name);
    if (typeof value !== "boolean" && value !== null) {
      throw this.#refusal(`${name} is neither true, false nor null`);
    }
    return value;
  }

  /** Takes a value as it stands. */
  value(name: string): Json {
    return this.#take(name);
  }

  /** Takes a nested object. */
  object(name: string): Fields {
    return new Fields(this.#take(name), `${this.#place}.${name}`, this.#rule);
  }

  /** Takes a list of at least `min` and at most `max` items. */
  list(name: string, max: number, min = 1): readonly Json[] {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      throw this.#refusal(`${name} is no list of ${min} to ${max} items`);
    }
    return value;
  }

  /** Refuses members that nobody took. */
  finish(): void {
    const rest = [...this.#members.keys()];
    if (rest.length > 0) {
      throw this.#refusal(`unknown ${rest.join(", ")}`);
    }
  }
}
