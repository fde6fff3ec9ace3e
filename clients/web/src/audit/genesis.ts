/** The first block's hash and set, from the file the municipalities agreed on. Spec: EXEC-GENESIS-HEADER. */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { fromHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import { encodeRlp, encodeScalarRlp } from "../core/rlp.js";
import { type Header, readHeader } from "./header.js";
import { trieRoot } from "./trie.js";

const RULE = "EXEC-GENESIS-FORM";
const EMPTY_ROOT = "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421";
const NO_OMMERS = "1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";

/** What a chain begins with. */
export interface Genesis {
  readonly header: Header;
  readonly chainId: number;
  readonly epochLength: number;
}

type JsonObject = ReadonlyMap<string, unknown>;

function objectOf(value: unknown, name: string): JsonObject {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new Refusal(`genesis: ${name} is no object`, RULE);
  }
  return new Map(Object.entries(value));
}

function scalarOf(value: unknown): bigint {
  const isWritten = typeof value === "string" && /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(value);
  if (isWritten || (typeof value === "number" && Number.isSafeInteger(value) && value >= 0)) {
    return BigInt(value as string | number);
  }
  throw new Refusal("genesis: expected a whole number", RULE);
}

function hexOf(value: unknown, size?: number): Uint8Array {
  if (typeof value !== "string" || !value.startsWith("0x")) {
    throw new Refusal("genesis: expected bytes", RULE);
  }
  const bytes = fromHex(value.slice(2).toLowerCase());
  if (size !== undefined && bytes.length !== size) {
    throw new Refusal(`genesis: ${bytes.length} bytes, expected ${size}`, RULE);
  }
  return bytes;
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    throw new Refusal("genesis: not JSON", RULE);
  }
}

/** Reads a genesis file and computes its first header. */
export function readGenesis(bytes: Uint8Array): Genesis {
  const file = objectOf(parse(bytes), "the file");
  const config = objectOf(file.get("config"), "config");
  const qbft = [...objectOf(config.get("qbft"), "qbft")];
  const epoch = qbft.find(([name]) => name.toLowerCase() === "epochlength");
  const items = [
    hexOf(file.get("parentHash"), 32),
    fromHex(NO_OMMERS),
    hexOf(file.get("coinbase"), 20),
    stateRoot(objectOf(file.get("alloc"), "alloc")),
    fromHex(EMPTY_ROOT),
    fromHex(EMPTY_ROOT),
    new Uint8Array(256),
    encodeScalarRlp(scalarOf(file.get("difficulty"))),
    encodeScalarRlp(0n),
    encodeScalarRlp(scalarOf(file.get("gasLimit"))),
    encodeScalarRlp(0n),
    encodeScalarRlp(scalarOf(file.get("timestamp"))),
    hexOf(file.get("extraData")),
    hexOf(file.get("mixHash"), 32),
    new Uint8Array(8),
    encodeScalarRlp(0n),
    fromHex(EMPTY_ROOT),
  ];
  const epochLength = Number(scalarOf(epoch?.[1]));
  if (epochLength === 0) {
    throw new Refusal("genesis: epochs without length", RULE);
  }
  return {
    header: readHeader(items),
    chainId: Number(scalarOf(config.get("chainId"))),
    epochLength,
  };
}

/** Returns the root of exactly the accounts of `alloc`. Spec: EXEC-GENESIS-STATE. */
function stateRoot(alloc: JsonObject): Uint8Array {
  const accounts = [...alloc].map(([text, value]) => {
    const account = objectOf(value, "an account");
    const address = fromHex(text.toLowerCase().replace(/^0x/, ""));
    const slots = [...objectOf(account.get("storage") ?? {}, "storage")]
      .map(([slot, word]) => [padded(hexOf(slot)), trimmed(hexOf(word))] as const)
      .filter(([, word]) => word.length > 0)
      .map(([slot, word]) => [keccak_256(slot), encodeRlp(word)] as const);
    const body = [
      encodeScalarRlp(scalarOf(account.get("nonce") ?? 0)),
      encodeScalarRlp(scalarOf(account.get("balance") ?? 0)),
      trieRoot(slots),
      keccak_256(hexOf(account.get("code") ?? "0x")),
    ];
    return [keccak_256(address), encodeRlp(body)] as const;
  });
  return trieRoot(accounts);
}

function padded(bytes: Uint8Array): Uint8Array {
  const word = new Uint8Array(32);
  word.set(bytes, 32 - bytes.length);
  return word;
}

function trimmed(bytes: Uint8Array): Uint8Array {
  const start = bytes.findIndex((byte) => byte !== 0);
  return start === -1 ? new Uint8Array() : bytes.subarray(start);
}
