"""BALLOT-GROUP, BALLOT-ENCODING: points, vectors and sums, judged by coincurve's key objects."""

import coincurve
import pytest

from clients.voting import group
from clients.voting.group import GENERATOR, IDENTITY, ORDER, InvalidPoint, Point
from clients.voting.randomness import draw_scalars
from tests.support.voting import SeededNonces, points

G33 = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def judged(scalar: int) -> bytes:
    """Return [scalar]G as coincurve computes it."""
    return coincurve.PrivateKey(scalar.to_bytes(32, "big")).public_key.format()


@pytest.mark.parametrize("scalar", [1, 2, 77, ORDER - 1, 1 << 255])
def test_every_way_of_multiplying_agrees(scalar: int) -> None:
    expected = judged(scalar)

    assert group.generator_multiple(scalar).encode() == expected
    assert group.multiple(GENERATOR, scalar).encode() == expected
    assert group.multiple_secret(GENERATOR, scalar).encode() == expected
    assert group.combine_fixed([(group.fixed_base(GENERATOR), [scalar])]).encode() == expected


@pytest.mark.parametrize("count", [1, 2, 31, 33, 250, 1_000])
@pytest.mark.parametrize("bits", [128, 256])
def test_a_multi_scalar_product_equals_the_product_of_logarithms(count: int, bits: int) -> None:
    source = SeededNonces(f"msm-{count}")
    logarithms = draw_scalars(source, count)
    scalars = [value >> (256 - bits) for value in draw_scalars(source, count)]
    vector = group.combine_fixed([(group.fixed_base(GENERATOR), logarithms)])

    total = group.msm(vector, scalars, bits)

    expected = sum(a * b for a, b in zip(logarithms, scalars, strict=True)) % ORDER
    assert total == group.generator_multiple(expected)


def test_terms_that_cancel_sum_to_the_identity() -> None:
    vector = group.vector_of([GENERATOR, GENERATOR])

    assert group.msm(vector, [5, ORDER - 5]).is_identity
    assert (GENERATOR - GENERATOR).is_identity
    assert group.msm(vector, [0, 0]).is_identity


def test_edge_scalars_are_carried_right() -> None:
    vector = group.vector_of([GENERATOR] * 3)

    assert group.msm(vector, [ORDER - 1, 1 << 255, (1 << 256) % ORDER]).encode() == judged(
        (ORDER - 1 + (1 << 255) + (1 << 256)) % ORDER
    )


def test_the_identity_is_neutral_and_has_no_encoding() -> None:
    assert GENERATOR + IDENTITY == GENERATOR
    assert group.multiple(GENERATOR, 0) == IDENTITY
    with pytest.raises(InvalidPoint):
        IDENTITY.encode()
    with pytest.raises(InvalidPoint):
        group.vector_of([IDENTITY])


def test_a_row_that_sums_to_the_identity_asks_for_other_randomness() -> None:
    with pytest.raises(InvalidPoint, match="row 0"):
        group.combine_fixed(
            [(group.fixed_base(GENERATOR), [ORDER - 1])], addend=group.vector_of([GENERATOR])
        )


def test_encodings_survive_both_ways() -> None:
    vector = points(5, SeededNonces("encodings"))

    assert group.decode_vector(vector.encode()).encode() == vector.encode()
    assert group.decode_point(vector[3].encode()) == vector[3]
    assert group.decode_point_xy(vector[3].encode_xy()) == vector[3]
    assert vector.take([4, 0])[0] == vector[4]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x04" + G33[1:], id="4 prefix of an uncompressed point"),
        pytest.param(b"\x06" + G33[1:], id="4 hybrid prefix"),
        pytest.param(b"\x00" + G33[1:], id="4 prefix zero"),
        pytest.param(b"\x05" + G33[1:], id="4 prefix five"),
        pytest.param(G33[:-1], id="a byte short"),
        pytest.param(G33 + b"\x00", id="a byte long"),
        pytest.param(b"\x02" + (5).to_bytes(32, "big"), id="5 x without a root"),
        pytest.param(b"\x02" + group.FIELD.to_bytes(32, "big"), id="x of the field's size"),
        pytest.param(b"\x02" + b"\xff" * 32, id="x above the field"),
    ],
)
def test_what_is_no_compressed_point_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPoint):
        group.decode_point(data)
    with pytest.raises(InvalidPoint):
        group.decode_vector(G33 + data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x00" * 64, id="zeros"),
        pytest.param(GENERATOR.encode_xy()[:-1] + b"\x00", id="y off the curve"),
        pytest.param(GENERATOR.encode_xy()[:32], id="x alone"),
        pytest.param(
            (1).to_bytes(32, "big") + (group.FIELD + 1).to_bytes(32, "big"), id="y above the field"
        ),
    ],
)
def test_what_is_no_pair_of_coordinates_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidPoint):
        group.decode_point_xy(data)


def test_equal_points_are_equal_however_they_were_made() -> None:
    doubled = GENERATOR + GENERATOR

    assert doubled == group.generator_multiple(2)
    assert hash(doubled) == hash(group.generator_multiple(2))
    assert doubled != GENERATOR
    assert Point(None) == IDENTITY
