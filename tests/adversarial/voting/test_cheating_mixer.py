"""MIX-VERIFY, MIX-TRANSCRIPT: a mixer that swaps, drops, adds, marks or mislabels (cases 62-74).

Each case takes an honest shuffle and changes one thing; the verifier must refuse it and name the
equation.
"""

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from clients.voting.ciphertexts import CiphertextList, Column
from clients.voting.group import (
    GENERATOR,
    ORDER,
    Point,
    PointVector,
    generator_multiple,
    vector_of,
)
from clients.voting.hash_to_curve import commitment_generators
from clients.voting.shuffle import ShuffleSecret, prove_shuffle
from clients.voting.shuffle_check import find_faults, is_shuffle_valid
from clients.voting.shuffle_proof import ShuffleProof, ShuffleStatement
from tests.support.voting import SeededNonces, ballots_context, encrypted_list, proven_shuffle

VERIFIER = SeededNonces("verifier")
STATEMENT, PROOF, SECRET = proven_shuffle(5)


def refused(statement: ShuffleStatement, proof: ShuffleProof) -> list[str]:
    """Assert that both ways of checking refuse, and return the equations named."""
    assert not is_shuffle_valid(statement, proof, VERIFIER)
    faults = find_faults(statement, proof)
    assert faults
    return faults


def with_outputs(change: Callable[[CiphertextList], CiphertextList]) -> ShuffleStatement:
    return replace(STATEMENT, outputs=change(STATEMENT.outputs))


def with_b(rows: CiphertextList, at: int, point: Point) -> CiphertextList:
    column = rows.columns[0]
    changed = [column.b[i] if i != at else point for i in range(len(rows))]
    return CiphertextList((Column(a=column.a, b=vector_of(changed)),))


def bumped(vector: PointVector, at: int) -> PointVector:
    return vector_of(vector[i] + GENERATOR if i == at else vector[i] for i in range(len(vector)))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda rows: with_b(rows, 2, GENERATOR), id="62 one output replaced"),
        pytest.param(lambda rows: rows.take([1, 0, 2, 3, 4]), id="63 two outputs swapped"),
        pytest.param(lambda rows: rows.take([0, 0, 2, 3, 4]), id="64 one duplicated, one dropped"),
        pytest.param(
            lambda rows: with_b(rows, 0, rows.columns[0].b[0] + GENERATOR),
            id="65 related plaintext",
        ),
    ],
)
def test_outputs_changed_after_the_proof_are_refused(
    change: Callable[[CiphertextList], CiphertextList],
) -> None:
    refused(with_outputs(change), PROOF)


@pytest.mark.parametrize(
    "order",
    [pytest.param([0, 0, 2, 3, 4], id="64 duplicated"), pytest.param([1, 1, 1, 1, 1], id="64 all")],
)
def test_a_proof_honestly_computed_for_a_duplication_is_refused(order: list[int]) -> None:
    source = SeededNonces("duplicate")
    outputs = STATEMENT.inputs.take(order)
    statement = replace(STATEMENT, outputs=outputs)
    secret = ShuffleSecret(order=tuple(order), randomness=((0,) * 5,))

    refused(statement, prove_shuffle(statement, secret, source))


SCALAR_FIELDS = ("z1", "z2", "z3")
POINT_FIELDS = ("t1", "t2", "t3")
ROW_POINT_FIELDS = ("commitments", "links", "t_hat")
ROW_SCALAR_FIELDS = ("z_hat", "z_prime")


def tampered() -> list[object]:
    """Return one proof per field and index, each changed by one (case 66)."""
    cases = [
        pytest.param(replace(PROOF, **{name: (getattr(PROOF, name) + 1) % ORDER}), id=name)
        for name in SCALAR_FIELDS
    ]
    cases += [
        pytest.param(replace(PROOF, **{name: getattr(PROOF, name) + GENERATOR}), id=name)
        for name in POINT_FIELDS
    ]
    a, b = PROOF.t4[0]
    cases.append(pytest.param(replace(PROOF, t4=((a + GENERATOR, b),)), id="t4a"))
    cases.append(pytest.param(replace(PROOF, t4=((a, b + GENERATOR),)), id="t4b"))
    cases.append(pytest.param(replace(PROOF, z4=((PROOF.z4[0] + 1) % ORDER,)), id="z4"))
    for at in (0, 2, 4):
        for name in ROW_POINT_FIELDS:
            vector = bumped(getattr(PROOF, name), at)
            cases.append(pytest.param(replace(PROOF, **{name: vector}), id=f"{name}[{at}]"))
        for name in ROW_SCALAR_FIELDS:
            values = list(getattr(PROOF, name))
            values[at] = (values[at] + 1) % ORDER
            cases.append(pytest.param(replace(PROOF, **{name: tuple(values)}), id=f"{name}[{at}]"))
    return cases


@pytest.mark.parametrize("proof", tampered())
def test_66_every_field_of_a_proof_matters(proof: ShuffleProof) -> None:
    refused(STATEMENT, proof)


def test_every_field_is_among_the_tampered() -> None:
    covered = {*SCALAR_FIELDS, *POINT_FIELDS, *ROW_POINT_FIELDS, *ROW_SCALAR_FIELDS, "t4", "z4"}

    assert {field.name for field in fields(ShuffleProof)} == covered


@pytest.mark.parametrize(
    "context",
    [
        pytest.param(ballots_context(at_round=2), id="67 as another round"),
        pytest.param(ballots_context(race=2), id="68 as another race"),
        pytest.param(ballots_context(eid=b"\x09" * 32), id="as another election"),
    ],
)
def test_a_proof_shown_in_another_context_is_refused(context: object) -> None:
    refused(replace(STATEMENT, context=context), PROOF)


def test_69_a_forgery_against_weights_that_ignore_the_outputs_is_refused() -> None:
    """With u known before the outputs, they can be bent so that the weighted sums still agree."""
    outputs = STATEMENT.outputs
    column = outputs.columns[0]
    shift_first = column.b[0] + GENERATOR
    shift_second = column.b[1] - GENERATOR
    bent = with_b(with_b(outputs, 0, shift_first), 1, shift_second)
    statement = replace(STATEMENT, outputs=bent)

    refused(statement, prove_shuffle(statement, SECRET, SeededNonces("bent")))


def test_70_a_proof_whose_challenge_ignores_the_link_announcements_is_refused() -> None:
    """The links' announcements solved for after the challenge, as a weak transcript would allow."""
    moved = bumped(PROOF.t_hat, 0)
    z_hat = ((PROOF.z_hat[0] + 1) % ORDER, *PROOF.z_hat[1:])

    refused(STATEMENT, replace(PROOF, t_hat=moved, z_hat=z_hat))


def test_10_71_generators_with_a_trapdoor_are_not_the_verifiers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mixer that knows the logarithm of one generator commits under it; the verifier does not."""
    count = len(STATEMENT.inputs)
    honest = commitment_generators(count)
    trapdoored = vector_of([generator_multiple(7), *(honest[at] for at in range(1, count))])
    monkeypatch.setattr("clients.voting.shuffle.commitment_generators", lambda _count: trapdoored)

    refused(STATEMENT, prove_shuffle(STATEMENT, SECRET, SeededNonces("trapdoor")))


@pytest.mark.parametrize("count", [0, 4, 6])
def test_72_lists_of_another_length_are_refused(count: int) -> None:
    source = SeededNonces("length")
    if count:
        inputs, _ = encrypted_list(STATEMENT.keys, count, source)
        statement = replace(STATEMENT, inputs=inputs)
    else:
        empty = STATEMENT.inputs.take([])
        statement = replace(STATEMENT, inputs=empty, outputs=empty)

    assert not is_shuffle_valid(statement, PROOF, VERIFIER)


def test_74_an_identity_shuffle_is_valid_and_recognisable() -> None:
    source = SeededNonces("identity")
    statement = replace(STATEMENT, outputs=STATEMENT.inputs)
    secret = ShuffleSecret(order=tuple(range(5)), randomness=((0,) * 5,))

    proof = prove_shuffle(statement, secret, source)

    assert is_shuffle_valid(statement, proof, VERIFIER)
    assert statement.inputs.encode() == statement.outputs.encode()


def test_a_proof_under_another_key_is_refused() -> None:
    other = (STATEMENT.keys[0] + GENERATOR,)

    assert "4b[1]" in refused(replace(STATEMENT, keys=other), PROOF)
