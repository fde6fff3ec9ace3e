"""DEC-SHARE, DEC-COMBINE: a trustee that answers wrongly, or for another list (cases 77-84)."""

from dataclasses import replace

import pytest

from clients.voting.ciphertexts import ListContext, ListKind
from clients.voting.decryption import (
    DecryptionShare,
    DecryptionStatement,
    NotEnoughShares,
    build_share,
    compute_lagrange,
    is_share_valid,
)
from clients.voting.dkg import KeyPurpose
from clients.voting.group import GENERATOR, ORDER, vector_of
from clients.voting.schnorr import EqualityProof
from tests.support.voting import EID, SeededNonces, encrypted_list, key_generation

TRUSTEES = key_generation()
SOURCE = SeededNonces("cheating trustee")
ROWS, _ = encrypted_list((TRUSTEES.key,), 4, SOURCE)
OTHER_ROWS, _ = encrypted_list((TRUSTEES.key,), 4, SOURCE)
CONTEXT = ListContext(eid=EID, kind=ListKind.BALLOTS, list_id=1, round=0)
STATEMENT = DecryptionStatement(
    context=CONTEXT, rows=ROWS, column=0, trustee=2, share_key=TRUSTEES.share_keys[1]
)
SHARE = build_share(STATEMENT, TRUSTEES.shares[1], SOURCE)


def shifted(share: DecryptionShare, at: int, shift: int) -> DecryptionShare:
    shares = [share.shares[i] for i in range(len(share.shares))]
    step = GENERATOR if shift > 0 else -GENERATOR
    shares[at] = shares[at] + step
    return replace(share, shares=vector_of(shares))


def test_the_honest_share_is_accepted() -> None:
    assert is_share_valid(STATEMENT, SHARE)


@pytest.mark.parametrize("at", [0, 3])
def test_77_one_wrong_point_is_refused(at: int) -> None:
    assert not is_share_valid(STATEMENT, shifted(SHARE, at, 1))


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(replace(STATEMENT, rows=OTHER_ROWS), id="78 another list"),
        pytest.param(replace(STATEMENT, context=replace(CONTEXT, list_id=2)), id="78 another race"),
        pytest.param(replace(STATEMENT, trustee=3), id="another trustee's index"),
        pytest.param(
            replace(STATEMENT, share_key=TRUSTEES.share_keys[0]), id="81 another share key"
        ),
    ],
)
def test_a_share_presented_for_something_else_is_refused(statement: DecryptionStatement) -> None:
    assert not is_share_valid(statement, SHARE)


def test_79_the_share_of_the_roll_key_does_not_serve_for_ballots() -> None:
    roll = key_generation(purpose=KeyPurpose.ROLL)

    share = build_share(STATEMENT, roll.shares[1], SOURCE)

    assert not is_share_valid(STATEMENT, share)


def test_80_a_proof_made_before_the_points_were_fixed_is_refused() -> None:
    """Points bent after the proof, where weights that ignored them would have let it pass."""
    bent = shifted(shifted(SHARE, 0, 1), 1, -1)

    assert not is_share_valid(STATEMENT, bent)


def test_82_errors_that_cancel_under_equal_weights_are_refused() -> None:
    bent = shifted(shifted(SHARE, 2, 1), 3, -1)

    assert not is_share_valid(STATEMENT, bent)


def test_a_share_of_another_length_is_refused() -> None:
    short = replace(SHARE, shares=SHARE.shares.slice(0, 3))

    assert not is_share_valid(STATEMENT, short)


@pytest.mark.parametrize("field", ["t1", "t2", "z"])
def test_every_field_of_the_proof_matters(field: str) -> None:
    proof: EqualityProof = SHARE.proof
    value = getattr(proof, field)
    bent = value + GENERATOR if field != "z" else (value + 1) % ORDER

    assert not is_share_valid(STATEMENT, replace(SHARE, proof=replace(proof, **{field: bent})))


@pytest.mark.parametrize(
    "indices", [pytest.param([0, 1, 2], id="84 index zero"), pytest.param([1, 2, 2], id="84 twice")]
)
def test_84_indices_that_are_no_trustees_are_refused(indices: list[int]) -> None:
    with pytest.raises(NotEnoughShares):
        compute_lagrange(indices)
