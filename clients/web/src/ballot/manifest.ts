/** The election manifest: everything fixed before the first ballot. Spec: ELECTION-MANIFEST. */

import { fromHex } from "../core/bytes.js";
import { decodeCanonical, type Json } from "../core/canonicalJson.js";
import { Fields } from "../core/fields.js";
import { Refusal } from "../core/refusal.js";
import { computeEid, type Eid } from "./eid.js";
import { decodePoint, type Point } from "./group.js";

const RULE = "ELECTION-MANIFEST";
const SIZE_MAX = 1_048_576;
const NUMBER_MAX = 65_535;
const HASH = /^[0-9a-f]{64}$/;
const ADDRESS = /^0x[0-9a-f]{40}$/;
const POINT = /^0[23][0-9a-f]{64}$/;
const URL_TEXT = /^https?:\/\/[!-~]{1,200}$/;
const MODULUS = /^[0-9a-f]{512}$/;

export interface Race {
  readonly race: number;
  readonly name: string;
  /** Of candidates 1, 2, ...; 0 is the blank vote and is not listed. */
  readonly candidates: readonly string[];
}

export interface Style {
  readonly style: number;
  readonly name: string;
  readonly races: readonly number[];
}

export interface Trustee {
  readonly municipality: string;
  readonly municipalityId: number;
  readonly account: string;
  readonly node: Point;
  /** EK_j of both key generations. */
  readonly encryptionKey: Point;
  /** P_j of the ballot key. */
  readonly ballotShare: Point;
  /** P_j of the roll key. */
  readonly rollShare: Point;
  readonly url: string;
}

/** The commission, first of the list, or a witness of it. */
export interface Registrar {
  readonly municipality: string;
  readonly account: string;
  readonly receiptKey: Point;
  /** Of the commission's second attestor; a witness has none. */
  readonly attestorKey: Point | null;
}

/** Who takes ballots and brings them to the box. */
export interface BallotRelay {
  readonly municipality: string;
  readonly account: string;
  readonly receiptKey: Point;
  readonly url: string;
}

export interface Manifest {
  readonly eid: Eid;
  readonly chainId: number;
  readonly registry: string;
  readonly draftId: Uint8Array;
  readonly isMock: boolean;
  readonly title: string;
  readonly opensAt: number;
  readonly closesAt: number;
  readonly freezesAt: number;
  readonly styles: readonly Style[];
  readonly races: readonly Race[];
  readonly threshold: number;
  readonly trustees: readonly Trustee[];
  /** Y_B. */
  readonly ballotKey: Point;
  /** Y_R. */
  readonly rollKey: Point;
  readonly ballotTranscript: string;
  readonly rollTranscript: string;
  readonly registrars: readonly Registrar[];
  readonly attestations: number;
  readonly relays: readonly BallotRelay[];
  readonly tokenModulus: string;
  readonly maxSequence: number;
  readonly minIntervalS: number;
  readonly maxRekey: number;
  /** How long a mixer may take before it can be left out. */
  readonly mixTimeS: number;
  /** Within how many blocks a relay promises to record a ballot. */
  readonly castBlocks: number;
  readonly eligible: {
    readonly root: string;
    readonly size: number;
    readonly fileDigest: string;
  };
  /** Trustees in the order in which they mix. */
  readonly mixers: readonly number[];
  readonly minMixes: number;
}

/** Decodes a manifest, which must be in canonical form. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  if (bytes.length > SIZE_MAX) {
    throw new Refusal(`manifest of ${bytes.length} bytes`, RULE);
  }
  const fields = new Fields(decodeCanonical(bytes), "manifest", RULE);
  fields.integer("version", 1, 1);
  fields.text("profile", /^P$/);
  const manifest: Manifest = {
    eid: computeEid(bytes),
    chainId: fields.integer("chain_id", 1, Number.MAX_SAFE_INTEGER),
    registry: fields.text("registry", ADDRESS),
    draftId: fromHex(fields.text("draft_id", HASH)),
    isMock: fields.truth("is_mock"),
    title: fields.text("title"),
    opensAt: takeTime(fields, "opens_at"),
    closesAt: takeTime(fields, "closes_at"),
    freezesAt: takeTime(fields, "freezes_at"),
    styles: fields.list("styles", 1_000).map(toStyle),
    races: fields.list("races", 1_000).map(toRace),
    threshold: fields.integer("threshold", 1, 64),
    trustees: fields.list("trustees", 64).map(toTrustee),
    ballotKey: takePoint(fields, "ballot_key"),
    rollKey: takePoint(fields, "roll_key"),
    ballotTranscript: fields.text("ballot_transcript", HASH),
    rollTranscript: fields.text("roll_transcript", HASH),
    registrars: fields.list("registrars", 64).map(toRegistrar),
    attestations: fields.integer("attestations", 1, 64),
    relays: fields.list("relays", 64).map(toRelay),
    tokenModulus: fields.text("token_modulus", MODULUS),
    ...takeLimits(fields.object("limits")),
    eligible: takeEligible(fields.object("eligible")),
    mixers: takeNumbers(fields, "mixers", 64),
    minMixes: fields.integer("min_mixes", 1, 64),
  };
  fields.finish();
  checkWhole(manifest);
  return manifest;
}

function takeTime(fields: Fields, name: string): number {
  return fields.integer(name, 0, Number.MAX_SAFE_INTEGER);
}

function takePoint(fields: Fields, name: string): Point {
  return decodePoint(fromHex(fields.text(name, POINT)));
}

function takeNumbers(fields: Fields, name: string, max: number): readonly number[] {
  return fields.list(name, max).map((item) => {
    if (typeof item !== "number" || item < 0 || item > NUMBER_MAX) {
      throw new Refusal(`manifest: ${name} holds no small number`, RULE);
    }
    return item;
  });
}

function toStyle(value: Json): Style {
  const fields = new Fields(value, "style", RULE);
  const style = {
    style: fields.integer("style", 0, NUMBER_MAX),
    name: fields.text("name"),
    races: takeNumbers(fields, "races", 64),
  };
  fields.finish();
  return style;
}

function toRace(value: Json): Race {
  const fields = new Fields(value, "race", RULE);
  const race = {
    race: fields.integer("race", 0, NUMBER_MAX),
    name: fields.text("name"),
    candidates: fields.list("candidates", 1_000).map((candidate, at) => {
      const members = new Fields(candidate, "candidate", RULE);
      members.integer("number", at + 1, at + 1);
      const name = members.text("name");
      members.finish();
      return name;
    }),
  };
  fields.finish();
  return race;
}

function toTrustee(value: Json): Trustee {
  const fields = new Fields(value, "trustee", RULE);
  const trustee = {
    municipality: fields.text("municipality"),
    municipalityId: fields.integer("municipality_id", 1, 255),
    account: fields.text("account", ADDRESS),
    node: takePoint(fields, "node"),
    encryptionKey: takePoint(fields, "encryption_key"),
    ballotShare: takePoint(fields, "ballot_share"),
    rollShare: takePoint(fields, "roll_share"),
    url: fields.text("url", URL_TEXT),
  };
  fields.finish();
  return trustee;
}

function toRegistrar(value: Json): Registrar {
  const fields = new Fields(value, "registrar", RULE);
  const attestor = fields.text("attestor_key", /^(0[23][0-9a-f]{64})?$/);
  const registrar = {
    municipality: fields.text("municipality"),
    account: fields.text("account", ADDRESS),
    receiptKey: takePoint(fields, "receipt_key"),
    attestorKey: attestor === "" ? null : decodePoint(fromHex(attestor)),
  };
  fields.finish();
  return registrar;
}

function toRelay(value: Json): BallotRelay {
  const fields = new Fields(value, "relay", RULE);
  const relay = {
    municipality: fields.text("municipality"),
    account: fields.text("account", ADDRESS),
    receiptKey: takePoint(fields, "receipt_key"),
    url: fields.text("url", URL_TEXT),
  };
  fields.finish();
  return relay;
}

type Limits = Pick<
  Manifest,
  "maxSequence" | "minIntervalS" | "maxRekey" | "mixTimeS" | "castBlocks"
>;

function takeLimits(fields: Fields): Limits {
  const limits = {
    maxSequence: fields.integer("max_sequence", 1, 1_000),
    minIntervalS: fields.integer("min_interval_s", 0, 86_400),
    maxRekey: fields.integer("max_rekey", 0, 100),
    mixTimeS: fields.integer("mix_time_s", 10, 86_400),
    castBlocks: fields.integer("cast_blocks", 1, 100_000),
  };
  fields.finish();
  return limits;
}

function takeEligible(fields: Fields): Manifest["eligible"] {
  const eligible = {
    root: fields.text("root", HASH),
    size: fields.integer("size", 0, Number.MAX_SAFE_INTEGER),
    fileDigest: fields.text("file_digest", HASH),
  };
  fields.finish();
  return eligible;
}

function isAscending(numbers: readonly number[]): boolean {
  return numbers.every((number, at) => at === 0 || (numbers[at - 1] ?? number) < number);
}

function isDistinct(values: readonly unknown[]): boolean {
  return new Set(values).size === values.length;
}

function checkWhole(manifest: Manifest): void {
  const races = manifest.races.map((race) => race.race);
  const count = manifest.trustees.length;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      manifest.opensAt < manifest.closesAt && manifest.closesAt <= manifest.freezesAt,
      "windows are out of order",
    ],
    [manifest.threshold <= count, "threshold above the number of trustees"],
    [isAscending(races), "races are not ascending"],
    [isAscending(manifest.styles.map((style) => style.style)), "styles are not ascending"],
    [
      manifest.styles.every(
        (style) => isAscending(style.races) && style.races.every((race) => races.includes(race)),
      ),
      "a style's races are unknown or not ascending",
    ],
    [
      isDistinct(manifest.mixers) && manifest.mixers.every((mixer) => mixer >= 1 && mixer <= count),
      "mixers are not distinct trustees",
    ],
    [manifest.registrars[0]?.attestorKey != null, "the commission has no attestor key"],
    [
      Math.max(manifest.threshold, manifest.attestations) <= manifest.registrars.length,
      "more registrars demanded than named",
    ],
    [
      isDistinct(manifest.trustees.map((trustee) => trustee.municipalityId)) &&
        isDistinct(manifest.trustees.map((trustee) => trustee.account)) &&
        isDistinct(manifest.registrars.map((registrar) => registrar.account)),
      "somebody has a role twice",
    ],
    [manifest.minMixes <= manifest.mixers.length, "more mixes demanded than mixers named"],
  ];
  for (const [holds, message] of rules) {
    if (!holds) {
      throw new Refusal(`manifest: ${message}`, RULE);
    }
  }
}
