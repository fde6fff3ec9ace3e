"""TOKEN-BLIND, TOKEN-VERIFY: blind signatures agree with RFC 9474's vectors; forgeries are refused.

Cases 34 and 35's token part stand here too: another key, another election, a bit flipped.
"""

import json
from typing import Any

import gmpy2
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voting.blind_signature import (
    ADMISSION,
    InvalidToken,
    Variant,
    blind,
    check_token,
    finalize,
    prepare,
    sign_blinded,
    token_message,
)
from clients.voting.group import GENERATOR, generator_multiple
from tests.support.vectors import vectors_path
from tests.support.voting import EID, SeededNonces

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SOURCE = SeededNonces("tokens")


class ScriptedNonces:
    """Draws the salt and the blinding factor that a vector names."""

    def __init__(self, *draws: bytes) -> None:
        self.draws = list(draws)

    def draw(self, size: int) -> bytes:
        value = self.draws.pop(0)
        assert len(value) == size
        return value


def cases() -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads(
        (vectors_path() / "rfc9474" / "test_vectors.json").read_text()
    )
    return loaded


def private_key(case: dict[str, Any]) -> rsa.RSAPrivateKey:
    p, q, n, e, d = (int(case[name], 16) for name in "pqned")
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=d % (p - 1),
        dmq1=d % (q - 1),
        iqmp=int(gmpy2.invert(q, p)),
        public_numbers=rsa.RSAPublicNumbers(e=e, n=n),
    )
    return numbers.private_key()


def test_published_vectors_are_reproduced() -> None:
    assert {len(case["salt"]) for case in cases()} == {0, 96}
    for case in cases():
        key = private_key(case)
        salt, message = bytes.fromhex(case["salt"]), bytes.fromhex(case["msg"])
        variant = Variant(salt_size=len(salt), is_randomized=False)
        n = int(case["n"], 16)
        drawn = int(gmpy2.invert(int(case["inv"], 16), n)) - 1
        draws = [salt] if salt else []
        source = ScriptedNonces(*draws, drawn.to_bytes(key.key_size // 8, "big"))

        blinded = blind(key.public_key(), message, variant, source)
        signed = sign_blinded(key, blinded.message)
        token = finalize(key.public_key(), message, blinded, signed, variant)

        assert blinded.message.hex() == case["blinded_msg"]
        assert signed.hex() == case["blind_sig"]
        assert token.hex() == case["sig"]


def issue(message: bytes) -> bytes:
    public = KEY.public_key()
    blinded = blind(public, message, ADMISSION, SOURCE)
    return finalize(public, message, blinded, sign_blinded(KEY, blinded.message), ADMISSION)


def test_a_token_issued_blindly_is_valid_and_unlike_what_the_signer_saw() -> None:
    message = token_message(EID, GENERATOR)
    blinded = blind(KEY.public_key(), message, ADMISSION, SOURCE)

    token = finalize(
        KEY.public_key(), message, blinded, sign_blinded(KEY, blinded.message), ADMISSION
    )

    check_token(KEY.public_key(), message, token)
    assert token != blinded.message
    assert "inverse" not in repr(blinded)


@pytest.mark.parametrize("salt_size", [0, 48])
def test_randomised_variants_prefix_the_message(salt_size: int) -> None:
    variant = Variant(salt_size=salt_size, is_randomized=True)

    prepared = prepare(b"message", variant, SOURCE)

    assert len(prepared) == 32 + 7
    blinded = blind(KEY.public_key(), prepared, variant, SOURCE)
    signed = sign_blinded(KEY, blinded.message)
    check_token(
        KEY.public_key(),
        prepared,
        finalize(KEY.public_key(), prepared, blinded, signed, variant),
        variant,
    )


TOKEN = issue(token_message(EID, GENERATOR))


@pytest.mark.parametrize(
    ("key", "message", "token"),
    [
        pytest.param(KEY, token_message(EID, generator_multiple(2)), TOKEN, id="34 another key"),
        pytest.param(KEY, token_message(b"\x01" * 32, GENERATOR), TOKEN, id="34 another election"),
        pytest.param(OTHER_KEY, token_message(EID, GENERATOR), TOKEN, id="34 another signer"),
        pytest.param(
            KEY, token_message(EID, GENERATOR), TOKEN[:-1] + bytes((TOKEN[-1] ^ 1,)), id="34 a bit"
        ),
        pytest.param(KEY, token_message(EID, GENERATOR), b"\xff" * 256, id="34 above the modulus"),
        pytest.param(KEY, token_message(EID, GENERATOR), TOKEN[:-1], id="a byte short"),
    ],
)
def test_a_token_for_something_else_is_refused(
    key: rsa.RSAPrivateKey, message: bytes, token: bytes
) -> None:
    with pytest.raises(InvalidToken, match="TOKEN-VERIFY"):
        check_token(key.public_key(), message, token)


@pytest.mark.parametrize("message", [b"\xff" * 256, b"\x01" * 255, b""])
def test_a_blinded_message_that_is_none_is_refused(message: bytes) -> None:
    with pytest.raises(InvalidToken, match="TOKEN-BLIND"):
        sign_blinded(KEY, message)


def test_an_answer_that_signs_something_else_is_noticed() -> None:
    message = token_message(EID, GENERATOR)
    blinded = blind(KEY.public_key(), message, ADMISSION, SOURCE)

    with pytest.raises(InvalidToken, match="TOKEN-VERIFY"):
        finalize(
            KEY.public_key(), message, blinded, sign_blinded(OTHER_KEY, b"\x00" * 256), ADMISSION
        )
