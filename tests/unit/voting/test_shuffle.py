"""MIX-SHUFFLE, MIX-VERIFY, MIX-FORMAT, MIX-TRANSCRIPT, MIX-CONTEXT: honest shuffles hold."""

import pytest

from clients.voting.ciphertexts import decode_list
from clients.voting.decryption import compute_lagrange
from clients.voting.encoding import InvalidScalar
from clients.voting.group import ORDER, InvalidPoint
from clients.voting.shuffle_check import find_faults, is_shuffle_valid
from clients.voting.shuffle_proof import (
    InvalidShuffleProof,
    decode_shuffle_proof,
)
from tests.support.voting import SeededNonces, proven_shuffle

VERIFIER = SeededNonces("verifier")


@pytest.mark.parametrize(("count", "width"), [(1, 1), (2, 1), (7, 1), (40, 1), (5, 3)])
def test_an_honest_shuffle_is_accepted_in_both_ways(count: int, width: int) -> None:
    statement, proof, _ = proven_shuffle(count, width)

    assert is_shuffle_valid(statement, proof, VERIFIER)
    assert find_faults(statement, proof) == []


@pytest.mark.parametrize("width", [1, 2])
def test_a_proof_survives_its_bytes(width: int) -> None:
    statement, proof, _ = proven_shuffle(4, width)
    data = proof.encode()

    again = decode_shuffle_proof(data, count=4, width=width)

    assert again.encode() == data
    assert is_shuffle_valid(statement, again, VERIFIER)


def test_a_proof_file_has_the_stated_size() -> None:
    _, proof, _ = proven_shuffle(4)

    assert len(proof.encode()) == 5 * 33 + 4 * 32 + 4 * 163


@pytest.mark.parametrize(
    ("change", "error"),
    [
        pytest.param(lambda data: data[:-1], InvalidShuffleProof, id="a byte short"),
        pytest.param(lambda data: data + b"\x00", InvalidShuffleProof, id="a byte long"),
        pytest.param(lambda data: b"\x04" + data[1:], InvalidPoint, id="a prefix of 04"),
        pytest.param(
            lambda data: data[:-32] + ORDER.to_bytes(32, "big"), InvalidScalar, id="a scalar of n"
        ),
    ],
)
def test_a_proof_file_is_parsed_strictly(change, error) -> None:  # type: ignore[no-untyped-def]
    _, proof, _ = proven_shuffle(3)

    with pytest.raises(error):
        decode_shuffle_proof(change(proof.encode()), count=3, width=1)


def test_a_list_survives_its_bytes() -> None:
    statement, _, _ = proven_shuffle(3, 2)
    data = statement.inputs.encode()

    assert decode_list(data, 2).encode() == data


def test_73_batching_weights_differ_between_two_runs_of_a_verifier() -> None:
    source = SeededNonces("batch")
    statement, proof, _ = proven_shuffle(3)

    assert is_shuffle_valid(statement, proof, source)
    first = source.drawn
    assert is_shuffle_valid(statement, proof, source)
    assert source.drawn == 2 * first > 0


def test_lagrange_coefficients_interpolate_at_zero() -> None:
    coefficients = compute_lagrange([1, 3, 4])

    value = sum(coefficients[x] * (5 + 7 * x + 11 * x * x) for x in (1, 3, 4)) % ORDER
    assert value == 5
