"""ID-PSEUDONYM, ID-CARD-INDEX: names that only the holder of a key can connect; OpenSSL agrees."""

from pathlib import Path

import pytest

from clients.identity.certificate import CertificateKind, decode_certificate
from clients.identity.pseudonym import VERSION_MAX, CardIndexKey, ResidentId, SectorKey
from node.primitives.errors import InvalidInput
from tests.support.identity import NOW, RESIDENT, new_hierarchy, openssl

SECRET = b"\x0a" * 32
PERSON = ResidentId(b"\x0b" * 16)
KIND = CertificateKind.AUTHENTICATION


def test_openssl_computes_the_same_pseudonym(tmp_path: Path) -> None:
    message = b"daicho/identity/pseudonym/1\x00\x07library\x00\x00\x00\x01" + PERSON
    (tmp_path / "message").write_bytes(message)

    said = openssl(
        *("dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{SECRET.hex()}"),
        str(tmp_path / "message"),
    )

    assert SectorKey("library", 1, SECRET).compute_pseudonym(PERSON).hex() in said


def test_sector_version_key_and_person_each_make_another_name() -> None:
    names = [
        SectorKey("library", 1, SECRET).compute_pseudonym(PERSON),
        SectorKey("bus", 1, SECRET).compute_pseudonym(PERSON),
        SectorKey("library", 2, SECRET).compute_pseudonym(PERSON),
        SectorKey("library", 1, b"\x0c" * 32).compute_pseudonym(PERSON),
        SectorKey("library", 1, SECRET).compute_pseudonym(ResidentId(b"\x0d" * 16)),
    ]

    assert len(set(names)) == len(names)


def test_a_card_is_found_again_and_its_namesake_of_another_generation_is_not() -> None:
    hierarchy = new_hierarchy()
    store = hierarchy.trust_store()
    cards = [
        decode_certificate(
            hierarchy.issue_card(RESIDENT, at=NOW, generation=generation).authentication.der
        )
        for generation in (1, 2)
    ]
    assert cards[0].serial == cards[1].serial
    key = CardIndexKey(SECRET)
    indexes = []
    for card in (*cards, cards[0]):
        issuer = store.find_issuer(card)
        assert issuer is not None
        indexes.append(key.compute_index(card, issuer))

    assert indexes[0] == indexes[2] != indexes[1]
    issuer = store.find_issuer(cards[0])
    assert issuer is not None
    assert CardIndexKey(b"\x0c" * 32).compute_index(cards[0], issuer) != indexes[0]


@pytest.mark.parametrize(
    ("sector", "version", "secret"),
    [
        pytest.param("Library", 1, SECRET, id="upper case"),
        pytest.param("", 1, SECRET, id="no sector"),
        pytest.param("l" * 33, 1, SECRET, id="sector too long"),
        pytest.param("library", 0, SECRET, id="version 0"),
        pytest.param("library", VERSION_MAX + 1, SECRET, id="version too high"),
        pytest.param("library", 1, SECRET[1:], id="short secret"),
    ],
)
def test_keys_out_of_form_are_refused(sector: str, version: int, secret: bytes) -> None:
    with pytest.raises(InvalidInput):
        SectorKey(sector, version, secret)


def test_the_longest_sector_and_highest_version_work() -> None:
    key = SectorKey("l" * 32, VERSION_MAX, SECRET)

    assert len(key.compute_pseudonym(PERSON)) == 32
    with pytest.raises(InvalidInput):
        key.compute_pseudonym(ResidentId(bytes(15)))
    with pytest.raises(InvalidInput):
        CardIndexKey(SECRET[1:])


def test_keys_show_no_secret() -> None:
    said = f"{SectorKey('library', 1, SECRET)!r} {CardIndexKey(SECRET)!r}"

    assert SECRET.hex() not in said
    assert repr(SECRET) not in said
