"""CARD-TEXT, CARD-READ: bytes of a card's files decode or raise ``CardMalformed``."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.card.decode import certificate_size, decode_text, text_size
from clients.card.errors import CardMalformed
from clients.identity.attributes import TEXT_LENGTH_MAX, Sex
from services.sim.card.layout import CardText, encode_text

HANAKO = CardText(name="台帳　花子", address="茨城県猿島郡境町", birth_date="19900217", sex="9")


def replaced(**fields: str) -> bytes:
    values = {
        "name": HANAKO.name,
        "address": HANAKO.address,
        "birth_date": HANAKO.birth_date,
        "sex": HANAKO.sex,
    }
    return encode_text(CardText(**{**values, **fields}))


def test_the_four_attributes_decode() -> None:
    read = decode_text(encode_text(HANAKO))

    assert (read.name, read.address) == (HANAKO.name, HANAKO.address)
    assert (read.birth_date, read.sex) == (date(1990, 2, 17), Sex.UNKNOWN)


def test_an_example_from_a_published_description_decodes() -> None:
    """The layout by hand: FF20, then DF21 to DF25, each a tag of two bytes and a length."""
    name, address = "甲".encode(), "乙".encode()
    inner = (
        bytes.fromhex("df2108") + bytes(8) + b"\xdf\x22\x03" + name + b"\xdf\x23\x03" + address
        + b"\xdf\x24\x0819790401" + b"\xdf\x25\x011"
    )  # fmt: skip

    read = decode_text(b"\xff\x20" + bytes([len(inner)]) + inner + b"\xff" * 10)

    assert (read.name, read.address, read.birth_date) == ("甲", "乙", date(1979, 4, 1))
    assert read.sex is Sex.MALE


def test_an_unknown_birth_date_is_none() -> None:
    assert decode_text(replaced(birth_date="19900000")).birth_date is None


def test_texts_of_the_longest_length_decode() -> None:
    assert len(decode_text(replaced(address="町" * TEXT_LENGTH_MAX)).address) == TEXT_LENGTH_MAX


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\x20", id="no length"),
        pytest.param(encode_text(HANAKO)[:-40], id="cut short"),
        pytest.param(replaced(name=""), id="no name"),
        pytest.param(replaced(address="町" * (TEXT_LENGTH_MAX + 1)), id="address too long"),
        pytest.param(replaced(birth_date="19901317"), id="no such month"),
        pytest.param(replaced(birth_date="900217"), id="short birth date"),
        pytest.param(replaced(sex="3"), id="sex as certificates code it"),
        pytest.param(encode_text(HANAKO).replace(b"\xdf\x25", b"\xdf\x24"), id="a tag twice"),
        pytest.param(encode_text(HANAKO).replace(b"\xdf\x25", b"\xdf\x29"), id="a tag missing"),
        pytest.param(encode_text(HANAKO).replace("台".encode(), b"\xff\xff\xff"), id="no UTF-8"),
    ],
)
def test_what_is_no_file_of_attributes_is_refused(data: bytes) -> None:
    with pytest.raises(CardMalformed):
        decode_text(data)


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_malformed(data: bytes) -> None:
    for decode in (decode_text, certificate_size, text_size):
        try:
            decode(data)
        except CardMalformed:
            continue


@given(st.binary(max_size=60), st.integers(0, 100))
def test_a_changed_file_decodes_or_is_malformed(noise: bytes, at: int) -> None:
    data = encode_text(HANAKO)
    try:
        decode_text(data[:at] + noise + data[at + len(noise) :])
    except CardMalformed:
        return


def test_a_file_without_a_sequence_holds_no_certificate() -> None:
    assert certificate_size(b"\xff" * 6) == 0
    assert certificate_size(b"\x30\x82\x04\x00") == 0x404
