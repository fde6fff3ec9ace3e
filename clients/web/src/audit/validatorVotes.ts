/** Who the validators of the next height are. Spec: QBFT-VOTE-TALLY, QBFT-VOTE-EPOCH. */

import type { Header, Vote } from "./header.js";

const SET_MAX = 64;

/** Counts headers' votes from the first header on. */
export class ValidatorSet {
  #members: readonly string[];
  /** By recipient and voter. */
  readonly #votes = new Map<string, { readonly voter: string; readonly vote: Vote }>();
  readonly #epochLength: number;

  constructor(members: readonly string[], epochLength: number) {
    this.#members = members;
    this.#epochLength = epochLength;
  }

  /** The set of the next height, ascending. */
  get members(): readonly string[] {
    return this.#members;
  }

  /** The number of seals that decide a block of the next height. Spec: QBFT-QUORUM. */
  get quorum(): number {
    return Math.ceil((2 * this.#members.length) / 3);
  }

  /** Takes the next header's vote. */
  apply(header: Header): void {
    if (header.height % this.#epochLength === 0) {
      this.#votes.clear();
      return;
    }
    const { vote, coinbase } = header;
    if (vote !== null) {
      this.#votes.set(`${vote.recipient} ${coinbase}`, { voter: coinbase, vote });
      this.#settle(vote.recipient);
    }
  }

  /** Switches a recipient when a majority agrees. */
  #settle(recipient: string): void {
    const majority = Math.floor(this.#members.length / 2) + 1;
    const standing = [...this.#votes.values()].filter(({ vote }) => vote.recipient === recipient);
    const adds = standing.filter(({ vote }) => vote.isAdd).length;
    const isAdd = adds >= majority;
    if (!isAdd && standing.length - adds < majority) {
      return;
    }
    const others = this.#members.filter((member) => member !== recipient);
    const changed = isAdd ? [...others, recipient].sort() : others;
    const isPossible = changed.length > 0 && changed.length <= SET_MAX;
    this.#members = isPossible ? changed : this.#members;
    for (const [name, { voter, vote }] of this.#votes) {
      const hasLeft = !isAdd && isPossible && voter === recipient;
      if (vote.recipient === recipient || hasLeft) {
        this.#votes.delete(name);
      }
    }
  }
}
