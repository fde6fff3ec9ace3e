"""ID-SIGNATURE: what a card signs is the DigestInfo of the text, and OpenSSL makes the same."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from clients.identity.signature import SIGNATURE_SIZE_MAX, build_digest_info, is_card_signature
from services.sim.pki.authority import AuthorityKey, KeyType
from tests.support.identity import openssl, prepared_key

TEXT = "この端末の鍵を結びつけます。".encode()


def sign_with_openssl(key: AuthorityKey, message: bytes, digest: str, folder: Path) -> bytes:
    """Let OpenSSL sign ``message`` with a key made for this test."""
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "key").write_bytes(pem)
    (folder / "text").write_bytes(message)
    openssl(
        *("dgst", f"-{digest}", "-sign", str(folder / "key")),
        *("-out", str(folder / "signature"), str(folder / "text")),
    )
    return (folder / "signature").read_bytes()


@pytest.mark.parametrize(
    ("key_type", "digest"), [(KeyType.RSA_2048, "sha256"), (KeyType.P_384, "sha384")]
)
def test_a_signature_by_openssl_is_accepted(key_type: KeyType, digest: str, tmp_path: Path) -> None:
    key = prepared_key(key_type)
    signature = sign_with_openssl(key, TEXT, digest, tmp_path)

    assert is_card_signature(key.public_key(), TEXT, signature)
    assert not is_card_signature(key.public_key(), TEXT + b" ", signature)
    assert not is_card_signature(prepared_key(key_type).public_key(), TEXT, signature)


def test_the_digest_info_is_what_openssl_pads(tmp_path: Path) -> None:
    key = prepared_key(KeyType.RSA_2048)
    assert isinstance(key, rsa.RSAPrivateKey)
    signature = sign_with_openssl(key, TEXT, "sha256", tmp_path)

    signed = key.public_key().recover_data_from_signature(signature, padding.PKCS1v15(), None)

    assert signed == build_digest_info(TEXT)


def test_other_hashes_paddings_and_sizes_are_refused(tmp_path: Path) -> None:
    key = prepared_key(KeyType.RSA_2048)
    assert isinstance(key, rsa.RSAPrivateKey)
    pss = key.sign(TEXT, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    weak_curve = ec.generate_private_key(ec.SECP256R1())
    weak = weak_curve.sign(TEXT, ec.ECDSA(hashes.SHA384()))

    public = key.public_key()
    assert not is_card_signature(public, TEXT, pss)
    assert not is_card_signature(public, TEXT, sign_with_openssl(key, TEXT, "sha1", tmp_path))
    assert not is_card_signature(public, TEXT, b"")
    assert not is_card_signature(public, TEXT, bytes(SIGNATURE_SIZE_MAX))
    assert not is_card_signature(public, TEXT, bytes(SIGNATURE_SIZE_MAX + 1))
    assert not is_card_signature(weak_curve.public_key(), TEXT, weak)
