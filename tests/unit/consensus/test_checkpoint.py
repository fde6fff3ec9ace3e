"""SYNC-CHECKPOINT: a checkpoint names one block, and counts when enough trusted keys signed it."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.consensus.checkpoint import (
    CHECKPOINT_SIZE_MAX,
    SIGNATURE_COUNT_MAX,
    InvalidCheckpoint,
    build_checkpoint,
    decode_checkpoint,
    encode_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
    verify_checkpoint_header,
)
from node.primitives.types import BlockHash, Hash32, Signature
from tests.support.consensus import BLOCK, GENESIS, OTHER_BLOCK, OUTSIDER, make_keys, sealed

TOWNS = make_keys(4, "town")
TRUSTED = [key.address for key in TOWNS]
PLAIN = build_checkpoint(sealed(BLOCK).header, GENESIS.hash)
SIGNED = sign_checkpoint(sign_checkpoint(PLAIN, TOWNS[1]), TOWNS[0])


def is_good(checkpoint: Any, needed: int = 2) -> bool:
    return verify_checkpoint(
        checkpoint, genesis_hash=GENESIS.hash, trusted=TRUSTED, needed=needed
    ).is_met


def test_a_checkpoint_comes_back_from_its_text() -> None:
    assert decode_checkpoint(encode_checkpoint(SIGNED).encode()) == SIGNED


def test_two_of_four_towns_are_enough_when_two_are_asked_for() -> None:
    assert is_good(SIGNED)
    assert not is_good(SIGNED, needed=3)
    assert not is_good(sign_checkpoint(PLAIN, TOWNS[0]))


def test_a_town_counts_once_and_a_stranger_not_at_all() -> None:
    twice = replace(PLAIN, signatures=(TOWNS[0].sign(PLAIN.hash),) * 2)

    assert not is_good(twice)
    assert not is_good(sign_checkpoint(sign_checkpoint(PLAIN, TOWNS[0]), OUTSIDER))
    assert len(sign_checkpoint(sign_checkpoint(PLAIN, TOWNS[0]), TOWNS[0]).signatures) == 1
    assert not is_good(replace(PLAIN, signatures=(Signature(bytes(65)),) * 2))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda c: replace(c, height=c.height + 1), id="height"),
        pytest.param(lambda c: replace(c, block_hash=BlockHash(Hash32(bytes(32)))), id="block"),
        pytest.param(lambda c: replace(c, state_root=Hash32(bytes(32))), id="state"),
        pytest.param(lambda c: replace(c, validators=c.validators[1:]), id="validators"),
        pytest.param(lambda c: replace(c, genesis_hash=BlockHash(Hash32(bytes(32)))), id="chain"),
    ],
)
def test_a_changed_checkpoint_has_no_signatures(change: Callable[[Any], Any]) -> None:
    assert not is_good(change(SIGNED))


def test_a_header_is_held_against_its_checkpoint() -> None:
    assert verify_checkpoint_header(SIGNED, BLOCK.header).is_met, "whatever seals it carries"
    report = verify_checkpoint_header(SIGNED, OTHER_BLOCK.header)
    assert {check.name for check in report.failures} == {"block hash", "state root"}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda r: r.pop("height"), id="a key missing"),
        pytest.param(lambda r: r.update(extra=1), id="an unknown key"),
        pytest.param(lambda r: r.update(height=-1), id="a negative height"),
        pytest.param(lambda r: r.update(height="7"), id="a height in text"),
        pytest.param(lambda r: r["validators"].reverse(), id="validators out of order"),
        pytest.param(lambda r: r.update(validators=[]), id="no validators"),
        pytest.param(lambda r: r.update(state_root="0x00"), id="a short root"),
        pytest.param(
            lambda r: r.update(signatures=r["signatures"][:1] * (SIGNATURE_COUNT_MAX + 1)),
            id="too many signatures",
        ),
    ],
)
def test_a_broken_checkpoint_is_refused(change: Callable[[Any], object]) -> None:
    record = json.loads(encode_checkpoint(SIGNED))
    change(record)

    with pytest.raises(InvalidCheckpoint, match="SYNC-CHECKPOINT"):
        decode_checkpoint(json.dumps(record).encode())


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff", b"[" * 20_000, b" " * (CHECKPOINT_SIZE_MAX + 1)]
)
def test_what_is_no_checkpoint_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidCheckpoint):
        decode_checkpoint(data)
