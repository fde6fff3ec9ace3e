"""T2 commitments and T3 ciphertexts: open with their salt and key, and say nothing without."""

import pytest
from eth_abi.packed import encode_packed
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st

from node.primitives.errors import InvalidInput
from services.kit.commitments import (
    PADDED_LENGTH,
    PAYLOAD_BYTES_MAX,
    InvalidCiphertext,
    commit,
    is_opened_by,
    new_salt,
    open_padded,
    seal_padded,
)

DOMAIN = "jp.daicho.hub.consent"
SALT = bytes(range(32))


def test_a_contract_computes_the_same_commitment() -> None:
    judged = keccak(
        encode_packed(
            ["bytes32", "uint256", "bytes32", "bytes"],
            [keccak(text=DOMAIN), 3, SALT, b'{"given":true}'],
        )
    )

    assert commit(domain=DOMAIN, version=3, salt=SALT, payload=b'{"given":true}') == judged


@pytest.mark.parametrize(
    "change",
    [
        {"domain": "jp.daicho.hub.other"},
        {"version": 2},
        {"salt": bytes(32)},
        {"payload": b"another"},
    ],
    ids=["domain", "version", "salt", "payload"],
)
def test_nothing_else_opens_a_commitment(change: dict[str, object]) -> None:
    opening: dict[str, object] = {"domain": DOMAIN, "version": 1, "salt": SALT, "payload": b"x"}
    commitment = commit(**opening)  # type: ignore[arg-type]

    assert is_opened_by(commitment, **opening)  # type: ignore[arg-type]
    assert not is_opened_by(commitment, **opening | change)  # type: ignore[arg-type]


@pytest.mark.parametrize(("salt", "version"), [(b"short", 1), (SALT, -1), (SALT, 2**256)])
def test_a_salt_has_32_bytes_and_a_version_fits_a_word(salt: bytes, version: int) -> None:
    with pytest.raises(InvalidInput):
        commit(domain=DOMAIN, version=version, salt=salt, payload=b"")


@given(st.binary(max_size=PAYLOAD_BYTES_MAX))
def test_every_ciphertext_has_one_length_and_opens_to_its_payload(payload: bytes) -> None:
    sealed = seal_padded(payload, domain=DOMAIN, version=1)

    assert len(sealed.ciphertext) == PADDED_LENGTH
    assert open_padded(sealed.ciphertext, sealed.key, domain=DOMAIN, version=1) == payload
    assert is_opened_by(
        sealed.commitment, domain=DOMAIN, version=1, salt=sealed.salt, payload=payload
    )


def test_two_records_of_one_person_have_nothing_in_common() -> None:
    one, other = (seal_padded(b"same", domain=DOMAIN, version=1) for _ in range(2))

    assert one.key != other.key
    assert one.salt != other.salt
    assert one.commitment != other.commitment
    assert one.ciphertext[4:12] != other.ciphertext[4:12]
    assert len({new_salt() for _ in range(100)}) == 100


def test_a_changed_or_moved_ciphertext_does_not_open() -> None:
    sealed = seal_padded(b"x", domain=DOMAIN, version=1)
    for at in range(PADDED_LENGTH):
        changed = bytearray(sealed.ciphertext)
        changed[at] ^= 1
        with pytest.raises(InvalidCiphertext):
            open_padded(bytes(changed), sealed.key, domain=DOMAIN, version=1)
    for domain, version, key in (
        ("other", 1, sealed.key),
        (DOMAIN, 2, sealed.key),
        (DOMAIN, 1, bytes(32)),
        (DOMAIN, 1, b""),
    ):
        with pytest.raises(InvalidCiphertext):
            open_padded(sealed.ciphertext, key, domain=domain, version=version)


@given(st.binary(max_size=PADDED_LENGTH + 1))
def test_bytes_from_outside_raise_nothing_but_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        open_padded(data, bytes(32), domain=DOMAIN, version=1)


def test_a_payload_is_bounded_and_secrets_stay_out_of_sight() -> None:
    with pytest.raises(InvalidInput):
        seal_padded(bytes(PAYLOAD_BYTES_MAX + 1), domain=DOMAIN, version=1)
    sealed = seal_padded(b"x", domain=DOMAIN, version=1)
    assert repr(sealed.key) not in repr(sealed)
    assert repr(sealed.salt) not in repr(sealed)
