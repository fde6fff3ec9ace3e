"""Write docs/audit/voting-cases.md: every attack on an election, and the tests that make it.

A test says its case by number: `test_40_…`, `test_case_40_…`, or `id="40 …"` of a parameter. What
each case is, is listed here; a number without a test fails the house tests.

usage: python scripts/voting_cases.py [--check]
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLE = ROOT / "docs" / "audit" / "voting-cases.md"

FOLDERS = (
    "tests/adversarial/voting",
    "tests/contracts",
    "tests/e2e",
    "tests/unit",
    "tests/vectors",
)
SUBJECTS = (
    "ballot",
    "commission",
    "credential",
    "election",
    "manifest",
    "receipts",
    "rfc9474",
    "shuffle",
    "tally",
    "trustee",
    "vot",
)
"""Words of which a file's path has one when its numbers mean cases."""

NAME = re.compile(r"def test_(?:case_)?((?:\d{1,2}_)+)")
LABEL = re.compile(r'id="((?:\d{1,2} )+)[^"]')
TEST = re.compile(r"def (test_\w+)")

CASES: dict[int, str] = {
    1: "A with y off the curve",
    2: "A = (0, 0), or O in any encoding",
    3: "a coordinate of p or more, congruent to a valid one",
    4: "a compressed point with prefix 04, 05, 06, 07 or 00 in a proof file",
    5: "an x without a square root",
    6: "z = n, above n, or 0 where 1 is the least",
    7: "a core a byte longer or shorter; trailing bytes in a proof file",
    8: "a ballot signature with high s, or v 0, 1 or 29",
    9: "a point crafted with A.x of n or more",
    10: "a list of generators with one wrong",
    11: "a reveal that differs from its commitment",
    12: "a constant term copied from another dealer",
    13: "a polynomial of too high a degree",
    14: "a wrong share, rightly complained of",
    15: "a false complaint",
    16: "a complaint with the shared point of another pair",
    17: "a transcript of purpose B used for R",
    18: "a confirmation for another share key",
    19: "a manifest with candidates in another order after its id was fixed",
    20: "a ballot key in the manifest that is not the transcript's",
    21: "an entry with points and proof copied for another slot",
    22: "a re-randomised copy of another voter's entry",
    23: "a card's signature over another digest",
    24: "a certificate that is revoked, expired or another person's",
    25: "an entry with a stale nonce or a repeated version",
    26: "a slot that is not in the eligible list; an elector with two slots",
    27: "an active entry without a card's signature",
    28: "an active file that leaves out an enrolled voter",
    29: "an active file with a superseded entry, or one cancelled for paper",
    30: "a frozen count that is not the file's length; unsorted or repeated commitments",
    31: "a roll list that differs in one ciphertext from the active entries",
    32: "two entries that point to one key",
    33: "a commitment opened with another salt",
    34: "a token for another key or election, above the modulus, bent, or by another key",
    35: "two ballot keys with one token",
    36: "a ballot of another election",
    37: "the same ballot under another key",
    38: "a ciphertext copied with its proof",
    39: "a ciphertext copied and re-randomised, its proof re-used",
    40: "an old ballot of the same key",
    41: "a sequence number skipped",
    42: "a number above the most; an interval too short",
    43: "a race missing, added, repeated, or in another order",
    44: "a race of another style",
    45: "a proof whose transcript leaves out B, K, the number or the election",
    46: "another R, with z adjusted and the old challenge",
    47: "a proof that needs a zero challenge",
    48: "a recovery that answers zero",
    49: "a ballot before opening, at closing, after closing",
    50: "a sender that is no relay",
    51: "a signature by another key",
    52: "a withdrawal by another key; a ballot after a withdrawal",
    53: "one bad ballot in a batch",
    54: "the same ballot twice in a batch",
    55: "an accepted ballot left out of the list",
    56: "a late ballot put into the list",
    57: "a ballot that is not its key's last",
    58: "a ballot of a key outside the roll",
    59: "a ballot of a key on the roll of another style",
    60: "the list in another order",
    61: "the roll opened before the freeze, the freeze before its time, a mix before closing",
    62: "one output replaced after the proof",
    63: "two outputs swapped after the proof",
    64: "an output repeated, another dropped",
    65: "an output with a related plaintext",
    66: "each field of a proof changed by one",
    67: "a proof of one round shown for the next",
    68: "a proof of one race shown for another",
    69: "weights that ignore the output list",
    70: "a challenge that ignores the link announcements",
    71: "generators supplied by the mixer",
    72: "no rows, one row, lists of different lengths",
    73: "verification weights that are fixed or the prover's",
    74: "the identity permutation without re-encryption",
    75: "a digest without its file; a file with another digest",
    76: "a mixer that is not in the manifest, or out of turn; one organisation counted twice",
    77: "one wrong decryption share",
    78: "shares of another list",
    79: "a share of the roll key for ballots",
    80: "a decryption proof made before the shares were fixed",
    81: "another share key",
    82: "two errors that cancel under equal weights",
    83: "one share fewer than the threshold",
    84: "interpolation with index zero, or an index twice",
    85: "a count moved between candidates; invalid votes hidden; a sum that is not the list's",
    86: "a result of a list that was not mixed",
    87: "a plaintext that is a candidate of another race",
    88: "a receipt for a ballot that is not in the box after the deadline",
    89: "a header with too few validators' seals",
    90: "a box value that does not come out",
    91: "an event that differs from what is stored",
    92: "two histories with the same height",
    93: "a block whose time goes backwards",
}
"""What each case is; 94 to 96 belong to a profile that is not built."""


ELSEWHERE: dict[int, str] = {
    89: "tests/unit/consensus/test_header_rules.py"
    " test_import_refuses_a_header_without_a_quorum_of_seals",
    92: "tests/unit/core/test_light_client.py test_two_sealed_chains_stop_the_client_with_evidence",
    93: "tests/unit/consensus/test_header_rules.py test_a_changed_field_is_named",
}
"""Tests of the ledger that make a case without naming its number."""


TAMPERINGS = "tests/support/election_tampering.py"
TAMPERING = re.compile(r'case\(\s*"((?:\d{1,2} )+)')
AUDIT = "`adversarial/voting/test_election_audit.py` test_a_bent_election_is_refuted"
"""The auditors' cases, made one by one out of a published record."""


def find_tests() -> dict[int, list[str]]:
    """Return, by case, the tests that name it: file and function."""
    found: dict[int, list[str]] = {case: [] for case in CASES}
    for case, place in (*_numbered(), *_audited(), *_elsewhere()):
        if case in found and place not in found[case]:
            found[case].append(place)
    return found


def _numbered() -> Iterator[tuple[int, str]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("test_*.py")):
            name = str(path.relative_to(ROOT))
            if any(word in name for word in SUBJECTS):
                for case, test in _tests_of(path.read_text(encoding="utf-8")):
                    yield case, f"`{name.removeprefix('tests/')}` {test}"


def _audited() -> Iterator[tuple[int, str]]:
    for numbers in TAMPERING.findall((ROOT / TAMPERINGS).read_text(encoding="utf-8")):
        for case in map(int, numbers.split()):
            yield case, AUDIT


def _elsewhere() -> Iterator[tuple[int, str]]:
    for case, place in ELSEWHERE.items():
        name, test = place.split(" ")
        if f"def {test}(" in (ROOT / name).read_text(encoding="utf-8"):
            yield case, f"`{name.removeprefix('tests/')}` {test}"


def _tests_of(text: str) -> Iterator[tuple[int, str]]:
    waiting: list[int] = []
    for line in text.splitlines():
        label = LABEL.search(line)
        if label:
            waiting += [int(number) for number in label[1].split()]
        test = TEST.search(line)
        if test:
            name = NAME.search(line)
            numbers = [int(number) for number in name[1].strip("_").split("_")] if name else []
            for case in sorted({*numbers, *waiting}):
                yield case, test[1]
            waiting = []


def render() -> str:
    """Return the table."""
    found = find_tests()
    lines = [
        "# Attacks on an election, and the tests that make them",
        "",
        "Written by `scripts/voting_cases.py`. Each test changes one thing in a correct election",
        "and says who refuses it. Cases 94 to 96 belong to a profile that is not built.",
        "",
        "| case | what is tried | tests |",
        "|---|---|---|",
    ]
    for case, what in CASES.items():
        lines.append(f"| {case} | {what} | {'<br>'.join(found[case]) or '**none**'} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    """Write the table, or with --check compare it."""
    text = render()
    if "--check" in sys.argv[1:]:
        if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
            print(f"{TABLE.relative_to(ROOT)} is old; run python scripts/voting_cases.py")
            return 1
        return 0
    TABLE.write_text(text, encoding="utf-8")
    print(f"wrote {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
