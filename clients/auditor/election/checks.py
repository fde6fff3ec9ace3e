"""The questions an election audit asks, in the order in which it answers them.

Spec: AUDIT-ELECTION.
"""

from dataclasses import replace
from typing import Final

from clients.auditor.checks import Check

FILES: Final = Check(
    name="election.files",
    rule="AUDIT-ELECTION-FILES",
    question="Is every listed file present, and the very file that is listed?",
)
FILES_COMPLETE: Final = Check(
    name="election.files.complete",
    rule="AUDIT-ELECTION-FILES",
    question="Does the record hold every file whose digest is on the ledger or in the manifest?",
)
MANIFEST: Final = Check(
    name="election.manifest",
    rule="ELECTION-MANIFEST",
    question="Is the manifest in canonical form, with all fields within their rules?",
)
EID: Final = Check(
    name="election.id",
    rule="ELECTION-ID",
    question="Is the election's id the hash of its manifest, and is it a mock where it says so?",
)
TERMS: Final = Check(
    name="election.terms",
    rule="ELECTION-TERMS",
    question="Are the announced terms the manifest's?",
)
ABANDONED: Final = Check(
    name="election.stands",
    rule="ELECTION-ABANDON",
    question="Was the election carried through, not abandoned?",
)
KEYS_RUN: Final = Check(
    name="election.keys.run",
    rule="DKG-DERIVE",
    question="Is each key generation of this draft, purpose, threshold and these trustees?",
)
KEYS_ENCRYPTION: Final = Check(
    name="election.keys.encryption",
    rule="BALLOT-TRANSCRIPT",
    question="Does every trustee prove that it holds its encryption key?",
)
KEYS_DEALINGS: Final = Check(
    name="election.keys.dealings",
    rule="DKG-COMMIT",
    question="Does every dealer reveal what it committed to, and prove its constant term?",
)
KEYS_COMPLAINTS: Final = Check(
    name="election.keys.complaints",
    rule="DKG-COMPLAINT",
    question="Did the key generation end without a complaint?",
)
KEYS_DERIVED: Final = Check(
    name="election.keys.derived",
    rule="DKG-DERIVE",
    question="Are key and share keys what the dealings give, and those of the manifest?",
)
KEYS_CONFIRMED: Final = Check(
    name="election.keys.confirmed",
    rule="DKG-DERIVE",
    question="Does every trustee prove that it holds its share?",
)
KEYS_REHEARSAL: Final = Check(
    name="election.keys.rehearsal",
    rule="DEC-COMBINE",
    question="Did two different groups of trustees decrypt the test point?",
)
ELIGIBLE: Final = Check(
    name="election.eligible",
    rule="ROLL-LEAF",
    question="Is the eligible list sorted, without repetition, with the manifest's root and size?",
)
BATCHES: Final = Check(
    name="election.roll.batches",
    rule="ROLLC-BATCH",
    question="Are the roll's batches numbered without a gap, and do their counts suffice?",
)
FROZEN: Final = Check(
    name="election.roll.frozen",
    rule="ROLLC-FREEZE",
    question="Is each style's active list sorted, without repetition, with the frozen root?",
)
BALLOT_FORM: Final = Check(
    name="election.ballots.form",
    rule="BALLOT-CORE",
    question="Is every recorded ballot of this election, strictly encoded, with its style's races?",
)
BALLOT_PROOFS: Final = Check(
    name="election.ballots.proofs",
    rule="BALLOT-POK",
    question="Does every ballot prove that its maker knew what it encrypts?",
)
BALLOT_SIGNATURES: Final = Check(
    name="election.ballots.signatures",
    rule="BALLOT-SIGNATURE",
    question="Is every ballot signed by its own key?",
)
BALLOT_SEQUENCE: Final = Check(
    name="election.ballots.sequence",
    rule="BOX-SEQUENCE",
    question="Is every ballot the next of its key, within number and interval?",
)
BALLOT_WINDOW: Final = Check(
    name="election.ballots.window",
    rule="BOX-WINDOW",
    question="Was every ballot recorded while the box was open, in the order of blocks and times?",
)
BOX: Final = Check(
    name="election.box",
    rule="BOX-CHAIN",
    question="Do the recorded ballots, in order, give the box's count and value?",
)
WITHDRAWALS: Final = Check(
    name="election.withdrawals",
    rule="BALLOT-WITHDRAW",
    question="Is every withdrawal signed by its key, once, with no ballot of the key after it?",
)
LISTS: Final = Check(
    name="election.lists",
    rule="TALLY-LIST",
    question="Is every list that was mixed the one that ballots, roll and cleansing give?",
)
MIX_ORDER: Final = Check(
    name="election.mixes.order",
    rule="TALLY-ROUND",
    question="Did every mixer have its turn in order, and were enough mixes valid?",
)
MIX_PROOFS: Final = Check(
    name="election.mixes.proofs",
    rule="MIX-VERIFY",
    question="Is every mix that was taken a permutation and re-encryption of the list before it?",
)
MIX_VERDICTS: Final = Check(
    name="election.mixes.verdicts",
    rule="TALLY-ROUND",
    question="Was every mix that was left out rightly left out?",
)
SHARES: Final = Check(
    name="election.shares",
    rule="DEC-SHARE",
    question="Is every trustee's share of a list proven?",
)
SHARES_ENOUGH: Final = Check(
    name="election.shares.enough",
    rule="DEC-COMBINE",
    question="Are there as many proven shares of every list as the threshold?",
)
SUBSETS: Final = Check(
    name="election.shares.subsets",
    rule="DEC-COMBINE",
    question="Do other trustees' shares, where there are more than enough, decrypt to the same?",
)
CLEANSING: Final = Check(
    name="election.cleansing",
    rule="TALLY-CLEANSE",
    question="Are there never more counted ballots than opened pointers, and these than entries?",
)
COUNTS: Final = Check(
    name="election.results.counts",
    rule="TALLY-RESULT",
    question="Are each race's published numbers those of the decrypted ballots?",
)
RESULT_HASHES: Final = Check(
    name="election.results.hashes",
    rule="TALLY-RESULT",
    question="Does the confirmed hash bind exactly the published numbers?",
)
RESULTS: Final = Check(
    name="election.results.complete",
    rule="TALLY-PUBLISH",
    question="Has every race with ballots one result, and no other race?",
)
ROLL_RECEIPTS: Final = Check(
    name="election.receipts.roll",
    rule="RECEIPT-ROLL",
    question="Is every enrolment for which a voter shows a receipt on the roll?",
)
BALLOT_RECEIPTS: Final = Check(
    name="election.receipts.ballots",
    rule="RECEIPT-BALLOT",
    question="Is every ballot for which a voter shows a receipt recorded by its deadline?",
)
CHAIN: Final = Check(
    name="election.chain",
    rule="AUDIT-ELECTION",
    question="Is what the record says of the contracts what the replayed chain says?",
)
ENTRIES: Final = Check(
    name="election.accredited.entries",
    rule="ROLL-ENTRY",
    question="Is every entry proven, committed to, promised, posted, of this election and a slot?",
    is_required=False,
)
ELECTORS: Final = Check(
    name="election.accredited.electors",
    rule="ROLL-LEAF",
    question="Has every elector one slot and every slot one elector?",
    is_required=False,
)
CARDS: Final = Check(
    name="election.accredited.cards",
    rule="ROLL-ENTRY",
    question="Is every entry signed by its elector's card, good at that time?",
    is_required=False,
)
CANCELS: Final = Check(
    name="election.accredited.cancels",
    rule="ROLL-CANCEL",
    question="Is every cancel record signed twice, posted, and obeyed?",
    is_required=False,
)
ACTIVE: Final = Check(
    name="election.accredited.active",
    rule="ROLL-ACTIVE",
    question="Is the active list each slot's last entry that was not cancelled, and nothing else?",
    is_required=False,
)
ROLL_INPUT: Final = Check(
    name="election.accredited.input",
    rule="TALLY-LIST",
    question="Did exactly the active entries go into the roll's first mix, and was it right?",
    is_required=False,
)
TOKENS: Final = Check(
    name="election.accredited.tokens",
    rule="TOKEN-BLIND",
    question="Was one admission token issued for each accepted enrolment?",
    is_required=False,
)

PUBLIC: Final = (
    FILES,
    FILES_COMPLETE,
    MANIFEST,
    EID,
    TERMS,
    ABANDONED,
    CHAIN,
    KEYS_RUN,
    KEYS_ENCRYPTION,
    KEYS_DEALINGS,
    KEYS_COMPLAINTS,
    KEYS_DERIVED,
    KEYS_CONFIRMED,
    KEYS_REHEARSAL,
    ELIGIBLE,
    BATCHES,
    FROZEN,
    BALLOT_FORM,
    BALLOT_PROOFS,
    BALLOT_SIGNATURES,
    BALLOT_SEQUENCE,
    BALLOT_WINDOW,
    BOX,
    WITHDRAWALS,
    LISTS,
    MIX_ORDER,
    MIX_PROOFS,
    MIX_VERDICTS,
    SHARES,
    SHARES_ENOUGH,
    SUBSETS,
    CLEANSING,
    COUNTS,
    RESULT_HASHES,
    RESULTS,
    ROLL_RECEIPTS,
    BALLOT_RECEIPTS,
)
"""What anyone can ask."""

ACCREDITED: Final = (ELECTORS, ENTRIES, CARDS, CANCELS, ACTIVE, ROLL_INPUT, TOKENS)
"""What needs the commission's restricted data."""

OF_BALLOTS: Final = (
    BALLOT_FORM,
    BALLOT_PROOFS,
    BALLOT_SIGNATURES,
    BALLOT_SEQUENCE,
    BALLOT_WINDOW,
    BOX,
    WITHDRAWALS,
)
"""What needs the recorded ballots."""

AFTER_BALLOTS: Final = (
    LISTS,
    MIX_ORDER,
    MIX_PROOFS,
    MIX_VERDICTS,
    SHARES,
    SHARES_ENOUGH,
    SUBSETS,
    CLEANSING,
    COUNTS,
    RESULT_HASHES,
    RESULTS,
)
"""What follows from them."""

TABLE: Final = (*PUBLIC, *ACCREDITED)
"""All of it, in the order of the report."""

ACCREDITED_TABLE: Final = (*PUBLIC, *(replace(check, is_required=True) for check in ACCREDITED))
"""The same for who was given the restricted data: what stays open makes the audit incomplete."""
