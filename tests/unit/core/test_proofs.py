"""LIGHT-PROOF, LIGHT-RECEIPT, LIGHT-LOGS: what a sealed header proves of a real small chain."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest

from clients.core.proofs import (
    AccountProof,
    ReceiptProof,
    logs_of,
    may_hold_logs,
    prove_account,
    prove_code,
    prove_receipt,
    prove_receipts,
)
from node.execution.evm import compute_contract_address
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.trie import InvalidProof, build_ordered_proof, compute_ordered_root
from node.primitives.types import Address, Hash32
from tests.support.ledger import GOVERNOR_KEY, Ledger, Made, encode_call, key_of
from tests.support.rpc import book

NOBODY = key_of("nobody").address


@dataclass(frozen=True)
class Sample:
    """A block with three notes in a book."""

    ledger: Ledger
    made: Made
    book: Address

    @property
    def header(self) -> Header:
        return self.made.block.header

    @property
    def transactions(self) -> list[bytes]:
        return [transaction.raw for transaction in self.made.block.transactions]

    @property
    def receipts(self) -> list[bytes]:
        return [receipt.encode() for receipt in self.made.result.receipts]

    def account_proof(self, address: Address, *slots: int) -> AccountProof:
        proof = self.ledger.chain.build_account_proof(self.header.height, address, slots)
        nodes: Mapping[int, tuple[bytes, ...]] = {
            slot: tuple(found.nodes) for slot, found in zip(slots, proof.slots, strict=True)
        }
        return AccountProof(account=tuple(proof.nodes), slots=nodes)

    def receipt_proof(self, index: int) -> ReceiptProof:
        return ReceiptProof(
            index=index,
            receipt=self.receipts[index],
            receipt_nodes=build_ordered_proof(self.receipts, index),
            transaction=self.transactions[index],
            transaction_nodes=build_ordered_proof(self.transactions, index),
        )


@lru_cache(maxsize=1)
def sample() -> Sample:
    ledger = Ledger()
    code = bytes.fromhex(book()["bytecode"].removeprefix("0x"))
    creation = ledger.call(GOVERNOR_KEY, None, code, gas_limit=2_000_000)
    target = compute_contract_address(GOVERNOR_KEY.address, creation.nonce)
    ledger.make(creation)
    notes = [
        ledger.call(
            GOVERNOR_KEY, target, encode_call("note(bytes)", b"note %d" % at), nonce_ahead=at
        )
        for at in range(3)
    ]
    return Sample(ledger=ledger, made=ledger.make(*notes), book=target)


def pages_slot() -> int:
    return int(book()["layout"]["storage_layout"]["pages"]["slot"])


def test_an_account_its_slots_and_its_code_are_proven() -> None:
    at = sample()
    slots = (pages_slot(), 99)

    proven = prove_account(at.header, at.book, at.account_proof(at.book, *slots), slots)

    assert proven.leaf is not None
    assert proven.slots == {pages_slot(): 3, 99: 0}
    assert prove_code(proven, at.ledger.view.load_code(proven.leaf.code_hash))
    with pytest.raises(InvalidProof, match="code"):
        prove_code(proven, b"\x00")


def test_absence_is_proven_too() -> None:
    at = sample()

    proven = prove_account(at.header, NOBODY, at.account_proof(NOBODY, 5), (5,))

    assert proven.leaf is None
    assert proven.slots == {5: 0}
    assert prove_code(proven, b"") == b""


def altered(nodes: tuple[bytes, ...]) -> dict[str, tuple[bytes, ...]]:
    last = bytearray(nodes[-1])
    last[-1] ^= 1
    return {
        "no proof": (),
        "truncated": nodes[:-1],
        "padded": (*nodes, nodes[-1]),
        "reversed": nodes[::-1],
        "one bit": (*nodes[:-1], bytes(last)),
        "cut bytes": (*nodes[:-1], nodes[-1][:-1]),
    }


@pytest.mark.parametrize("change", sorted(altered((b"12", b"34"))))
def test_an_altered_account_proof_is_refused(change: str) -> None:
    at = sample()
    slot = pages_slot()
    good = at.account_proof(at.book, slot)
    bad_account = replace(good, account=altered(good.account)[change])
    bad_slot = replace(good, slots={slot: altered(good.slots[slot] * 2)[change]})

    for bad in (bad_account, bad_slot):
        with pytest.raises(InvalidInput):
            prove_account(at.header, at.book, bad, (slot,))


def test_a_proof_of_another_account_slot_or_state_is_refused() -> None:
    at = sample()
    slot = pages_slot()
    good = at.account_proof(at.book, slot)
    of_parent = at.ledger.chain.load_header(at.header.height).parent_hash
    other_state = replace(at.header, state_root=Hash32(of_parent))

    with pytest.raises(InvalidProof):
        prove_account(at.header, GOVERNOR_KEY.address, good, (slot,))
    with pytest.raises(InvalidProof):
        prove_account(at.header, at.book, good, (slot + 1,))
    with pytest.raises(InvalidProof):
        prove_account(other_state, at.book, good, (slot,))
    with pytest.raises(InvalidProof):
        prove_account(at.header, at.book, good, ())


def test_a_receipt_is_proven_with_its_transaction() -> None:
    at = sample()
    transaction = at.made.block.transactions[1]

    proven = prove_receipt(at.header, transaction.hash, at.receipt_proof(1))

    assert proven.transaction.hash == transaction.hash
    assert proven.receipt.is_success
    assert b"note 1" in proven.receipt.logs[0].data


def test_an_altered_receipt_proof_is_refused_whatever_was_altered() -> None:
    at = sample()
    good, other = at.receipt_proof(1), at.receipt_proof(2)
    name = at.made.block.transactions[1].hash
    bad = [
        other,
        replace(good, index=2),
        replace(good, index=2**63),
        replace(good, receipt=other.receipt),
        replace(good, receipt=good.receipt[:-1]),
        replace(good, receipt_nodes=other.receipt_nodes),
        replace(good, receipt_nodes=good.receipt_nodes[:-1]),
        replace(good, transaction=other.transaction),
        replace(good, transaction_nodes=other.transaction_nodes),
        replace(good, transaction_nodes=good.transaction_nodes[:-1]),
    ]

    for proof in bad:
        with pytest.raises(InvalidProof):
            prove_receipt(at.header, name, proof)


def test_absence_at_an_index_is_no_receipt() -> None:
    at = sample()
    absent = replace(at.receipt_proof(1), index=9)

    with pytest.raises(InvalidProof):
        prove_receipt(at.header, at.made.block.transactions[1].hash, absent)


def test_the_logs_of_a_block_are_complete_and_in_order() -> None:
    at = sample()

    logs = logs_of(prove_receipts(at.header, at.transactions, at.receipts))

    assert [each.log_index for each in logs] == [0, 1, 2]
    assert [each.transaction_index for each in logs] == [0, 1, 2]
    assert [each.transaction_hash for each in logs] == [
        transaction.hash for transaction in at.made.block.transactions
    ]


@pytest.mark.parametrize(
    ("transactions", "receipts"),
    [
        pytest.param([0, 1], [0, 1], id="one left out"),
        pytest.param([0, 1, 2], [0, 1], id="a receipt left out"),
        pytest.param([1, 0, 2], [0, 1, 2], id="transactions reordered"),
        pytest.param([0, 1, 2], [1, 0, 2], id="receipts reordered"),
        pytest.param([0, 1, 2, 2], [0, 1, 2, 2], id="one twice"),
        pytest.param([], [], id="none"),
    ],
)
def test_logs_cannot_be_left_out_or_reordered(transactions: list[int], receipts: list[int]) -> None:
    at = sample()

    with pytest.raises(InvalidProof, match="LIGHT-LOGS"):
        prove_receipts(
            at.header,
            [at.transactions[index] for index in transactions],
            [at.receipts[index] for index in receipts],
        )


def test_a_header_whose_bloom_hides_its_logs_is_found_out() -> None:
    at = sample()
    blind = replace(at.header, bloom=b"\x00" * 256)

    with pytest.raises(InvalidProof, match="bloom"):
        prove_receipts(blind, at.transactions, at.receipts)


def test_the_bloom_tells_which_blocks_need_no_reading() -> None:
    at = sample()
    topic = at.made.result.receipts[0].logs[0].topics[0]

    assert may_hold_logs(at.header, address=at.book, topics=(topic,))
    assert not may_hold_logs(at.header, address=NOBODY)
    assert not may_hold_logs(at.header, address=at.book, topics=(Hash32(b"\x09" * 32),))
    assert not may_hold_logs(at.ledger.genesis.header, address=at.book)


def test_a_sealed_block_has_one_receipt_for_each_transaction() -> None:
    at = sample()
    lopsided = replace(at.header, receipts_root=compute_ordered_root(at.receipts[:2]))

    with pytest.raises(InvalidProof, match="one receipt for each"):
        prove_receipts(lopsided, at.transactions, at.receipts[:2])
