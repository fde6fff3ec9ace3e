/** TALLY-CLEANSE, TALLY-LIST, TALLY-RESULT against the shared vectors. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fromHex, toHex } from "../core/bytes.js";
import { loadVectors } from "../node/vectors.js";
import { decodeCore } from "./ballotCore.js";
import { encodeList } from "./cipherList.js";
import { toEid } from "./eid.js";
import { decodePoint, decodePointXy } from "./group.js";
import { buildRaceList, cleanse, countRace, resultHash } from "./tally.js";

interface Tally {
  cleansings: {
    accepted: string[];
    withdrawn: string[];
    roll: Record<string, string[]>;
    kept: number[];
    removed: { ballot: number; reason: string }[];
    unmatched: Record<string, number>;
    duplicates: Record<string, number>;
    lists: Record<string, string>;
  }[];
  results: {
    eid: string;
    race: number;
    candidates: number;
    messages: string[];
    counts: number[];
    invalid: number;
    result_hash: string;
  }[];
}

const tally = loadVectors<Tally>("tally");

const byStyle = (counts: ReadonlyMap<number, number>): Record<string, number> =>
  Object.fromEntries([...counts].map(([style, count]) => [String(style), count]));

for (const each of tally.cleansings) {
  test("what is kept, what is removed and why, and what is listed", () => {
    const accepted = each.accepted.map((core) => decodeCore(fromHex(core)));
    const withdrawn = each.withdrawn.map((key) => decodePointXy(fromHex(key)));
    const roll = new Map(
      Object.entries(each.roll).map(([style, points]) => [
        Number(style),
        points.map((point) => decodePoint(fromHex(point))),
      ]),
    );
    const cleansing = cleanse(accepted, withdrawn, roll);
    assert.deepEqual(
      cleansing.kept.map((core) => accepted.indexOf(core)),
      each.kept,
    );
    const removed = cleansing.removed.map(({ ballot, reason }) => ({
      ballot: accepted.indexOf(ballot),
      reason,
    }));
    assert.deepEqual(removed, each.removed);
    assert.deepEqual(byStyle(cleansing.unmatched), each.unmatched);
    assert.deepEqual(byStyle(cleansing.duplicates), each.duplicates);
    for (const [race, list] of Object.entries(each.lists)) {
      assert.equal(toHex(encodeList(buildRaceList(cleansing.kept, Number(race)))), list);
    }
  });
}

for (const each of tally.results) {
  test("counts, invalid messages, result hash", () => {
    const eid = toEid(fromHex(each.eid));
    const messages = each.messages.map((message) => decodePoint(fromHex(message)));
    const result = countRace(eid, each.race, each.candidates, messages);
    assert.deepEqual(result.counts, each.counts);
    assert.equal(result.invalid, each.invalid);
    assert.equal(toHex(resultHash(eid, result)), each.result_hash);
  });
}
