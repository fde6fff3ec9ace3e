"""DKG-REHEARSAL: both sets of trustees open the test point, and any wrong share has a name."""

from dataclasses import replace

import pytest

from clients.voting.decryption import DecryptionShare, build_share
from clients.voting.dkg import InvalidDealing, KeyPurpose
from clients.voting.rehearsal import (
    check_rehearsal,
    rehearsal_message,
    rehearsal_statement,
    rehearsal_subsets,
)
from tests.support.voting import SeededNonces, Trustees, key_generation


def shares_of(made: Trustees, secrets: tuple[int, ...] | None = None) -> dict[int, DecryptionShare]:
    return {
        trustee: build_share(
            rehearsal_statement(made.run, made.key, trustee, made.share_keys[trustee - 1]),
            secret,
            SeededNonces(f"rehearsal {trustee}"),
        )
        for trustee, secret in enumerate(secrets or made.shares, 1)
    }


def test_all_shares_of_an_honest_key_pass() -> None:
    made = key_generation()

    check_rehearsal(made.run, made.key, made.share_keys, shares_of(made))


def test_the_two_sets_differ_unless_everyone_is_needed() -> None:
    assert rehearsal_subsets(4, 3) == ((1, 2, 3), (2, 3, 4))
    assert rehearsal_subsets(3, 3) == ((1, 2, 3),)


def test_the_point_depends_on_the_run() -> None:
    ballots, roll = key_generation(), key_generation(purpose=KeyPurpose.ROLL)

    assert rehearsal_message(ballots.run) != rehearsal_message(roll.run)


@pytest.mark.parametrize("trustee", [1, 4])
def test_a_share_that_is_missing_names_the_trustee(trustee: int) -> None:
    made = key_generation()
    shares = shares_of(made)
    del shares[trustee]

    with pytest.raises(InvalidDealing, match=f"trustee {trustee}"):
        check_rehearsal(made.run, made.key, made.share_keys, shares)


def test_a_share_under_another_secret_names_the_trustee() -> None:
    made = key_generation()
    secrets = (*made.shares[:2], made.shares[2] + 1, made.shares[3])

    with pytest.raises(InvalidDealing, match="trustee 3"):
        check_rehearsal(made.run, made.key, made.share_keys, shares_of(made, secrets))


def test_17_shares_of_the_ballot_key_are_none_of_the_roll_key() -> None:
    made = key_generation()
    run = replace(made.run, purpose=KeyPurpose.ROLL)

    with pytest.raises(InvalidDealing, match="trustee 1"):
        check_rehearsal(run, made.key, made.share_keys, shares_of(made))


def test_a_key_that_is_not_the_shares_key_does_not_open() -> None:
    made = key_generation()
    other = made.key + made.share_keys[0]
    shares = {
        trustee: build_share(
            rehearsal_statement(made.run, other, trustee, made.share_keys[trustee - 1]),
            secret,
            SeededNonces("other"),
        )
        for trustee, secret in enumerate(made.shares, 1)
    }

    with pytest.raises(InvalidDealing, match="do not open"):
        check_rehearsal(made.run, other, made.share_keys, shares)
