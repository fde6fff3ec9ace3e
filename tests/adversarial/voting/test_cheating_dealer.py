"""DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE: key generation under attack (cases 11-18)."""

from dataclasses import replace

import pytest

from clients.voting.dkg import (
    EncryptedShare,
    InvalidDealing,
    KeyPurpose,
    Verdict,
    check_reveal,
    complain,
    compute_commitment,
    confirm,
    deal,
    encrypt_share,
    is_confirmed,
    is_encryption_key_proven,
    is_share_consistent,
    judge_complaint,
    open_share,
    prove_encryption_key,
)
from clients.voting.encoding import encode_scalar
from clients.voting.group import GENERATOR, generator_multiple
from tests.support.voting import SeededNonces, key_generation

SETUP = key_generation()
RUN = SETUP.run
SOURCE = SeededNonces("cheating dealer")
DEALER, RECIPIENT = 1, 3
SECRET, REVEAL = SETUP.dealings[DEALER]
COMMITMENT = compute_commitment(RUN, DEALER, REVEAL)
RECIPIENT_KEY = SETUP.encryption_secrets[RECIPIENT - 1]
SHARE = encrypt_share(RUN, DEALER, RECIPIENT, SECRET, SOURCE)


def flipped(share: EncryptedShare) -> EncryptedShare:
    """Return a share whose plaintext is another scalar."""
    return replace(share, ciphertext=share.ciphertext[:-1] + bytes((share.ciphertext[-1] ^ 1,)))


def test_an_honest_dealing_is_accepted() -> None:
    check_reveal(RUN, DEALER, REVEAL, COMMITMENT)
    data = open_share(RUN, DEALER, RECIPIENT, SHARE, RECIPIENT_KEY)

    assert data == encode_scalar(SECRET.share_for(RECIPIENT))
    assert is_share_consistent(data, RECIPIENT, REVEAL.commitments)


def test_11_a_reveal_that_differs_from_the_commitment_is_refused() -> None:
    _, other = deal(RUN, DEALER, SOURCE)

    with pytest.raises(InvalidDealing, match="committed"):
        check_reveal(RUN, DEALER, other, COMMITMENT)


def test_12_a_constant_term_copied_from_another_dealer_is_refused() -> None:
    victim = SETUP.dealings[2][1]
    copied = replace(
        REVEAL,
        commitments=(victim.commitments[0], *REVEAL.commitments[1:]),
        proof=victim.proof,
    )

    with pytest.raises(InvalidDealing, match="constant term"):
        check_reveal(RUN, DEALER, copied, compute_commitment(RUN, DEALER, copied))


@pytest.mark.parametrize("extra", [pytest.param(1, id="13 too high"), pytest.param(-1, id="low")])
def test_13_a_polynomial_of_another_degree_is_refused(extra: int) -> None:
    wide = replace(RUN, threshold=RUN.threshold + extra)
    _, reveal = deal(wide, DEALER, SOURCE)

    with pytest.raises(InvalidDealing, match="coefficients"):
        check_reveal(RUN, DEALER, reveal, compute_commitment(RUN, DEALER, reveal))


def test_14_a_wrong_share_is_blamed_on_the_dealer() -> None:
    wrong = flipped(SHARE)
    complaint = complain(RUN, DEALER, RECIPIENT, wrong, RECIPIENT_KEY, SOURCE)

    verdict = judge_complaint(RUN, DEALER, RECIPIENT, wrong, complaint, REVEAL.commitments)

    assert verdict is Verdict.DEALER


def test_15_a_false_complaint_is_blamed_on_the_complainer() -> None:
    complaint = complain(RUN, DEALER, RECIPIENT, SHARE, RECIPIENT_KEY, SOURCE)

    verdict = judge_complaint(RUN, DEALER, RECIPIENT, SHARE, complaint, REVEAL.commitments)

    assert verdict is Verdict.COMPLAINER


@pytest.mark.parametrize("what", ["another pair", "another point"])
def test_16_a_complaint_opened_wrongly_is_blamed_on_the_complainer(what: str) -> None:
    wrong = flipped(SHARE)
    if what == "another pair":
        other = encrypt_share(RUN, 2, RECIPIENT, SETUP.dealings[2][0], SOURCE)
        complaint = complain(RUN, 2, RECIPIENT, other, RECIPIENT_KEY, SOURCE)
    else:
        complaint = complain(RUN, DEALER, RECIPIENT, wrong, RECIPIENT_KEY, SOURCE)
        complaint = replace(complaint, shared=complaint.shared + GENERATOR)

    verdict = judge_complaint(RUN, DEALER, RECIPIENT, wrong, complaint, REVEAL.commitments)

    assert verdict is Verdict.COMPLAINER


def test_17_a_transcript_of_the_ballot_key_does_not_serve_for_the_roll_key() -> None:
    roll = replace(RUN, purpose=KeyPurpose.ROLL)

    assert roll.did != RUN.did
    with pytest.raises(InvalidDealing):
        check_reveal(roll, DEALER, REVEAL, COMMITMENT)


def test_18_a_confirmation_of_another_share_key_is_refused() -> None:
    proof = confirm(RUN, 2, SETUP.shares[1], SETUP.key, SETUP.share_keys, SOURCE)
    swapped = (SETUP.share_keys[1], SETUP.share_keys[0], *SETUP.share_keys[2:])

    assert is_confirmed(RUN, 2, proof, SETUP.key, SETUP.share_keys)
    assert not is_confirmed(RUN, 1, proof, SETUP.key, SETUP.share_keys)
    assert not is_confirmed(RUN, 2, proof, SETUP.key, swapped)
    assert not is_confirmed(RUN, 2, proof, SETUP.key + GENERATOR, SETUP.share_keys)


@pytest.mark.parametrize("field", ["draft_id", "registry", "chain_id", "threshold"])
def test_every_parameter_of_a_run_is_in_its_identifier(field: str) -> None:
    value = getattr(RUN, field)
    other = value + 1 if isinstance(value, int) else bytes(len(value))

    assert replace(RUN, **{field: other}).did != RUN.did


def test_an_encryption_key_is_proven_for_its_node_alone() -> None:
    node, other = generator_multiple(5), generator_multiple(6)
    proof = prove_encryption_key(9, chain_id=1, registry=b"\x01" * 20, node=node, source=SOURCE)
    key = generator_multiple(9)

    assert is_encryption_key_proven(key, proof, chain_id=1, registry=b"\x01" * 20, node=node)
    assert not is_encryption_key_proven(key, proof, chain_id=1, registry=b"\x01" * 20, node=other)
    assert not is_encryption_key_proven(key, proof, chain_id=2, registry=b"\x01" * 20, node=node)
