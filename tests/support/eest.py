"""Runs filled Shanghai blockchain fixtures through our transition, whoever filled them.

The fixtures' own chain has fees, withdrawals and difficulty 0, which our blocks never have: the
runner reads those headers itself, credits withdrawals, and leaves transactions, execution,
receipts and roots to the code under test.
"""

import json
import os
import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from node.execution.evm import BlockContext
from node.execution.profile import Interpreter
from node.execution.transition import BlockTransition
from node.primitives import rlp
from node.primitives.crypto import keccak256, recover_address
from node.primitives.errors import InvalidInput, InvalidTransaction
from node.primitives.transaction import Transaction, TransactionType, decode_transaction
from node.primitives.trie import compute_ordered_root
from node.primitives.types import Address, Hash32, Height, Signature
from tests.support.memory_view import MemoryView
from tests.support.vectors import vectors_path

GWEI = 10**9

HEADER_RULES = {
    "BlockException.INVALID_GASLIMIT",
    "BlockException.INVALID_BASEFEE_PER_GAS",
    "BlockException.INVALID_WITHDRAWALS_ROOT|BlockException.INVALID_BLOCK_HASH",
}
"""Exceptions of the fixtures' own header rules; ours are in test_header_rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fixture."""

    name: str
    """Its name in the file."""
    body: dict[str, Any]
    """Its JSON."""


def unpack_fixtures(archive: Path) -> Path:
    """Unpack ``archive`` once per machine and return the folder."""
    facts = archive.stat()
    folder = Path(tempfile.gettempdir()) / f"daicho-eest-{facts.st_size}-{int(facts.st_mtime)}"
    if not folder.is_dir():
        fresh = Path(tempfile.mkdtemp(dir=folder.parent))
        with tarfile.open(archive) as tar:
            tar.extractall(fresh, filter="data")
        try:
            os.rename(fresh, folder)
        except OSError:
            shutil.rmtree(fresh)
    return folder


def find_fixtures() -> list[str]:
    """Return the fixture files by their path in the archive, none when it is absent."""
    try:
        archive = vectors_path() / "eest-shanghai.tar.xz"
    except pytest.skip.Exception:
        return []
    folder = unpack_fixtures(archive)
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.json"))


def load_cases(path: Path) -> list[Case]:
    """Read the fixtures of one file."""
    return [Case(name=name, body=body) for name, body in json.loads(path.read_text()).items()]


def run_case(case: Case, interpreter: Interpreter = Interpreter.STOCK) -> str | None:
    """Run one fixture and return what is wrong, or None."""
    view = _pre_state(case.body["pre"])
    genesis = case.body["genesisBlockHeader"]
    if view.root.hex() != genesis["stateRoot"][2:]:
        return "the pre-state has another root"
    chain_id = int(case.body["config"]["chainid"], 16)
    hashes = {0: Hash32(bytes.fromhex(genesis["hash"][2:]))}
    for block in case.body["blocks"]:
        expected = block.get("expectException")
        if expected in HEADER_RULES:
            continue
        try:
            wrong, new_view = _run_block(view, block, chain_id, hashes, interpreter)
        except InvalidInput as error:
            if expected is None:
                return f"a valid block was refused: {error}"
            continue
        if expected is not None:
            return f"an invalid block was accepted: {expected}"
        if wrong is not None:
            return wrong
        view = new_view
    post = case.body.get("postState")
    if post is not None and _pre_state(post).root != view.root:
        return "another state at the end"
    return None


def _run_block(
    view: MemoryView,
    block: dict[str, Any],
    chain_id: int,
    hashes: dict[int, Hash32],
    interpreter: Interpreter,
) -> tuple[str | None, MemoryView]:
    items = rlp.decode_list(bytes.fromhex(block["rlp"][2:]))
    header, transaction_items, _ommers, withdrawals = (rlp.as_list(item) for item in items)
    field = [item for item in header if isinstance(item, bytes)]
    number = int.from_bytes(field[8], "big")
    context = BlockContext(
        chain_id=chain_id,
        height=Height(number),
        timestamp_s=int.from_bytes(field[11], "big"),
        coinbase=Address(field[2]),
        gas_limit=int.from_bytes(field[9], "big"),
        mix_hash=Hash32(field[13]),
        base_fee_wei=int.from_bytes(field[15], "big"),
        ancestor_hash=hashes.get,
    )
    transactions = [decode_any_transaction(item) for item in transaction_items]
    transition = BlockTransition(view=view, context=context, interpreter=interpreter)
    for transaction in transactions:
        transition.apply(transaction)
    after = _credit(view.after(transition.collect_changes()), withdrawals)
    checks = {
        "gas used": (transition.gas_used, int.from_bytes(field[10], "big")),
        "bloom": (transition.bloom, field[6]),
        "receipts root": (
            compute_ordered_root([receipt.encode() for receipt in transition.receipts]),
            field[5],
        ),
        "transactions root": (
            compute_ordered_root([transaction.raw for transaction in transactions]),
            field[4],
        ),
        "state root": (after.root, field[3]),
    }
    hashes[number] = keccak256(rlp.encode(header))
    for name, (found, expected) in checks.items():
        if found != expected:
            return f"{name}: expected {expected!r}, found {found!r}", after
    return None, after


def _credit(view: MemoryView, withdrawals: list[rlp.Decoded]) -> MemoryView:
    for item in withdrawals:
        _index, _validator, address, amount = (rlp.as_bytes(part) for part in rlp.as_list(item, 4))
        account = view.load_account(Address(address))
        credit = int.from_bytes(amount, "big") * GWEI
        if account is None and credit:
            view.put(Address(address), balance_wei=credit)
        elif account is not None:
            view.accounts[Address(address)] = type(account)(
                account.nonce, account.balance_wei + credit, account.code_hash
            )
            if view.accounts[Address(address)].is_empty:
                del view.accounts[Address(address)]
    return view


def decode_any_transaction(item: rlp.Decoded) -> Transaction:
    """Decode a transaction, unprotected legacy ones included (our own chain refuses those)."""
    if isinstance(item, bytes):
        return decode_transaction(item)
    raw = rlp.encode(item)
    try:
        return decode_transaction(raw)
    except InvalidTransaction:
        part = [rlp.as_bytes(each) for each in item]
    number = [int.from_bytes(each, "big") for each in part]
    y_parity = number[6] - 27
    signature = part[7].rjust(32, b"\x00") + part[8].rjust(32, b"\x00") + bytes((y_parity,))
    transaction = Transaction(
        type=TransactionType.LEGACY,
        chain_id=1,
        nonce=number[0],
        max_priority_fee_wei=number[1],
        max_fee_wei=number[1],
        gas_limit=number[2],
        to=Address(part[3]) if part[3] else None,
        value_wei=number[4],
        data=part[5],
        signature=Signature(signature),
    )
    transaction.__dict__["raw"] = raw
    transaction.__dict__["sender"] = recover_address(keccak256(rlp.encode(part[:6])), signature)
    return transaction


def _pre_state(accounts: dict[str, Any]) -> MemoryView:
    view = MemoryView()
    for address, account in accounts.items():
        view.put(
            Address(bytes.fromhex(address[2:])),
            nonce=int(account["nonce"], 16),
            balance_wei=int(account["balance"], 16),
            code=bytes.fromhex(account["code"][2:]),
            slots={int(at, 16): int(value, 16) for at, value in account["storage"].items()},
        )
    return view
