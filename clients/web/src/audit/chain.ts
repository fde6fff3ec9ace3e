/**
 * A bundle of the chain from its first block on, held against the genesis file.
 *
 * Headers must follow one another, be made by whose turn it was and be sealed by a quorum of the set
 * that votes lead to; transactions and receipts must be those the header commits to. What
 * transactions do is not executed here: that the receipts are right is the validators' word, which a
 * quorum of them sealed.
 *
 * Spec: AUDIT-BUNDLE, AUDIT-ORDER, QBFT-HEADER, QBFT-VALIDATORS, QBFT-COINBASE, QBFT-SEALS.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { encodeText, isEqual, toHex } from "../core/bytes.js";
import { Refusal } from "../core/refusal.js";
import {
  bytesOf,
  decodeRlp,
  decodeRow,
  encodeRlp,
  listOf,
  numberOf,
  type RlpItem,
} from "../core/rlp.js";
import { itemAt } from "../core/rows.js";
import type { Genesis } from "./genesis.js";
import { type Header, readHeader, sealersOf } from "./header.js";
import { orderedRoot } from "./trie.js";
import { ValidatorSet } from "./validatorVotes.js";

const MAGIC = encodeText("DAICHO-BUNDLE\n");
const RULE = "AUDIT-BUNDLE";

/** An event as a contract emitted it. */
export interface Log {
  readonly height: number;
  readonly timeS: number;
  /** In hexadecimal. */
  readonly address: string;
  readonly topics: readonly Uint8Array[];
  readonly data: Uint8Array;
}

/** What a bundle was found to be. */
export interface ChainWalk {
  /** Logs of the contracts asked for, in order, of blocks that hold. */
  readonly logs: readonly Log[];
  /** What does not hold, by block or part. */
  readonly faults: readonly { readonly subject: string; readonly message: string }[];
  readonly lastHeight: number;
  /** Why the bundle cannot be judged here; null when it can. */
  readonly openReason: string | null;
}

/** Walks a bundle and returns the logs of some contracts. */
export function walkChain(
  bytes: Uint8Array,
  genesis: Genesis,
  addresses: ReadonlySet<string>,
): ChainWalk {
  const walk = new Walk(genesis, addresses);
  try {
    walk.read(bytes);
  } catch (error) {
    if (!(error instanceof Refusal)) {
      throw error;
    }
    walk.note("bundle", error.message);
  }
  return walk;
}

class Walk implements ChainWalk {
  readonly logs: Log[] = [];
  readonly faults: { subject: string; message: string }[] = [];
  openReason: string | null = null;
  readonly #genesis: Genesis;
  readonly #addresses: ReadonlySet<string>;
  readonly #set: ValidatorSet;
  #parent: Header;
  #count = 0;
  #isEnded = false;

  constructor(genesis: Genesis, addresses: ReadonlySet<string>) {
    this.#genesis = genesis;
    this.#addresses = addresses;
    this.#set = new ValidatorSet(genesis.header.validators, genesis.epochLength);
    this.#parent = genesis.header;
  }

  get lastHeight(): number {
    return this.#parent.height;
  }

  note(subject: string, message: string): void {
    this.faults.push({ subject, message });
  }

  read(bytes: Uint8Array): void {
    if (!isEqual(bytes.subarray(0, MAGIC.length), MAGIC)) {
      throw new Refusal("no bundle", RULE);
    }
    for (const { item, start } of decodeRow(bytes, MAGIC.length)) {
      const [kind, ...fields] = listOf(item);
      this.#take(String.fromCharCode(...bytesOf(kind).subarray(0, 16)), fields, bytes, start);
    }
    if (!this.#isEnded) {
      throw new Refusal("the bundle has no end", RULE);
    }
  }

  #take(kind: string, fields: readonly RlpItem[], bytes: Uint8Array, start: number): void {
    if (this.#isEnded !== (kind === "signature")) {
      throw new Refusal(`${kind} in the wrong place`, "AUDIT-ORDER");
    }
    switch (kind) {
      case "bundle":
        this.#takeHead(fields);
        break;
      case "recovery":
        this.openReason = "the bundle has recovery documents, which are not judged here";
        break;
      case "block":
        this.#takeBlock(bytesOf(fields[0]), listOf(fields[1]));
        break;
      case "end":
        this.#isEnded = true;
        if (numberOf(fields[0]) !== this.#count) {
          this.note("bundle", `${this.#count} blocks, ${numberOf(fields[0])} announced`);
        }
        if (!isEqual(bytesOf(fields[4]), sha256(bytes.subarray(0, start)))) {
          this.note("bundle", "its digest is another");
        }
        break;
      case "snapshot":
      case "state":
      case "evidence":
      case "file":
      case "part":
      case "signature":
        break;
      default:
        throw new Refusal(`a record of kind ${kind}`, RULE);
    }
  }

  #takeHead(fields: readonly RlpItem[]): void {
    const { header, chainId } = this.#genesis;
    const network = toHex(bytesOf(fields[2]));
    if (numberOf(fields[0]) !== 1 || numberOf(fields[1]) !== chainId || network !== header.hash) {
      this.note("bundle", "of another network than the genesis file");
    }
    if (numberOf(fields[3]) !== 1) {
      throw new Refusal("the bundle does not begin with block 1", "AUDIT-RANGE");
    }
  }

  #takeBlock(block: Uint8Array, receipts: readonly RlpItem[]): void {
    const [item, transactions, ommers, withdrawals] = listOf(decodeRlp(block), 4);
    const header = readHeader(item);
    this.#count += 1;
    const bodies = listOf(transactions).map((each) =>
      each instanceof Uint8Array ? each : encodeRlp(each),
    );
    const results = receipts.map(bytesOf);
    const holds: readonly (readonly [string, boolean])[] = [
      ["its height is not the next", header.height === this.#parent.height + 1],
      ["its parent is another block", header.parentHash === this.#parent.hash],
      ["it is older than its parent", header.timeS > this.#parent.timeS],
      ["a constant field is another", header.constants === this.#genesis.header.constants],
      ["it has ommers or withdrawals", listOf(ommers).length + listOf(withdrawals).length === 0],
      ["its validators are others", `${header.validators}` === `${this.#set.members}`],
      ["it was not its creator's turn", this.#isInTurn(header)],
      ["an epoch's block has a vote", header.vote === null || !this.#isEpoch(header)],
      ["it is not sealed by a quorum", this.#isSealed(header)],
      ["its transactions are others", toHex(orderedRoot(bodies)) === header.transactionsRoot],
      ["its receipts are others", toHex(orderedRoot(results)) === header.receiptsRoot],
      ["it has not a receipt for each transaction", bodies.length === results.length],
    ];
    const broken = holds.filter(([, isMet]) => !isMet).map(([message]) => message);
    if (broken.length > 0) {
      this.note(`block ${header.height}`, broken.join("; "));
    } else {
      for (const receipt of results) {
        this.#takeReceipt(receipt, header);
      }
    }
    this.#set.apply(header);
    this.#parent = header;
  }

  #isEpoch(header: Header): boolean {
    return header.height % this.#genesis.epochLength === 0;
  }

  /** Tells whether a block's creator was the proposer of some round up to the decided one. */
  #isInTurn(header: Header): boolean {
    const { members } = this.#set;
    const before = members.indexOf(this.#parent.coinbase);
    const above = members.filter((member) => member < this.#parent.coinbase).length;
    const first = before === -1 ? above : before + 1;
    const place = members.indexOf(header.coinbase);
    const round = (place - first + 2 * members.length) % members.length;
    return place !== -1 && round <= header.round;
  }

  #isSealed(header: Header): boolean {
    const sealers = sealersOf(header);
    const distinct = new Set(sealers);
    return (
      distinct.size === sealers.length &&
      sealers.every((sealer) => this.#set.members.includes(sealer)) &&
      sealers.length >= this.#set.quorum
    );
  }

  #takeReceipt(receipt: Uint8Array, header: Header): void {
    const isTyped = itemAt(receipt, 0) < 0xc0;
    const fields = listOf(decodeRlp(isTyped ? receipt.subarray(1) : receipt), 4);
    for (const log of listOf(fields[3])) {
      const [emitter, topics, data] = listOf(log, 3);
      const address = toHex(bytesOf(emitter));
      if (this.#addresses.has(address)) {
        this.logs.push({
          height: header.height,
          timeS: header.timeS,
          address,
          topics: listOf(topics).map(bytesOf),
          data: bytesOf(data),
        });
      }
    }
  }
}
