#!/usr/bin/env node
/**
 * verify-election DIRECTORY [--chain BUNDLE --genesis FILE] [--json]: audits the published record of
 * an election, and with a bundle from block 1 on, the chain's headers, seals and events.
 *
 * Prints one line for each check. Exit codes: 0 confirmed, 1 refuted, 2 incomplete or asked wrongly.
 */

import { randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { verifyElection } from "../audit/verifyElection.js";
import { conclusionOf, type Outcome } from "../audit/worksheet.js";

const MARKS = { met: "ok", failed: "FAILED", undecided: "open" } as const;
const FILE_SIZE_MAX = 2 ** 30;
const CONCLUSIONS = ["confirmed", "refuted", "incomplete"] as const;

function printText(outcomes: readonly Outcome[]): void {
  const lines = outcomes.flatMap(({ check, verdict, count, failedCount, findings, reasons }) => [
    `${MARKS[verdict].padEnd(6)} ${check.padEnd(28)} asked ${count}, failed ${failedCount}`,
    ...findings.slice(0, 5).map(({ subject, message, blame }) => {
      const names = blame.length > 0 ? ` [${blame.join(", ")}]` : "";
      return `         ${subject}: ${message}${names}`;
    }),
    ...reasons.slice(0, 5).map((reason) => `         not asked of everything: ${reason}`),
  ]);
  process.stdout.write(`${lines.join("\n")}\n`);
  process.stdout.write(`election: ${CONCLUSIONS[conclusionOf(outcomes)]}\n`);
}

function readWhole(path: string): Uint8Array {
  if (statSync(path).size > FILE_SIZE_MAX) {
    throw new Error(`${path}: longer than ${FILE_SIZE_MAX} bytes`);
  }
  return new Uint8Array(readFileSync(path));
}

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      chain: { type: "string" },
      genesis: { type: "string" },
    },
  });
  const [directory, ...rest] = positionals;
  if (directory === undefined || rest.length > 0 || !statSync(directory).isDirectory()) {
    throw new Error("give one directory: the published record of an election");
  }
  const read = (path: string): Uint8Array | null => {
    try {
      return new Uint8Array(readFileSync(join(directory, path)));
    } catch {
      return null;
    }
  };
  const { chain, genesis } = values;
  if ((chain === undefined) !== (genesis === undefined)) {
    throw new Error("give both --chain and --genesis, or neither");
  }
  const files =
    chain === undefined || genesis === undefined
      ? null
      : { bundle: readWhole(chain), genesis: readWhole(genesis) };
  const outcomes = verifyElection(read, (size) => new Uint8Array(randomBytes(size)), files);
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ checks: outcomes })}\n`);
  } else {
    printText(outcomes);
  }
  return conclusionOf(outcomes);
}

try {
  process.exitCode = main();
} catch (error) {
  process.stderr.write(`verify-election: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 2;
}
