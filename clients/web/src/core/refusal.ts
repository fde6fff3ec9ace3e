/** What a decoder or verifier throws when bytes from outside break a rule. */
export class Refusal extends Error {
  /** The rule that is broken, as docs/spec names it. */
  readonly rule: string;

  constructor(message: string, rule: string) {
    super(`${message} (${rule})`);
    this.name = "Refusal";
    this.rule = rule;
  }
}
