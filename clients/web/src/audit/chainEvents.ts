/** What the chain's events tell of an election, held against chain.json and the recorded ballots. */

import { keccak_256 } from "@noble/hashes/sha3.js";
import { encodeText, isEqual, toHex, toInteger } from "../core/bytes.js";
import type { Json } from "../core/canonicalJson.js";
import { Refusal } from "../core/refusal.js";
import { itemAt } from "../core/rows.js";
import type { Log } from "./chain.js";
import type { ChainContract, ChainRecord } from "./record.js";
import type { Worksheet } from "./worksheet.js";

const RULE = "AUDIT-ELECTION";
const TERMS =
  "(bytes32,bool,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256,uint256," +
  "uint256[],address[],uint256[],address[],address[],(uint256,uint256)[],(uint256,uint256)[])";
const NUMBERS = [
  "opens_at",
  "closes_at",
  "freezes_at",
  "max_sequence",
  "min_interval_s",
  "mix_time_s",
  "threshold",
  "attestations",
  "min_mixes",
] as const;

type Row = readonly Json[];

/** Reads words of an event's data. */
class Words {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  word(at: number): Uint8Array {
    const word = this.#bytes.subarray(32 * at, 32 * at + 32);
    if (word.length < 32) {
      throw new Refusal("an event's data end too early", RULE);
    }
    return word;
  }

  hex(at: number): string {
    return toHex(this.word(at));
  }

  number(at: number): number {
    const value = toInteger(this.word(at));
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new Refusal("an event's number is too large", RULE);
    }
    return Number(value);
  }

  truth(at: number): boolean {
    return this.number(at) === 1;
  }

  address(at: number): string {
    return `0x${toHex(this.word(at).subarray(12))}`;
  }

  /** The words from a place that stands, in bytes from here, in the word at `at`. */
  below(at: number): Words {
    return new Words(this.#bytes.subarray(this.number(at)));
  }

  /** A counted row of items of `width` words each. */
  row<Item>(at: number, width: number, read: (words: Words, at: number) => Item): readonly Item[] {
    const below = this.below(at);
    const rest = new Words(below.#bytes.subarray(32));
    const count = below.number(0);
    if (count * width * 32 > rest.#bytes.length) {
      throw new Refusal("an event's row ends too early", RULE);
    }
    return Array.from({ length: count }, (_, place) => read(rest, place * width));
  }

  /** A byte string of counted length. */
  text(at: number): Uint8Array {
    const below = this.below(at);
    return below.#bytes.subarray(32, 32 + below.number(0));
  }
}

/** What the events tell, in the form of chain.json without heights. */
class Told {
  readonly terms: Json[] = [];
  readonly abandoned: string[] = [];
  readonly batches: Row[] = [];
  readonly frozen: Row[] = [];
  readonly frozenTimes: number[] = [];
  readonly casts: Row[] = [];
  readonly box: Row[] = [];
  readonly lists: Row[] = [];
  readonly shares: Row[] = [];
  readonly results: Row[] = [];
  readonly posts: Row[] = [];
  readonly rounds = new Map<string, [Row, Json, string, string, boolean | null]>();
}

type Take = (told: Told, data: Words, log: Log) => void;

interface EventForm {
  readonly contract: ChainContract;
  readonly signature: string;
  readonly take: Take;
}

function keyOf(log: Log): readonly [string, number] {
  const topics = [2, 3].map((at) => new Words(itemAt(log.topics, at)).number(0));
  const [kind, number] = [itemAt(topics, 0), itemAt(topics, 1)];
  return [kind === 66 ? "ballots" : kind === 82 ? "roll" : "?", number];
}

const EVENTS: readonly EventForm[] = [
  {
    contract: "Bulletin",
    signature: "Posted(bytes32,uint256,uint256,bytes32)",
    take: (told, data, log) => {
      const municipality = new Words(itemAt(log.topics, 2)).number(0);
      told.posts.push([municipality, data.number(0), data.hex(1), log.height]);
    },
  },
  {
    contract: "Elections",
    signature: `Announced(bytes32,bytes32,${TERMS})`,
    take: (told, data) => told.terms.push(readTerms(data.below(0))),
  },
  {
    contract: "Elections",
    signature: "Abandoned(bytes32,bytes32)",
    take: (told, data) => told.abandoned.push(data.hex(0)),
  },
  {
    contract: "Credentials",
    signature: "BatchPosted(bytes32,uint256,bytes32,uint256,uint256)",
    take: (told, data) =>
      told.batches.push([data.number(0), data.hex(1), data.number(2), data.number(3)]),
  },
  {
    contract: "Credentials",
    signature: "StyleFrozen(bytes32,uint256,bytes32,uint256,bytes32)",
    take: (told, data, log) => {
      told.frozen.push([data.number(0), data.hex(1), data.number(2), data.hex(3)]);
      told.frozenTimes.push(log.timeS);
    },
  },
  {
    contract: "BallotBox",
    signature: "BallotCast(bytes32,bytes32,bytes32,uint256,bytes)",
    take: (told, data, log) =>
      told.casts.push([data.number(0), toHex(itemAt(log.topics, 3)), log.height, log.timeS]),
  },
  {
    contract: "BallotBox",
    signature: "BoxClosed(bytes32,uint256,bytes32)",
    take: (told, data, log) => told.box.push([data.number(0), data.hex(1), log.height]),
  },
  {
    contract: "TallyBoard",
    signature: "ListStarted(bytes32,uint256,uint256,uint256,bytes32)",
    take: (told, data, log) => told.lists.push([...keyOf(log), data.number(0), data.hex(1)]),
  },
  {
    contract: "TallyBoard",
    signature: "MixPosted(bytes32,uint256,uint256,uint256,uint256,bytes32,bytes32)",
    take: (told, data, log) => {
      const place = [...keyOf(log), data.number(0)];
      const round = [place, data.number(1), data.hex(2), data.hex(3), null] as const;
      told.rounds.set(JSON.stringify(place), [...round]);
    },
  },
  {
    contract: "TallyBoard",
    signature: "MixEnded(bytes32,uint256,uint256,uint256,uint256,bool,bytes32)",
    take: (told, data, log) => {
      const place = [...keyOf(log), data.number(0)];
      const mixer = data.number(1);
      const held = told.rounds.get(JSON.stringify(place)) ?? [place, mixer, "", "", null];
      // A round that another ended than posted in it agrees with no record.
      held[1] = held[1] === mixer ? mixer : null;
      held[4] = data.truth(2);
      told.rounds.set(JSON.stringify(place), held);
    },
  },
  {
    contract: "TallyBoard",
    signature: "SharePosted(bytes32,uint256,uint256,uint256,bytes32,bytes32)",
    take: (told, data, log) =>
      told.shares.push([...keyOf(log), data.number(0), data.hex(1), data.hex(2)]),
  },
  {
    contract: "TallyBoard",
    signature: "ResultPublished(bytes32,uint256,bool,bytes32,bytes)",
    take: (told, data, log) => {
      const [race, isMock] = [new Words(itemAt(log.topics, 2)), new Words(itemAt(log.topics, 3))];
      const text = data.text(1);
      const numbers = Array.from({ length: Math.floor(text.length / 8) }, (_, at) =>
        Number(toInteger(text.subarray(8 * at, 8 * at + 8))),
      );
      told.results.push([race.number(0), isMock.truth(0), data.hex(0), numbers]);
    },
  },
];

function readTerms(data: Words): Json {
  const number = (words: Words, at: number): number => words.number(at);
  const address = (words: Words, at: number): string => words.address(at);
  const pair = (words: Words, at: number): readonly number[] => [
    words.number(at),
    words.number(at + 1),
  ];
  const terms = new Map<string, Json>([
    ["draft_id", data.hex(0)],
    ["is_mock", data.truth(1)],
    ...NUMBERS.map((name, at) => [name, data.number(2 + at)] as const),
    ["trustees", data.row(11, 1, number)],
    ["trustee_accounts", data.row(12, 1, address)],
    ["mixers", data.row(13, 1, number)],
    ["registrars", data.row(14, 1, address)],
    ["relays", data.row(15, 1, address)],
    ["races", data.row(16, 2, pair)],
    ["style_races", data.row(17, 2, pair)],
  ]);
  return sortedTerms(terms);
}

function sortedTerms(terms: ReadonlyMap<string, Json>): Json {
  return [...terms].sort(([left], [right]) => (left < right ? -1 : 1));
}

/** Reads the events of an election. */
function tell(logs: readonly Log[], names: readonly Uint8Array[], record: ChainRecord): Told {
  const told = new Told();
  const forms = new Map(
    EVENTS.map((form) => {
      const topic = toHex(keccak_256(encodeText(form.signature)));
      return [`${record.contracts[form.contract]} ${topic}`, form] as const;
    }),
  );
  for (const log of logs) {
    const [topic, name] = log.topics;
    const form = forms.get(`0x${log.address} ${topic === undefined ? "" : toHex(topic)}`);
    if (form !== undefined && name !== undefined && names.some((each) => isEqual(each, name))) {
      form.take(told, new Words(log.data), log);
    }
  }
  return told;
}

function sorted(rows: readonly Json[]): readonly Json[] {
  const text = (row: Json): string => JSON.stringify(row);
  return [...rows].sort((left, right) => (text(left) < text(right) ? -1 : 1));
}

/** Compares what the record says of the contracts with the chain's own events. Spec: AUDIT-ELECTION. */
export function compareEvents(
  logs: readonly Log[],
  subject: {
    readonly eid: Uint8Array;
    readonly draftId: Uint8Array;
    /** The block at which the record was written; messages and incidents may follow. */
    readonly height: number;
    readonly freezesAt: number;
    readonly record: ChainRecord;
    /** Index, hash, height and time of every recorded ballot; null when the file is absent. */
    readonly ballots: readonly Row[] | null;
  },
  sheet: Worksheet,
): void {
  const { record, ballots } = subject;
  const told = tell(logs, [subject.eid, subject.draftId], record);
  const { frozen, lists, results, box } = record;
  const pairs: readonly (readonly [string, readonly Json[], readonly Json[]])[] = [
    ["announcements", told.terms, [sortedTerms(record.terms)]],
    [
      "batches",
      told.batches,
      record.batches.map((each) => [each.number, each.root, each.entryCount, each.cancelCount]),
    ],
    [
      "frozen styles",
      sorted(told.frozen),
      sorted(frozen.map((each) => [each.style, each.root, each.count, each.fileDigest])),
    ],
    ["box", told.box, [[box.count, box.value, box.closedHeight]]],
    [
      "lists",
      sorted(told.lists),
      sorted(lists.map((each) => [each.kind, each.number, each.rowCount, each.digest])),
    ],
    [
      "rounds",
      sorted([...told.rounds.values()]),
      sorted(
        lists.flatMap(({ kind, number, rounds }) =>
          rounds.map((each): Json => {
            const place = [kind, number, each.round];
            return [place, each.mixer, each.output, each.proof, each.isValid];
          }),
        ),
      ),
    ],
    [
      "shares",
      sorted(told.shares),
      sorted(
        lists.flatMap(({ kind, number, shares }) =>
          shares.map((each): Json => [kind, number, each.trustee, each.shares, each.proof]),
        ),
      ),
    ],
    [
      "results",
      sorted(told.results),
      sorted(results.map((each) => [each.race, each.isMock, each.result, each.numbers])),
    ],
    [
      "bulletin",
      told.posts.filter((post) => Number(post[3]) <= subject.height),
      record.bulletin.map((each) => [each.municipality, each.step, each.digest, each.height]),
    ],
    ["abandoned", told.abandoned, record.abandoned === null ? [] : [record.abandoned]],
  ];
  for (const [name, expected, found] of pairs) {
    sheet.compare("election.chain", name, expected, found);
  }
  const isLate = told.frozenTimes.every((timeS) => timeS >= subject.freezesAt);
  sheet.ask("election.roll.frozen", "times", isLate, `frozen at ${told.frozenTimes}`);
  if (ballots !== null) {
    told.casts.forEach((cast, at) => {
      sheet.compare("election.chain", `ballot ${at}`, cast, ballots[at] ?? null);
    });
    sheet.compare("election.chain", "ballots", told.casts.length, ballots.length);
  }
}
