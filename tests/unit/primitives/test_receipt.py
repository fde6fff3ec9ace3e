"""Receipts and blooms, judged by eth-bloom."""

import pytest
from eth_bloom import BloomFilter

from node.primitives.errors import MalformedMessage
from node.primitives.receipt import Log, Receipt, compute_bloom, decode_receipt, merge_blooms
from node.primitives.types import Address, Hash32

LOGS = (
    Log(address=Address(b"\x01" * 20), topics=(Hash32(b"\xaa" * 32),), data=b"x"),
    Log(address=Address(b"\x02" * 20), topics=(), data=b""),
)


def test_a_bloom_equals_the_librarys() -> None:
    judge = BloomFilter()
    for log in LOGS:
        judge.add(log.address)
        for topic in log.topics:
            judge.add(topic)

    assert int.from_bytes(compute_bloom(LOGS), "big") == int(judge)


def test_blooms_merge_to_the_bloom_of_all_logs() -> None:
    parts = [compute_bloom(LOGS[:1]), compute_bloom(LOGS[1:])]

    assert merge_blooms(parts) == compute_bloom(LOGS)


@pytest.mark.parametrize("kind", [0, 1, 2])
@pytest.mark.parametrize("is_success", [True, False])
def test_a_receipt_survives_its_bytes(kind: int, is_success: bool) -> None:
    receipt = Receipt(
        type=kind,
        is_success=is_success,
        cumulative_gas_used=21_000,
        bloom=compute_bloom(LOGS),
        logs=LOGS,
    )

    assert decode_receipt(receipt.encode()) == receipt


@pytest.mark.parametrize("data", [b"", b"\xc0", b"\x02", b"\x01\xc4\x02\x80\x80\xc0"])
def test_bytes_that_are_no_receipt_are_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_receipt(data)
