/** The questions of an election audit and their answers, named as in the Python auditor. */

import { itemAt } from "../core/rows.js";

/** Every check, in the order of the report. Spec: AUDIT-ELECTION. */
export const CHECKS = [
  "election.files",
  "election.files.complete",
  "election.manifest",
  "election.id",
  "election.terms",
  "election.stands",
  "election.chain",
  "election.keys.run",
  "election.keys.encryption",
  "election.keys.dealings",
  "election.keys.complaints",
  "election.keys.derived",
  "election.keys.confirmed",
  "election.keys.rehearsal",
  "election.eligible",
  "election.roll.batches",
  "election.roll.frozen",
  "election.ballots.form",
  "election.ballots.proofs",
  "election.ballots.signatures",
  "election.ballots.sequence",
  "election.ballots.window",
  "election.box",
  "election.withdrawals",
  "election.lists",
  "election.mixes.order",
  "election.mixes.proofs",
  "election.mixes.verdicts",
  "election.shares",
  "election.shares.enough",
  "election.shares.subsets",
  "election.cleansing",
  "election.results.counts",
  "election.results.hashes",
  "election.results.complete",
  "election.receipts.roll",
  "election.receipts.ballots",
] as const;

export type Check = (typeof CHECKS)[number];

/** Met each time, failed at least once, or never failed but not asked of everything. */
export type Verdict = "met" | "failed" | "undecided";

/** One place where a check is not met. */
export interface Finding {
  readonly subject: string;
  readonly message: string;
  /** Who answers for it, where that can be told. */
  readonly blame: readonly string[];
}

export interface Outcome {
  readonly check: Check;
  readonly verdict: Verdict;
  readonly count: number;
  readonly failedCount: number;
  readonly findings: readonly Finding[];
  readonly reasons: readonly string[];
}

const FINDINGS_MAX = 50;

interface Line {
  count: number;
  failedCount: number;
  findings: Finding[];
  reasons: Set<string>;
}

/** Gathers the answers. */
export class Worksheet {
  readonly #lines = new Map<Check, Line>(
    CHECKS.map((check) => [
      check,
      { count: 0, failedCount: 0, findings: [], reasons: new Set<string>() },
    ]),
  );

  #line(check: Check): Line {
    return this.#lines.get(check) ?? itemAt([...this.#lines.values()], 0);
  }

  /** Notes one answer, and returns it. */
  ask(
    check: Check,
    subject: string,
    isMet: boolean,
    message: string,
    blame: readonly string[] = [],
  ): boolean {
    const line = this.#line(check);
    line.count += 1;
    if (!isMet) {
      line.failedCount += 1;
      if (line.findings.length < FINDINGS_MAX) {
        line.findings.push({ subject, message, blame });
      }
    }
    return isMet;
  }

  /** Notes whether two values are the same when written down. */
  compare(
    check: Check,
    subject: string,
    expected: unknown,
    found: unknown,
    blame: readonly string[] = [],
  ): boolean {
    const [left, right] = [JSON.stringify(expected), JSON.stringify(found)];
    return this.ask(check, subject, left === right, `expected ${left}, found ${right}`, blame);
  }

  /** Notes that checks could not be asked of everything, and why. */
  leaveOpen(reason: string, ...checks: readonly Check[]): void {
    for (const check of checks) {
      this.#line(check).reasons.add(reason);
    }
  }

  /** Returns every check with its answer. */
  outcomes(): readonly Outcome[] {
    return [...this.#lines].map(([check, line]) => ({
      check,
      verdict: line.failedCount > 0 ? "failed" : line.reasons.size > 0 ? "undecided" : "met",
      count: line.count,
      failedCount: line.failedCount,
      findings: line.findings,
      reasons: [...line.reasons],
    }));
  }
}

/** Returns the exit code: 0 confirmed, 1 refuted, 2 incomplete. Spec: AUDIT-EXIT. */
export function conclusionOf(outcomes: readonly Outcome[]): 0 | 1 | 2 {
  if (outcomes.some(({ verdict }) => verdict === "failed")) {
    return 1;
  }
  return outcomes.some(({ verdict }) => verdict === "undecided") ? 2 : 0;
}
