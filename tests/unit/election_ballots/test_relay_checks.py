"""CAST-CHECK, TOKEN-VERIFY, BOX-SEQUENCE: what a relay refuses before it promises anything.

Cases 34 and 35: a token for another key, election or by another key; one token for two keys.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voting.ballot import Ballot
from services.election.ballots.checking import (
    BallotRefused,
    KeyStanding,
    KeyWithdrawn,
    NotNext,
    NotOpen,
    TokenNeeded,
    check_admission,
    check_open,
    check_proofs,
    decode_ballot,
)
from tests.support.electorate import (
    CLOSES_AT,
    OPENS_AT,
    Device,
    issue_token,
    make_manifest,
    signature_of,
)

MANIFEST = make_manifest()
VOTER, OTHER = Device("a voter"), Device("another voter")
BALLOT = VOTER.ballot(MANIFEST)
TOKEN = issue_token(MANIFEST, VOTER.point)
NEW = KeyStanding()


def decode(ballot: Ballot) -> Ballot:
    return decode_ballot(MANIFEST, ballot.core.encode(), signature_of(ballot))


def test_a_first_ballot_with_its_token_is_taken() -> None:
    ballot = decode(BALLOT)

    check_admission(MANIFEST, ballot.core, NEW, TOKEN)
    check_proofs(MANIFEST, ballot)


def _flip(token: bytes) -> bytes:
    return token[:-1] + bytes([token[-1] ^ 1])


def test_case_34_only_the_commissions_token_for_this_key_admits() -> None:
    elsewhere = make_manifest(title="別の投票")
    stranger = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    for token in (
        None,
        b"",
        TOKEN + b"\x00",
        _flip(TOKEN),
        issue_token(MANIFEST, OTHER.point),
        issue_token(elsewhere, VOTER.point),
        issue_token(MANIFEST, VOTER.point, signer=stranger),
        b"\xff" * 256,
    ):
        with pytest.raises(TokenNeeded):
            check_admission(MANIFEST, BALLOT.core, NEW, token)


def test_case_35_one_token_does_not_admit_two_keys() -> None:
    with pytest.raises(TokenNeeded):
        check_admission(MANIFEST, OTHER.ballot(MANIFEST).core, NEW, TOKEN)


def test_later_ballots_need_no_token() -> None:
    check_admission(MANIFEST, VOTER.ballot(MANIFEST, 2).core, KeyStanding(recorded=1), None)
    queued = KeyStanding(recorded=1, queued=2)
    check_admission(MANIFEST, VOTER.ballot(MANIFEST, 3).core, queued, None)


@pytest.mark.parametrize(
    ("sequence", "standing"),
    [
        pytest.param(1, KeyStanding(recorded=1), id="an old one"),
        pytest.param(3, KeyStanding(recorded=1), id="one is skipped"),
        pytest.param(2, KeyStanding(recorded=1, queued=2), id="one is queued already"),
        pytest.param(6, KeyStanding(recorded=5), id="more than the election allows"),
    ],
)
def test_only_the_next_ballot_of_a_key_is_taken(sequence: int, standing: KeyStanding) -> None:
    with pytest.raises(NotNext):
        check_admission(MANIFEST, VOTER.ballot(MANIFEST, sequence).core, standing, TOKEN)


def test_a_withdrawn_key_is_out() -> None:
    with pytest.raises(KeyWithdrawn):
        check_admission(MANIFEST, BALLOT.core, KeyStanding(is_withdrawn=True), TOKEN)


@pytest.mark.parametrize("now_s", [OPENS_AT - 1, CLOSES_AT - 30, CLOSES_AT, CLOSES_AT + 1])
def test_nothing_is_promised_that_cannot_be_kept(now_s: int) -> None:
    with pytest.raises(NotOpen):
        check_open(MANIFEST, now_s=now_s, margin_s=30)


def test_the_window_is_open_to_its_edges() -> None:
    check_open(MANIFEST, now_s=OPENS_AT, margin_s=30)
    check_open(MANIFEST, now_s=CLOSES_AT - 31, margin_s=30)


def test_what_the_box_would_refuse_is_refused() -> None:
    core, signature = BALLOT.core.encode(), signature_of(BALLOT)
    other = make_manifest(title="別の投票")
    for bad in (
        (core[:-1], signature),
        (core + b"\x00", signature),
        (core, signature[:64] + b"\x00"),
        (core, b"\x00" * 64 + b"\x1b"),
        (VOTER.ballot(other).core.encode(), signature),
    ):
        with pytest.raises(BallotRefused):
            decode_ballot(MANIFEST, *bad)


def test_proofs_and_signature_are_checked() -> None:
    core = bytearray(BALLOT.core.encode())
    core[-1] ^= 1
    forged = decode_ballot(MANIFEST, bytes(core), signature_of(BALLOT))
    by_another = decode_ballot(MANIFEST, BALLOT.core.encode(), signature_of(OTHER.ballot(MANIFEST)))
    short = make_manifest(styles=[{"style": 7, "name": "様式7", "races": [1]}])

    for manifest, ballot in ((MANIFEST, forged), (MANIFEST, by_another), (short, BALLOT)):
        with pytest.raises(BallotRefused):
            check_proofs(manifest, ballot)
