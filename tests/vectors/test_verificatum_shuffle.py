"""MIX-VERIFY: a shuffle proof made by Verificatum on P-256 passes our generic equations.

Our own prover and verifier agreeing proves little; this proof was made by other hands, on another
curve.
"""

from dataclasses import replace

import pytest

from clients.voting.shuffle_check import EquationInput, failed_equations
from tests.support.vectors import vectors_path
from tests.support.verificatum import P256, Affine, load_proof

Loaded = tuple[P256, EquationInput[Affine]]


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return load_proof(vectors_path() / "verificatum-p256", "mix1")


def narrowed(given: EquationInput[Affine]) -> EquationInput[Affine]:
    """Keep two of the columns, for the cases that only look at one fault."""
    names = ("keys", "inputs", "outputs", "t4", "z4")
    return replace(given, **{name: getattr(given, name)[:2] for name in names})


def test_the_proof_of_others_passes(loaded: Loaded) -> None:
    group, given = loaded

    assert len(given.weights) == 100
    assert len(given.keys) == 21
    assert failed_equations(group, given) == []


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        pytest.param("z1", ["1"], id="commitment sum"),
        pytest.param("z2", ["2"], id="chain end"),
        pytest.param("z3", ["3"], id="weighted commitments"),
    ],
)
def test_a_changed_response_is_named(loaded: Loaded, field: str, expected: list[str]) -> None:
    group, given = loaded
    bent = replace(narrowed(given), **{field: getattr(given, field) + 1})

    assert failed_equations(group, bent) == expected


def test_a_changed_output_is_named_by_column(loaded: Loaded) -> None:
    group, given = loaded
    kept = narrowed(given)
    (first_a, first_b), second = kept.outputs
    swapped = [first_b[1], first_b[0], *first_b[2:]]

    assert failed_equations(group, replace(kept, outputs=[(first_a, swapped), second])) == ["4b[1]"]
