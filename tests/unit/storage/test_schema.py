"""STORE-SCHEMA: prefixes are single bytes, used once; keys sort by height and do not collide."""

import pytest

from node.primitives.crypto import keccak256
from node.primitives.types import Address, BlockHash, TransactionHash
from node.storage import schema
from node.storage.schema import Meta, Prefix

HASH = keccak256(b"anything")


def test_every_prefix_is_one_byte_and_used_once() -> None:
    assert all(len(prefix.value) == 1 for prefix in Prefix)
    assert len({prefix.value for prefix in Prefix}) == len(Prefix.__members__)
    assert len({name.value for name in Meta}) == len(Meta.__members__)


@pytest.mark.parametrize(
    ("key", "size"),
    [
        pytest.param(schema.header_key(7), 9, id="header"),
        pytest.param(schema.body_key(7), 9, id="body"),
        pytest.param(schema.receipts_key(7), 9, id="receipts"),
        pytest.param(schema.block_hash_key(BlockHash(HASH)), 33, id="block hash"),
        pytest.param(schema.transaction_key(TransactionHash(HASH)), 33, id="transaction"),
        pytest.param(schema.log_key(schema.log_term(1, b"x"), 7), 17, id="log term"),
        pytest.param(schema.account_key(HASH), 33, id="account"),
        pytest.param(schema.slot_key(HASH, HASH), 65, id="slot"),
        pytest.param(schema.code_key(HASH), 33, id="code"),
        pytest.param(schema.node_hash_key(HASH), 33, id="node by hash"),
        pytest.param(schema.reverse_diff_key(7), 9, id="reverse diff"),
        pytest.param(schema.sign_state_key(Address(bytes(20))), 21, id="sign-state"),
        pytest.param(schema.pending_vote_key(Address(bytes(20))), 21, id="pending vote"),
        pytest.param(schema.evidence_key(7, HASH), 41, id="evidence"),
    ],
)
def test_keys_have_the_width_of_their_kind(key: bytes, size: int) -> None:
    assert len(key) == size


def test_paths_of_different_length_have_different_keys() -> None:
    paths = ["", "0", "00", "000", "1", "01", "10", "0" * 63, "0" * 64]
    keys = {schema.node_path_key(schema.STATE_OWNER, path) for path in paths}
    assert len(keys) == len(paths)


def test_heights_sort_as_numbers() -> None:
    heights = [0, 1, 255, 256, 65_535, 2**40, 2**64 - 1]
    assert sorted(heights, key=schema.header_key) == heights


def test_a_range_of_an_owner_holds_its_keys_and_no_other(  # 0xff at the end must carry
) -> None:
    owner = b"\x01" * 31 + b"\xff"
    start, stop = schema.range_of_owner(Prefix.SLOT, owner)
    assert start <= schema.slot_key(owner, b"\xff" * 32) < stop
    assert not start <= schema.slot_key(b"\x01" * 30 + b"\x02\x00", bytes(32)) < stop


def test_a_log_term_depends_on_its_position() -> None:
    assert len({schema.log_term(position, bytes(32)) for position in range(6)}) == 6
