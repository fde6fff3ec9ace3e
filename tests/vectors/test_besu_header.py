"""QBFT-EXTRA, QBFT-HASH, QBFT-SEALS against a header that a real Besu network sealed.

Block 7528 of a network of four, decided in round 1 with three seals. It has 15 fields (before
London), so it is taken apart as raw items and its hashes are taken here, apart from ``Header``;
the extra data goes through our codec. A second reader (eth-keys, rlp) recovers the same seals.
"""

import json
from dataclasses import replace

import pytest
import rlp as reference_rlp
from eth_keys.datatypes import Signature as ReferenceSignature
from eth_utils import keccak

from node.consensus.quorum import quorum_size
from node.consensus.seals import recover_sealer
from node.primitives import rlp
from node.primitives.header import DIFFICULTY, MIX_HASH, NONCE, ExtraData, decode_extra_data
from node.primitives.types import Address, Digest, Hash32, Round
from tests.support.vectors import vectors_path

EXTRA_DATA_AT = 12


@pytest.fixture(scope="module")
def fields() -> list[bytes]:
    text = (vectors_path() / "qbft" / "besu_header_7528.json").read_text()
    items = rlp.decode_list(bytes.fromhex(json.loads(text)["with_seals"]))
    return [rlp.as_bytes(item) for item in items]


@pytest.fixture(scope="module")
def extra(fields: list[bytes]) -> ExtraData:
    return decode_extra_data(fields[EXTRA_DATA_AT])


def hash_with(fields: list[bytes], extra: ExtraData) -> Digest:
    """Hash the header with ``extra`` in place of its own, by the reference codec and keccak."""
    changed = [*fields[:EXTRA_DATA_AT], extra.encode(), *fields[EXTRA_DATA_AT + 1 :]]
    return Digest(Hash32(keccak(reference_rlp.encode(changed))))


def sealers(digest: Digest, extra: ExtraData) -> list[Address | None]:
    return [recover_sealer(digest, seal) for seal in extra.seals]


def test_extra_data_decodes_and_encodes_to_the_same_bytes(
    fields: list[bytes], extra: ExtraData
) -> None:
    assert extra.encode() == fields[EXTRA_DATA_AT]
    assert (len(extra.validators), extra.vote, extra.round, len(extra.seals)) == (4, None, 1, 3)
    assert list(extra.validators) == sorted(extra.validators)


def test_constants_are_ours(fields: list[bytes]) -> None:
    assert len(fields) == 15
    assert (fields[13], fields[14]) == (MIX_HASH, NONCE)
    assert int.from_bytes(fields[7], "big") == DIFFICULTY
    assert int.from_bytes(fields[8], "big") == 7528


def test_a_quorum_of_listed_validators_sealed_hash_a(fields: list[bytes], extra: ExtraData) -> None:
    digest = hash_with(fields, replace(extra, seals=()))

    found = sealers(digest, extra)

    assert len(set(found)) == 3 >= quorum_size(len(extra.validators))
    assert set(found) <= set(extra.validators)


def test_the_seals_are_not_over_hash_b(fields: list[bytes], extra: ExtraData) -> None:
    block_hash = hash_with(fields, replace(extra, seals=(), round=Round(0)))

    assert not set(sealers(block_hash, extra)) & set(extra.validators)


def test_the_published_form_without_seals_is_the_preimage_of_hash_a(
    fields: list[bytes], extra: ExtraData
) -> None:
    text = (vectors_path() / "qbft" / "besu_header_7528.json").read_text()
    published = bytes.fromhex(json.loads(text)["without_seals"])

    assert keccak(published) == hash_with(fields, replace(extra, seals=()))


def test_another_library_recovers_the_same_sealers(fields: list[bytes], extra: ExtraData) -> None:
    digest = hash_with(fields, replace(extra, seals=()))

    others = [
        ReferenceSignature(seal).recover_public_key_from_msg_hash(digest).to_canonical_address()
        for seal in extra.seals
    ]

    assert others == sealers(digest, extra)
