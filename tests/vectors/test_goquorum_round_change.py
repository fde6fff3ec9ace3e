"""QBFT-MESSAGES, QBFT-SIGNED-HASH against a round change of a real GoQuorum network.

The signed part of a ROUND-CHANGE that an operator logged in Consensys/quorum issue 1692, with the
address the node logged for its author: height 899,155, target round 1, prepared in round 0.
"""

from node.consensus.codec import decode_signed_round_change, encode_signed
from node.primitives import rlp

AUTHOR = "1643a50a491de9e8223e41d1a2917a501ca64874"
DIGEST = "07c997254d2a0503cf4de827951ea976ebca4d7310d87bfa8d457022e2f335aa"
SIGNATURE = (
    "1880356c65118f5cad9d78fcc845d97d297347c4e01f968c479489e8ec690ff3"
    "3b3e3c5c449a25cd4a0e793919a3260b541add4e4b87c7db3ff89b5d9c800d5601"
)
SIGNED = bytes.fromhex("f86ce8830db85301e280a0" + DIGEST + "b841" + SIGNATURE)


def test_its_author_is_recovered() -> None:
    signed = decode_signed_round_change(rlp.decode(SIGNED))

    assert signed.author.hex() == AUTHOR


def test_its_fields_are_read_and_written_to_the_same_bytes() -> None:
    signed = decode_signed_round_change(rlp.decode(SIGNED))

    payload = signed.payload
    assert (payload.height, payload.round) == (899_155, 1)
    assert payload.prepared is not None
    assert (payload.prepared.round, payload.prepared.digest.hex()) == (0, DIGEST)
    assert encode_signed(signed) == SIGNED
