"""CODE-FORM: codes survive people, and mistakes are found."""

import pytest

from clients.voting.ballot import CROCKFORD
from services.election.commission.codes import (
    MalformedCode,
    draw_code,
    hash_code,
    read_code,
    write_code,
)

CODE = bytes.fromhex("0123456789abcdef0f1e")


def test_a_code_is_written_in_groups_and_read_back() -> None:
    written = write_code(CODE)

    assert [len(group) for group in written.split("-")] == [4, 4, 4, 4, 1]
    assert read_code(written) == CODE
    drawn = draw_code()
    assert read_code(write_code(drawn)) == drawn


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda text: text.replace("-", " "),
        lambda text: text.replace("-", "ー"),
        lambda text: text.replace("0", "O").replace("1", "l"),
        lambda text: "".join(chr(ord(sign) + 0xFEE0) if sign != "-" else sign for sign in text),
    ],
)
def test_what_people_do_to_codes_is_forgiven(change) -> None:  # type: ignore[no-untyped-def]
    assert read_code(change(write_code(CODE))) == CODE


def test_every_single_wrong_character_is_found() -> None:
    plain = write_code(CODE).replace("-", "")
    for at, right in enumerate(plain):
        for wrong in CROCKFORD:
            if wrong != right:
                with pytest.raises(MalformedCode):
                    read_code(plain[:at] + wrong + plain[at + 1 :])


def test_every_exchange_of_two_characters_is_found() -> None:
    plain = write_code(CODE).replace("-", "")
    for at in range(16):
        for other in range(at + 1, 16):
            if plain[at] == plain[other]:
                continue
            signs = list(plain)
            signs[at], signs[other] = signs[other], signs[at]
            with pytest.raises(MalformedCode):
                read_code("".join(signs))


def test_a_stored_hash_needs_the_key_and_the_draft() -> None:
    hashes = {hash_code(key, draft, CODE) for key in (b"a", b"b") for draft in (b"1", b"2")}

    assert len(hashes) == 4
