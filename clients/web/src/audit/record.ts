/** The files of an election's published record, as docs/election-records.md lays them out. */

import { decodePoint, type Point } from "../ballot/group.js";
import type { KnowledgeProof } from "../ballot/proofs.js";
import { decodeScalar } from "../ballot/scalar.js";
import { fromHex } from "../core/bytes.js";
import { decodeCanonical, type Json } from "../core/canonicalJson.js";
import { Fields } from "../core/fields.js";
import { Refusal } from "../core/refusal.js";

const RULE = "AUDIT-ELECTION-FILES";
const HASH = /^[0-9a-f]{64}$/;
const HASH_OR_NONE = /^([0-9a-f]{64})?$/;
const ADDRESS = /^0x[0-9a-f]{40}$/;
const POINT = /^0[23][0-9a-f]{64}$/;
const SIGNATURE = /^[0-9a-f]{130}$/;
const PATH = /^[a-z0-9][a-z0-9_.-]{0,99}(\/[a-z0-9][a-z0-9_.-]{0,99}){0,2}$/;
const PARTY_MAX = 64;
const NUMBER_MAX = 65_535;
const LARGE = Number.MAX_SAFE_INTEGER;

/** Reads one JSON file: canonical, with exactly its fields. */
function parse<Shape>(bytes: Uint8Array, name: string, read: (fields: Fields) => Shape): Shape {
  const fields = new Fields(decodeCanonical(bytes), name, RULE);
  const shape = read(fields);
  fields.finish();
  return shape;
}

function nested<Shape>(name: string, read: (fields: Fields) => Shape): (value: Json) => Shape {
  return (value) => {
    const fields = new Fields(value, name, RULE);
    const shape = read(fields);
    fields.finish();
    return shape;
  };
}

function takePoint(fields: Fields, name: string): Point {
  return decodePoint(fromHex(fields.text(name, POINT)));
}

function takeScalar(fields: Fields, name: string): bigint {
  return decodeScalar(fromHex(fields.text(name, HASH)));
}

function toPoint(value: Json): Point {
  if (typeof value !== "string" || !POINT.test(value)) {
    throw new Refusal("expected a point", RULE);
  }
  return decodePoint(fromHex(value));
}

export interface RecordFile {
  readonly path: string;
  readonly size: number;
  readonly sha256: string;
}

export interface RecordIndex {
  readonly eid: string;
  readonly chainId: number;
  readonly genesisHash: string;
  readonly height: number;
  readonly isMock: boolean;
  readonly files: readonly RecordFile[];
}

/** Decodes record.json. */
export function decodeIndex(bytes: Uint8Array): RecordIndex {
  return parse(bytes, "record.json", (fields) => {
    fields.integer("version", 1, 1);
    const files = fields.list("files", 100_000, 0).map(
      nested("file", (file) => ({
        path: file.text("path", PATH),
        size: file.integer("size", 0, 2 ** 32),
        sha256: file.text("sha256", HASH),
      })),
    );
    if (files.some(({ path }, at) => at > 0 && (files[at - 1]?.path ?? "") >= path)) {
      throw new Refusal("record.json: paths are not ascending", RULE);
    }
    return {
      eid: fields.text("eid", HASH),
      chainId: fields.integer("chain_id", 0, LARGE),
      genesisHash: fields.text("genesis_hash", HASH),
      height: fields.integer("height", 0, LARGE),
      isMock: fields.truth("is_mock"),
      files,
    };
  });
}

export interface ChainRound {
  readonly round: number;
  readonly mixer: number;
  /** Empty for a mixer that was skipped. */
  readonly output: string;
  readonly proof: string;
  readonly isValid: boolean | null;
}

export interface ChainShare {
  readonly trustee: number;
  readonly shares: string;
  readonly proof: string;
}

export interface ChainList {
  readonly kind: "roll" | "ballots";
  readonly number: number;
  readonly rowCount: number;
  readonly digest: string;
  readonly rounds: readonly ChainRound[];
  readonly shares: readonly ChainShare[];
}

export interface ChainFrozen {
  readonly style: number;
  readonly root: string;
  readonly count: number;
  readonly fileDigest: string;
}

export interface ChainPost {
  readonly municipality: number;
  readonly step: number;
  readonly digest: string;
  readonly height: number;
}

const CONTRACTS = ["Elections", "Credentials", "BallotBox", "TallyBoard", "Bulletin"] as const;

export type ChainContract = (typeof CONTRACTS)[number];

export interface ChainRecord {
  /** Where the contracts are. */
  readonly contracts: Readonly<Record<ChainContract, string>>;
  readonly terms: ReadonlyMap<string, Json>;
  readonly batches: readonly {
    readonly number: number;
    readonly root: string;
    readonly entryCount: number;
    readonly cancelCount: number;
    readonly height: number;
  }[];
  readonly frozen: readonly ChainFrozen[];
  readonly box: { readonly count: number; readonly value: string; readonly closedHeight: number };
  readonly lists: readonly ChainList[];
  readonly results: readonly {
    readonly race: number;
    readonly isMock: boolean;
    readonly result: string;
    readonly numbers: readonly number[];
  }[];
  readonly bulletin: readonly ChainPost[];
  readonly abandoned: string | null;
}

function takeHeight(fields: Fields, name = "height"): number {
  return fields.integer(name, 0, LARGE);
}

const toRound = nested("round", (fields) => {
  takeHeight(fields);
  return {
    round: fields.integer("round", 1, PARTY_MAX),
    mixer: fields.integer("mixer", 1, PARTY_MAX),
    output: fields.text("output", HASH_OR_NONE),
    proof: fields.text("proof", HASH_OR_NONE),
    isValid: fields.truthOrNull("is_valid"),
  };
});

const toShare = nested("share", (fields) => {
  takeHeight(fields);
  return {
    trustee: fields.integer("trustee", 1, PARTY_MAX),
    shares: fields.text("shares", HASH),
    proof: fields.text("proof", HASH),
  };
});

const toList = nested("list", (fields): ChainList => {
  takeHeight(fields);
  return {
    kind: fields.text("kind", /^(roll|ballots)$/) as ChainList["kind"],
    number: fields.integer("number", 0, NUMBER_MAX),
    rowCount: fields.integer("row_count", 0, LARGE),
    digest: fields.text("digest", HASH),
    rounds: fields.list("rounds", PARTY_MAX, 0).map(toRound),
    shares: fields.list("shares", PARTY_MAX, 0).map(toShare),
  };
});

const toBatch = nested("batch", (fields) => ({
  number: fields.integer("number", 0, LARGE),
  root: fields.text("root", HASH),
  entryCount: fields.integer("entry_count", 0, LARGE),
  cancelCount: fields.integer("cancel_count", 0, LARGE),
  height: takeHeight(fields),
}));

const toFrozen = nested("frozen", (fields) => {
  takeHeight(fields);
  return {
    style: fields.integer("style", 0, NUMBER_MAX),
    root: fields.text("root", HASH),
    count: fields.integer("count", 0, LARGE),
    fileDigest: fields.text("file_digest", HASH),
  };
});

const toResult = nested("result", (fields) => {
  takeHeight(fields);
  return {
    race: fields.integer("race", 0, NUMBER_MAX),
    isMock: fields.truth("is_mock"),
    result: fields.text("result", HASH),
    numbers: fields.list("numbers", 1_002, 3).map((count) => {
      if (typeof count !== "number" || count < 0) {
        throw new Refusal("result: expected counts", RULE);
      }
      return count;
    }),
  };
});

const toPost = nested(
  "post",
  (fields): ChainPost => ({
    municipality: fields.integer("municipality", 0, LARGE),
    step: fields.integer("step", 0, NUMBER_MAX),
    digest: fields.text("digest", HASH),
    height: takeHeight(fields),
  }),
);

/** Decodes chain.json: what the contracts are said to say. */
export function decodeChain(bytes: Uint8Array): ChainRecord {
  return parse(bytes, "chain.json", (fields) => {
    fields.integer("version", 1, 1);
    takeHeight(fields, "announced_height");
    const bulletin = fields.list("bulletin", 100_000, 0).map(toPost);
    const contracts = fields.object("contracts");
    const places = CONTRACTS.map((name) => [name, contracts.text(name, ADDRESS)] as const);
    contracts.finish();
    const terms = fields.value("terms");
    if (typeof terms !== "object" || terms === null || Array.isArray(terms)) {
      throw new Refusal("chain.json: terms is no object", RULE);
    }
    const box = fields.object("box");
    const boxRecord = {
      count: box.integer("count", 0, LARGE),
      value: box.text("value", HASH),
      closedHeight: takeHeight(box, "closed_height"),
    };
    box.finish();
    const abandoned = fields.value("abandoned");
    if (abandoned !== null && typeof abandoned !== "string") {
      throw new Refusal("chain.json: abandoned is no reason", RULE);
    }
    return {
      contracts: Object.fromEntries(places) as Record<ChainContract, string>,
      terms: new Map(Object.entries(terms)),
      batches: fields.list("batches", 100_000, 0).map(toBatch),
      frozen: fields.list("frozen", 1_000, 0).map(toFrozen),
      box: boxRecord,
      lists: fields.list("lists", 2_000, 0).map(toList),
      results: fields.list("results", 1_000, 0).map(toResult),
      bulletin,
      abandoned,
    };
  });
}

export interface TranscriptTrustee {
  readonly municipalityId: number;
  readonly node: Point;
  readonly encryptionKey: Point;
  readonly proof: KnowledgeProof;
}

export interface TranscriptShare {
  readonly ephemeral: Point;
  readonly ciphertext: Uint8Array;
}

export interface Transcript {
  readonly draftId: Uint8Array;
  readonly purpose: "B" | "R";
  readonly chainId: number;
  readonly registry: string;
  readonly threshold: number;
  readonly trustees: readonly TranscriptTrustee[];
  readonly commitments: readonly string[];
  readonly reveals: readonly {
    readonly commitments: readonly Point[];
    readonly proof: KnowledgeProof;
  }[];
  /** Per dealer and recipient; null to the dealer itself. */
  readonly shares: readonly (readonly (TranscriptShare | null)[])[];
  readonly complaints: readonly {
    readonly dealer: number;
    readonly complainer: number;
    readonly shared: Point;
    readonly proof: { readonly t1: Point; readonly t2: Point; readonly z: bigint };
  }[];
  readonly confirmations: readonly KnowledgeProof[];
  readonly publicKey: Point;
  readonly shareKeys: readonly Point[];
  readonly rehearsal: readonly {
    readonly subset: readonly number[];
    readonly a: Point;
    readonly b: Point;
    readonly message: Point;
    readonly shares: readonly { readonly trustee: number; readonly d: Point }[];
  }[];
}

function takeKnowledge(fields: Fields): KnowledgeProof {
  return { w: takePoint(fields, "w"), z: takeScalar(fields, "z") };
}

const toTranscriptTrustee = nested("trustee", (fields) => {
  const proof = fields.object("proof");
  const trustee = {
    municipalityId: fields.integer("municipality_id", 0, LARGE),
    node: takePoint(fields, "node"),
    encryptionKey: takePoint(fields, "encryption_key"),
    proof: takeKnowledge(proof),
  };
  proof.finish();
  return trustee;
});

const toReveal = nested("reveal", (fields) => ({
  commitments: fields.list("coefficients", PARTY_MAX).map(toPoint),
  proof: takeKnowledge(fields),
}));

const toEncryptedShare = nested("share", (fields) => ({
  ephemeral: takePoint(fields, "e"),
  ciphertext: fromHex(fields.text("ciphertext", HASH)),
}));

const toComplaint = nested("complaint", (fields) => ({
  dealer: fields.integer("dealer", 1, PARTY_MAX),
  complainer: fields.integer("complainer", 1, PARTY_MAX),
  shared: takePoint(fields, "s"),
  proof: {
    t1: takePoint(fields, "t1"),
    t2: takePoint(fields, "t2"),
    z: takeScalar(fields, "z"),
  },
}));

const toRehearsalShare = nested("rehearsal share", (fields) => {
  takePoint(fields, "t1");
  takePoint(fields, "t2");
  takeScalar(fields, "z");
  return { trustee: fields.integer("trustee", 1, PARTY_MAX), d: takePoint(fields, "d") };
});

const toRehearsal = nested("rehearsal", (fields) => ({
  subset: fields.list("subset", PARTY_MAX).map((number) => {
    if (typeof number !== "number") {
      throw new Refusal("rehearsal: expected numbers", RULE);
    }
    return number;
  }),
  a: takePoint(fields, "a"),
  b: takePoint(fields, "b"),
  message: takePoint(fields, "message"),
  shares: fields.list("shares", PARTY_MAX).map(toRehearsalShare),
}));

/** Decodes a key generation's transcript. */
export function decodeTranscript(bytes: Uint8Array, name: string): Transcript {
  return parse(bytes, name, (fields) => {
    fields.integer("version", 1, 1);
    return {
      draftId: fromHex(fields.text("draft_id", HASH)),
      purpose: fields.text("purpose", /^[BR]$/) as Transcript["purpose"],
      chainId: fields.integer("chain_id", 0, LARGE),
      registry: fields.text("registry", ADDRESS),
      threshold: fields.integer("threshold", 1, PARTY_MAX),
      trustees: fields.list("trustees", PARTY_MAX).map(toTranscriptTrustee),
      commitments: fields.list("commitments", PARTY_MAX, 0).map((commit) => {
        if (typeof commit !== "string" || !HASH.test(commit)) {
          throw new Refusal(`${name}: expected commitments`, RULE);
        }
        return commit;
      }),
      reveals: fields.list("reveals", PARTY_MAX, 0).map(toReveal),
      shares: fields.list("shares", PARTY_MAX, 0).map((row) => {
        if (!Array.isArray(row)) {
          throw new Refusal(`${name}: expected rows of shares`, RULE);
        }
        return row.map((share) => (share === null ? null : toEncryptedShare(share)));
      }),
      complaints: fields.list("complaints", 4_096, 0).map(toComplaint),
      confirmations: fields
        .list("confirmations", PARTY_MAX, 0)
        .map(nested("confirmation", takeKnowledge)),
      publicKey: takePoint(fields, "public_key"),
      shareKeys: fields.list("share_keys", PARTY_MAX, 0).map(toPoint),
      rehearsal: fields.list("rehearsal", PARTY_MAX, 0).map(toRehearsal),
    };
  });
}

export interface RollReceipt {
  readonly kind: "roll";
  readonly commitment: string;
  readonly batch: number;
  readonly timeS: number;
  readonly registrarSignature: Uint8Array;
  readonly attestorSignature: Uint8Array;
}

export interface BallotReceipt {
  readonly kind: "ballot";
  readonly ballotHash: string;
  readonly deadline: number;
  readonly relay: string;
  readonly signature: Uint8Array;
}

/** Decodes a receipt that a voter handed in. */
export function decodeReceipt(bytes: Uint8Array, name: string): RollReceipt | BallotReceipt {
  return parse(bytes, name, (fields) => {
    if (fields.text("kind", /^(roll|ballot)$/) === "roll") {
      return {
        kind: "roll",
        commitment: fields.text("commitment", HASH),
        batch: fields.integer("batch", 0, 2 ** 32 - 1),
        timeS: fields.integer("time", 0, LARGE),
        registrarSignature: fromHex(fields.text("registrar_signature", SIGNATURE)),
        attestorSignature: fromHex(fields.text("attestor_signature", SIGNATURE)),
      };
    }
    return {
      kind: "ballot",
      ballotHash: fields.text("ballot_hash", HASH),
      deadline: fields.integer("deadline", 0, LARGE),
      relay: fields.text("relay", ADDRESS),
      signature: fromHex(fields.text("signature", SIGNATURE)),
    };
  });
}
