/** The public audit of an election from its published record, and its chain. Spec: AUDIT-ELECTION. */

import { sha256 } from "@noble/hashes/sha2.js";
import { type ListContext, listDigest } from "../ballot/cipherList.js";
import type { Point } from "../ballot/group.js";
import { decodeManifest, type Manifest } from "../ballot/manifest.js";
import { merkleRoot } from "../ballot/merkle.js";
import { ballotReceiptHash, rollReceiptHash } from "../ballot/receipt.js";
import type { NonceSource } from "../ballot/scalar.js";
import { buildRaceList, type Cleansing, cleanse, countRace, resultHash } from "../ballot/tally.js";
import { checkSignature } from "../ballot/verifyBallots.js";
import { compareBytes, fromHex, toHex } from "../core/bytes.js";
import type { Json } from "../core/canonicalJson.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import { auditBox, auditWithdrawals, type BoxContents } from "./box.js";
import { auditCeremony, trusteeName } from "./ceremony.js";
import { walkChain } from "./chain.js";
import { compareEvents } from "./chainEvents.js";
import { Folder, type ReadFile } from "./folder.js";
import { readGenesis } from "./genesis.js";
import { auditList, nameOfMessage } from "./mixedList.js";
import {
  type ChainRecord,
  decodeChain,
  decodeIndex,
  decodeReceipt,
  decodeTranscript,
  type RecordIndex,
} from "./record.js";
import { CHECKS, type Check, type Outcome, Worksheet } from "./worksheet.js";

/** The bulletin's step of incident n is this and n. */
const INCIDENT_STEP = 1_000;
const INCIDENTS_MAX = 1_000;

/** A bundle of the chain from block 1 on, and the genesis file that the auditor trusts. */
export interface ChainFiles {
  readonly bundle: Uint8Array;
  readonly genesis: Uint8Array;
}

/** Answers every question that the record lets anyone ask; with a chain, that of the chain too. */
export function verifyElection(
  read: ReadFile,
  source: NonceSource,
  files: ChainFiles | null = null,
): readonly Outcome[] {
  const sheet = new Worksheet();
  if (files === null) {
    sheet.leaveOpen("chain.json is taken as given; no chain was given", "election.chain");
  }
  new ElectionAudit(read, source, sheet, files).run();
  return sheet.outcomes();
}

class ElectionAudit {
  readonly #read: ReadFile;
  readonly #source: NonceSource;
  readonly #sheet: Worksheet;
  readonly #files: ChainFiles | null;
  #folder: Folder;

  constructor(read: ReadFile, source: NonceSource, sheet: Worksheet, files: ChainFiles | null) {
    this.#files = files;
    this.#read = read;
    this.#source = source;
    this.#sheet = sheet;
    this.#folder = new Folder([], read);
  }

  run(): void {
    const index = this.#readIndex();
    if (index === null) {
      this.#giveUp("record.json cannot be read", "election.files.complete");
      return;
    }
    const manifest = this.#try("election.manifest", "manifest.json", () =>
      decodeManifest(this.#folder.read("manifest.json")),
    );
    if (manifest === null) {
      this.#giveUp("the manifest cannot be read", "election.id");
      return;
    }
    this.#sheet.compare(
      "election.id",
      "record.json",
      [toHex(manifest.eid), manifest.chainId, manifest.isMock],
      [index.eid, index.chainId, index.isMock],
    );
    this.#auditCeremonies(manifest);
    this.#auditEligible(manifest);
    const chain = this.#try("election.terms", "chain.json", () =>
      decodeChain(this.#folder.read("chain.json")),
    );
    if (chain === null) {
      this.#giveUp("chain.json cannot be read", "election.terms");
      return;
    }
    this.#checkAnnouncement(manifest, chain);
    this.#checkFiles(manifest, chain);
    const active = this.#auditRoll(manifest, chain);
    if (!this.#folder.has("ballots.bin")) {
      this.#auditChain(manifest, chain, index, null);
      this.#giveUp("ballots.bin is absent", "election.ballots.form");
      return;
    }
    const bytes = this.#folder.read("ballots.bin");
    const box = auditBox(bytes, manifest, this.#sheet, this.#source);
    this.#auditChain(manifest, chain, index, box);
    this.#sheet.compare(
      "election.box",
      "closed box",
      [chain.box.count, chain.box.value],
      [box.count, toHex(box.value)],
    );
    this.#auditTally(manifest, chain, box);
    this.#auditReceipts(manifest, chain, index, box, active);
  }

  #giveUp(reason: string, after: Check): void {
    this.#sheet.leaveOpen(reason, ...CHECKS.slice(CHECKS.indexOf(after)));
  }

  /** Does what may be refused; the refusal fails a check. */
  #try<Value>(check: Check, subject: string, work: () => Value): Value | null {
    try {
      const value = work();
      this.#sheet.ask(check, subject, true, "");
      return value;
    } catch (error) {
      if (error instanceof Refusal) {
        this.#sheet.ask(check, subject, false, error.message);
        return null;
      }
      throw error;
    }
  }

  #readIndex(): RecordIndex | null {
    const index = this.#try("election.files", "record.json", () => {
      const bytes = this.#read("record.json");
      if (bytes === null) {
        throw new Refusal("record.json is absent", "AUDIT-ELECTION-FILES");
      }
      return decodeIndex(bytes);
    });
    if (index !== null) {
      this.#folder = new Folder(index.files, this.#read);
      for (const path of this.#folder.paths) {
        const isWhole = this.#folder.isWhole(path);
        this.#sheet.ask("election.files", path, isWhole, "absent, or another file");
      }
    }
    return index;
  }

  /** Walks the chain from its first block, and holds its events against what the record says. */
  #auditChain(
    manifest: Manifest,
    chain: ChainRecord,
    index: RecordIndex,
    box: BoxContents | null,
  ): void {
    const files = this.#files;
    if (files === null) {
      return;
    }
    this.#try("election.chain", "chain", () => {
      const genesis = readGenesis(files.genesis);
      const places = Object.values(chain.contracts).map((address) => address.slice(2));
      const walk = walkChain(files.bundle, genesis, new Set(places));
      if (walk.openReason !== null) {
        this.#sheet.leaveOpen(walk.openReason, "election.chain");
        return;
      }
      const network = [genesis.header.hash, genesis.chainId];
      const named = [index.genesisHash, index.chainId];
      this.#sheet.compare("election.chain", "network", network, named);
      const reaches = walk.lastHeight >= index.height;
      const message = `ends at ${walk.lastHeight}, the record is of height ${index.height}`;
      this.#sheet.ask("election.chain", "bundle", reaches, message);
      for (const { subject, message } of walk.faults) {
        this.#sheet.ask("election.chain", subject, false, message);
      }
      const { eid, draftId, freezesAt } = manifest;
      const ballots = box === null ? null : box.marks;
      compareEvents(
        walk.logs,
        { eid, draftId, height: index.height, freezesAt, record: chain, ballots },
        this.#sheet,
      );
    });
  }

  #auditCeremonies(manifest: Manifest): void {
    const parts = [
      ["dkg/ballot.json", "B", manifest.ballotTranscript],
      ["dkg/roll.json", "R", manifest.rollTranscript],
    ] as const;
    for (const [path, purpose, digest] of parts) {
      const transcript = this.#try("election.keys.run", path, () =>
        decodeTranscript(this.#folder.read(path), path),
      );
      if (transcript !== null) {
        this.#sheet.compare("election.keys.run", path, digest, this.#folder.digestOf(path));
        auditCeremony(transcript, purpose, manifest, this.#sheet);
      }
    }
  }

  #auditEligible(manifest: Manifest): void {
    if (!this.#folder.has("eligible.bin")) {
      this.#sheet.leaveOpen("eligible.bin is absent", "election.eligible");
      return;
    }
    const { root, size, fileDigest } = manifest.eligible;
    const found = describeHashes(this.#folder.read("eligible.bin"));
    this.#sheet.compare("election.eligible", "eligible.bin", [root, size, fileDigest], found);
  }

  #checkAnnouncement(manifest: Manifest, chain: ChainRecord): void {
    const expected = new Map(Object.entries(termsOf(manifest)));
    for (const name of new Set([...expected.keys(), ...chain.terms.keys()])) {
      const found = chain.terms.get(name);
      this.#sheet.compare("election.terms", name, expected.get(name), found);
    }
    this.#sheet.compare("election.terms", "registry", manifest.registry, chain.contracts.Elections);
    const isStanding = chain.abandoned === null;
    this.#sheet.ask("election.stands", "election", isStanding, `abandoned: ${chain.abandoned}`);
  }

  #checkFiles(manifest: Manifest, chain: ChainRecord): void {
    for (const [path, blame] of wantedFiles(manifest, chain)) {
      const isThere = this.#folder.has(path);
      this.#sheet.ask("election.files.complete", path, isThere, "not in the record", blame);
    }
    this.#checkIncidents(chain);
  }

  /** Compares incidents with the bulletin's digests of them; a text may be withheld. */
  #checkIncidents(chain: ChainRecord): void {
    const check = "election.files.complete";
    const counts = new Map<number, number>();
    for (const { municipality, step, digest } of chain.bulletin) {
      const number = step - INCIDENT_STEP;
      if (number < 1 || number > INCIDENTS_MAX) {
        continue;
      }
      const path = `incidents/${municipality}-${number}.json`;
      const blame = [`municipality number ${municipality}`];
      const next = (counts.get(municipality) ?? 0) + 1;
      counts.set(municipality, next);
      this.#sheet.compare(check, `number of ${path}`, next, number, blame);
      if (this.#folder.has(path)) {
        this.#sheet.compare(check, path, digest, this.#folder.digestOf(path), blame);
      }
    }
  }

  /** Checks batches and active lists, and returns the commitments of all active entries. */
  #auditRoll(manifest: Manifest, chain: ChainRecord): ReadonlySet<string> {
    const commission = [itemAt(manifest.registrars, 0).municipality];
    let height = 0;
    chain.batches.forEach((batch, at) => {
      const isNext = batch.number === at && batch.height >= height;
      const message = `number ${batch.number}, ${at} expected`;
      this.#sheet.ask("election.roll.batches", `batch ${at}`, isNext, message, commission);
      height = batch.height;
    });
    const posted = chain.batches.reduce((sum, batch) => sum + batch.entryCount, 0);
    const frozen = chain.frozen.reduce((sum, each) => sum + each.count, 0);
    const isEnough = frozen <= posted && frozen <= manifest.eligible.size;
    const message = `${frozen} frozen of ${posted} posted`;
    this.#sheet.ask("election.roll.batches", "all batches", isEnough, message, commission);
    const active = new Set<string>();
    this.#sheet.compare(
      "election.roll.frozen",
      "styles",
      manifest.styles.map((style) => style.style),
      chain.frozen.map((each) => each.style).sort((left, right) => left - right),
      commission,
    );
    for (const each of chain.frozen) {
      const path = `roll/active-${each.style}.bin`;
      if (!this.#folder.has(path) && each.count > 0) {
        this.#sheet.leaveOpen(`${path} is absent`, "election.roll.frozen");
        continue;
      }
      const bytes = each.count > 0 ? this.#folder.read(path) : new Uint8Array();
      const expected = [each.root, each.count, each.fileDigest];
      this.#sheet.compare(
        "election.roll.frozen",
        path,
        expected,
        describeHashes(bytes),
        commission,
      );
      for (const value of splitHashes(bytes)) {
        active.add(toHex(value));
      }
    }
    return active;
  }

  #auditTally(manifest: Manifest, chain: ChainRecord, box: BoxContents): void {
    const withdrawn = this.#folder.has("withdrawals.bin")
      ? auditWithdrawals(this.#folder.read("withdrawals.bin"), manifest.eid, box, this.#sheet)
      : [];
    const labels = chain.lists.map((each) => `${each.kind} ${each.number}`);
    this.#sheet.compare("election.lists", "lists", labels.length, new Set(labels).size);
    const rolls = chain.lists.filter((each) => each.kind === "roll");
    this.#sheet.compare(
      "election.lists",
      "roll lists",
      sortedPairs(chain.frozen.filter(({ count }) => count > 0).map((e) => [e.style, e.count])),
      sortedPairs(rolls.map((each) => [each.number, each.rowCount])),
    );
    const opened = this.#openRoll(manifest, chain);
    if (opened === null) {
      this.#giveUpTally("the roll was not opened");
      return;
    }
    const cleansing = cleanse(box.ballots, withdrawn, opened);
    this.#checkCleansing(cleansing, opened, chain);
    this.#auditRaces(cleansing, manifest, chain);
  }

  #giveUpTally(reason: string): void {
    this.#sheet.leaveOpen(
      reason,
      "election.cleansing",
      "election.results.counts",
      "election.results.complete",
    );
  }

  #openRoll(manifest: Manifest, chain: ChainRecord): ReadonlyMap<number, readonly Point[]> | null {
    const opened = new Map<number, readonly Point[]>();
    let isOpen = true;
    for (const { style, count } of chain.frozen) {
      const messages = count === 0 ? [] : this.#auditList("roll", style, manifest, chain);
      if (messages === null) {
        isOpen = false;
      } else {
        opened.set(style, messages);
      }
    }
    return isOpen ? opened : null;
  }

  #auditList(
    kind: "roll" | "ballots",
    number: number,
    manifest: Manifest,
    chain: ChainRecord,
  ): readonly Point[] | null {
    const listed = chain.lists.find((each) => each.kind === kind && each.number === number);
    if (listed === undefined) {
      this.#sheet.leaveOpen(`no list of ${kind} ${number}`, "election.shares.enough");
      return null;
    }
    const [folder, sheet, source] = [this.#folder, this.#sheet, this.#source];
    return auditList({ listed, manifest, folder, sheet, source });
  }

  #checkCleansing(
    cleansing: Cleansing,
    opened: ReadonlyMap<number, readonly Point[]>,
    chain: ChainRecord,
  ): void {
    for (const { style, count } of chain.frozen) {
      const messages = opened.get(style) ?? [];
      const kept = cleansing.kept.filter((ballot) => ballot.style === style).length;
      const distinct = new Set(messages.map(nameOfMessage)).size;
      const holds = kept <= distinct && distinct <= count && messages.length === count;
      const message = `${kept} counted, ${distinct} pointers, ${count} active entries`;
      this.#sheet.ask("election.cleansing", `style ${style}`, holds, message);
    }
  }

  #auditRaces(cleansing: Cleansing, manifest: Manifest, chain: ChainRecord): void {
    const lists = manifest.races.map((race) => ({
      ...race,
      list: buildRaceList(cleansing.kept, race.race),
    }));
    this.#sheet.compare(
      "election.results.complete",
      "races",
      lists.filter(({ list }) => list.rows.length > 0).map(({ race }) => [race, manifest.isMock]),
      chain.results
        .map(({ race, isMock }) => [race, isMock] as const)
        .sort(([left], [right]) => left - right),
    );
    const races = new Set(lists.map(({ race }) => race));
    for (const each of chain.lists) {
      if (each.kind === "ballots" && !races.has(each.number)) {
        this.#sheet.ask("election.lists", `ballots-${each.number}`, false, "no such race");
      }
    }
    for (const { race, candidates, list } of lists) {
      const listed = chain.lists.find((each) => each.kind === "ballots" && each.number === race);
      const context: ListContext = { eid: manifest.eid, kind: "B", listId: race, round: 0 };
      const isEmpty = list.rows.length === 0;
      this.#sheet.compare(
        "election.lists",
        `ballots-${race}`,
        isEmpty ? null : [list.rows.length, toHex(listDigest(context, list))],
        listed === undefined ? null : [listed.rowCount, listed.digest],
        ["the trustees that started the list"],
      );
      if (!isEmpty) {
        this.#auditResult(race, candidates.length, manifest, chain);
      }
    }
  }

  #auditResult(race: number, candidates: number, manifest: Manifest, chain: ChainRecord): void {
    const messages = this.#auditList("ballots", race, manifest, chain);
    const result = chain.results.find((each) => each.race === race);
    if (messages === null || result === undefined) {
      this.#sheet.leaveOpen(`race ${race} was not decrypted`, "election.results.counts");
      return;
    }
    const count = countRace(manifest.eid, race, candidates, messages);
    const numbers = [...count.counts, count.invalid];
    this.#sheet.compare("election.results.counts", `race ${race}`, numbers, result.numbers);
    const published = {
      race,
      counts: result.numbers.slice(0, -1),
      invalid: itemAt(result.numbers, result.numbers.length - 1),
    };
    const hash = toHex(resultHash(manifest.eid, published));
    this.#sheet.compare("election.results.hashes", `race ${race}`, hash, result.result);
  }

  #auditReceipts(
    manifest: Manifest,
    chain: ChainRecord,
    index: RecordIndex,
    box: BoxContents,
    active: ReadonlySet<string>,
  ): void {
    for (const path of this.#folder.paths) {
      if (!path.startsWith("receipts/") || !this.#folder.has(path)) {
        continue;
      }
      try {
        const receipt = decodeReceipt(this.#folder.read(path), path);
        if (receipt.kind === "ballot") {
          const relay = manifest.relays.find((each) => each.account === receipt.relay);
          if (relay === undefined) {
            throw new Refusal(`${path}: of no relay of the election`, "RECEIPT-BALLOT");
          }
          const ballot = fromHex(receipt.ballotHash);
          const signed = ballotReceiptHash(manifest.eid, ballot, receipt.deadline);
          checkSignature(signed, receipt.signature, relay.receiptKey);
          if (receipt.deadline > index.height) {
            throw new Refusal(`${path}: its deadline is after the record`, "RECEIPT-BALLOT");
          }
          const height = box.heights.get(receipt.ballotHash);
          const isKept = height !== undefined && height <= receipt.deadline;
          const message = height === undefined ? "never recorded" : `recorded at ${height}`;
          const blame = [relay.municipality];
          this.#sheet.ask("election.receipts.ballots", path, isKept, message, blame);
        } else {
          const commission = itemAt(manifest.registrars, 0);
          const { batch, timeS } = receipt;
          const commitment = fromHex(receipt.commitment);
          const signed = rollReceiptHash(manifest.eid, commitment, batch, timeS);
          checkSignature(signed, receipt.registrarSignature, commission.receiptKey);
          const attestor = commission.attestorKey ?? commission.receiptKey;
          checkSignature(signed, receipt.attestorSignature, attestor);
          if (!active.has(receipt.commitment)) {
            const reason = `${path}: not active; replaced, cancelled or left out`;
            this.#sheet.leaveOpen(reason, "election.receipts.roll");
          }
          const isPosted = receipt.batch < chain.batches.length;
          const blame = [commission.municipality];
          this.#sheet.ask("election.receipts.roll", path, isPosted, "no such batch", blame);
        }
      } catch (error) {
        if (!(error instanceof Refusal)) {
          throw error;
        }
        const checks = ["election.receipts.roll", "election.receipts.ballots"] as const;
        this.#sheet.leaveOpen(error.message, ...checks);
      }
    }
  }
}

function sortedPairs(pairs: readonly (readonly [number, number])[]): unknown {
  return [...pairs].sort(([left], [right]) => left - right);
}

function splitHashes(bytes: Uint8Array): readonly Uint8Array[] {
  const count = Math.floor(bytes.length / 32);
  return Array.from({ length: count }, (_, at) => bytes.subarray(32 * at, 32 * at + 32));
}

/** Returns root, count and digest of a file of ascending hashes, or that it is none. */
function describeHashes(bytes: Uint8Array): readonly (string | number)[] {
  const values = splitHashes(bytes);
  const isAscending = values.every(
    (value, at) => at === 0 || compareBytes(itemAt(values, at - 1), value) < 0,
  );
  if (!isAscending || bytes.length % 32 !== 0) {
    return ["unsorted, repeated or broken"];
  }
  return [toHex(merkleRoot(values)), values.length, toHex(sha256(bytes))];
}

/** Returns what the contract was told of a manifest. Spec: ELECTION-TERMS. */
function termsOf(manifest: Manifest): Record<string, Json> {
  return {
    draft_id: toHex(manifest.draftId),
    is_mock: manifest.isMock,
    opens_at: manifest.opensAt,
    closes_at: manifest.closesAt,
    freezes_at: manifest.freezesAt,
    max_sequence: manifest.maxSequence,
    min_interval_s: manifest.minIntervalS,
    mix_time_s: manifest.mixTimeS,
    threshold: manifest.threshold,
    attestations: manifest.attestations,
    min_mixes: manifest.minMixes,
    trustees: manifest.trustees.map((each) => each.municipalityId),
    trustee_accounts: manifest.trustees.map((each) => each.account),
    mixers: manifest.mixers,
    registrars: manifest.registrars.map((each) => each.account),
    relays: manifest.relays.map((each) => each.account),
    races: manifest.races.map((each) => [each.race, each.candidates.length]),
    style_races: manifest.styles.flatMap((style) => style.races.map((race) => [style.style, race])),
  };
}

/** Yields the path of every file that a digest speaks of, and who answers for it. */
function* wantedFiles(
  manifest: Manifest,
  chain: ChainRecord,
): Generator<readonly [string, readonly string[]]> {
  for (const path of ["dkg/ballot.json", "dkg/roll.json", "eligible.bin"]) {
    yield [path, []];
  }
  yield ["ballots.bin", []];
  yield ["withdrawals.bin", []];
  for (const { style, count } of chain.frozen) {
    if (count > 0) {
      yield [`roll/active-${style}.bin`, [itemAt(manifest.registrars, 0).municipality]];
    }
  }
  for (const { kind, number, rounds, shares } of chain.lists) {
    const label = `${kind}-${number}`;
    if (kind === "ballots") {
      yield [`lists/${label}-0.bin`, []];
    }
    for (const { round, mixer, isValid } of rounds) {
      if (isValid) {
        const blame = [trusteeName(manifest, mixer)];
        yield [`lists/${label}-${round}.bin`, blame];
        yield [`mixes/${label}-${round}.bin`, blame];
      }
    }
    for (const { trustee } of shares) {
      const blame = [trusteeName(manifest, trustee)];
      yield [`shares/${label}-${trustee}.bin`, blame];
      yield [`shares/${label}-${trustee}.proof`, blame];
    }
  }
}
