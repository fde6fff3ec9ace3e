"""CARD-CODE: what cannot be the code asked for never reaches the card."""

import pytest

from clients.card.codes import TYPED_LENGTH_MAX, CodeKind, parse_code
from clients.card.errors import CodeFormat


@pytest.mark.parametrize(
    ("kind", "typed", "expected"),
    [
        pytest.param(CodeKind.AUTHENTICATION, "1234", b"1234", id="digits"),
        pytest.param(CodeKind.AUTHENTICATION, "１２３４", b"1234", id="full width"),
        pytest.param(CodeKind.AUTHENTICATION, " 1234\n", b"1234", id="blanks around"),
        pytest.param(CodeKind.SIGNING, "abc123", b"ABC123", id="lower case"),
        pytest.param(CodeKind.SIGNING, "ａｂｃ１２３", b"ABC123", id="full width lower case"),
        pytest.param(CodeKind.SIGNING, "A" * 16, b"A" * 16, id="sixteen characters"),
        pytest.param(CodeKind.TEXT, "0000", b"0000", id="zeros"),
        pytest.param(
            CodeKind.NUMBER_B, "900217-2030 1234", b"90021720301234", id="number as printed"
        ),
    ],
)
def test_what_was_typed_becomes_the_code(kind: CodeKind, typed: str, expected: bytes) -> None:
    assert parse_code(kind, typed).value == expected


@pytest.mark.parametrize(
    ("kind", "typed", "looks_like"),
    [
        pytest.param(CodeKind.AUTHENTICATION, "", "", id="nothing"),
        pytest.param(CodeKind.AUTHENTICATION, "123", "", id="three digits"),
        pytest.param(CodeKind.AUTHENTICATION, "12a4", "", id="a letter"),
        pytest.param(CodeKind.AUTHENTICATION, "abc123", "signing", id="the signing PIN"),
        pytest.param(CodeKind.AUTHENTICATION, "90021720301234", "number-b", id="number B"),
        pytest.param(CodeKind.SIGNING, "1234", "authentication", id="a four-digit PIN"),
        pytest.param(CodeKind.SIGNING, "ABC12", "", id="five characters"),
        pytest.param(CodeKind.SIGNING, "A" * 17, "", id="seventeen characters"),
        pytest.param(CodeKind.SIGNING, "ABC12!", "", id="a sign"),
        pytest.param(CodeKind.SIGNING, "ABCÄ12", "", id="an umlaut"),
        pytest.param(CodeKind.TEXT, "١٢٣٤", "", id="digits of another script"),
        pytest.param(CodeKind.NUMBER_B, "9002172030123", "signing", id="thirteen digits"),
        pytest.param(CodeKind.TEXT, "1" * (TYPED_LENGTH_MAX + 1), "", id="too long to look at"),
    ],
)
def test_what_cannot_be_the_code_is_refused_with_a_hint(
    kind: CodeKind, typed: str, looks_like: str
) -> None:
    with pytest.raises(CodeFormat) as refusal:
        parse_code(kind, typed)

    assert refusal.value.values == {"kind": kind.value, "looks_like": looks_like}


def test_neither_codes_nor_refusals_show_what_was_typed() -> None:
    with pytest.raises(CodeFormat) as refusal:
        parse_code(CodeKind.AUTHENTICATION, "98765")

    assert "98765" not in str(refusal.value)
    assert "9876" not in repr(parse_code(CodeKind.AUTHENTICATION, "9876"))
