/** RFC 8785 canonical JSON of strings, safe integers, booleans, null, lists and objects. */

import { encodeText, isEqual } from "./bytes.js";
import { Refusal } from "./refusal.js";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [name: string]: Json };

/** Encodes a value in canonical form. */
export function encodeCanonical(value: Json): Uint8Array {
  return encodeText(render(value));
}

const HALF_PAIR = /\p{Surrogate}/u;

function render(value: unknown): string {
  switch (typeof value) {
    case "string":
      if (HALF_PAIR.test(value)) {
        throw new Refusal("text with half a surrogate pair", "ELECTION-MANIFEST");
      }
      return JSON.stringify(value);
    case "boolean":
      return JSON.stringify(value);
    case "number":
      if (!Number.isSafeInteger(value) || Object.is(value, -0)) {
        throw new Refusal(`${value} is no integer that JSON keeps exact`, "ELECTION-MANIFEST");
      }
      return JSON.stringify(value);
    default:
      return renderNested(value);
  }
}

function renderNested(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(render).join(",")}]`;
  }
  if (value === null) {
    return "null";
  }
  if (typeof value === "object") {
    const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1));
    return `{${members.map(([name, member]) => `${render(name)}:${render(member)}`).join(",")}}`;
  }
  throw new Refusal("a value that canonical JSON here does not have", "ELECTION-MANIFEST");
}

/** Decodes JSON text that must already be in canonical form. */
export function decodeCanonical(bytes: Uint8Array): Json {
  let value: Json;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refusal("not JSON", "ELECTION-MANIFEST");
  }
  if (!isEqual(encodeCanonical(value), bytes)) {
    throw new Refusal("not in canonical form", "ELECTION-MANIFEST");
  }
  return value;
}
