"""LIGHT-STEP, LIGHT-SKIP, LIGHT-PROOF, LIGHT-RECEIPT, LIGHT-LOGS: no field can be forged.

Every field of a header is changed in turn, and every part of a node's answers over a real port;
each change is refused, and the refusal names what was wrong.
"""

import copy
from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest

from clients.core.headers import HeaderRefused, TrustLimits, check_next
from clients.core.light_client import LightClient, NoVerifiedAnswer
from clients.core.transport import http_nodes
from clients.core.trust import Trust
from node.execution.evm import compute_contract_address
from node.primitives.header import ExtraData, Header, ValidatorVote
from node.primitives.types import Address, Height, Round, Signature, TransactionHash
from tests.support.consensus import GENESIS, KEYS, OUTSIDER
from tests.support.ledger import GOVERNOR_KEY, encode_call
from tests.support.light import LIMITS, Altered, chain_with_sets
from tests.support.rpc import RpcChain, ServerThread, book, serving

CHAIN = chain_with_sets([KEYS] * 2)
HEADER = CHAIN[2]
EXTRA = HEADER.extra_data
SEALS = "seals"
"""What gives away a change that no constant or link does: the seals are of another header."""

FORGERIES = {
    "parent_hash": (GENESIS.hash, "parent hash"),
    "ommers_hash": (GENESIS.hash, "ommers hash"),
    "coinbase": (OUTSIDER.address, SEALS),
    "state_root": (GENESIS.hash, SEALS),
    "transactions_root": (GENESIS.hash, SEALS),
    "receipts_root": (GENESIS.hash, SEALS),
    "bloom": (b"\x01" * 256, SEALS),
    "difficulty": (2, "difficulty"),
    "height": (Height(3), "height"),
    "gas_limit": (HEADER.gas_limit + 1, SEALS),
    "gas_used": (1, SEALS),
    "timestamp_s": (HEADER.timestamp_s + 1, SEALS),
    "mix_hash": (GENESIS.hash, "mix hash"),
    "nonce": (b"\x00" * 7 + b"\x01", "nonce"),
    "base_fee_wei": (1, "base fee"),
    "withdrawals_root": (GENESIS.hash, "withdrawals root"),
}

EXTRA_FORGERIES = {
    "vanity": (b"\x01" * 32, SEALS),
    "validators": ((*EXTRA.validators[:3], Address(b"\xff" * 20)), SEALS),
    "vote": (ValidatorVote(recipient=OUTSIDER.address, is_add=True), SEALS),
    "round": (Round(1), SEALS),
    "seals": ((*EXTRA.seals[:2], Signature(EXTRA.seals[2][:64] + b"\x01")), SEALS),
}


def forgeries() -> Iterator[Any]:
    for name, (value, reason) in FORGERIES.items():
        header = replace(HEADER, **{name: value})  # type: ignore[arg-type]
        yield pytest.param(header, reason, id=name)
    for name, (value, reason) in EXTRA_FORGERIES.items():
        extra = replace(EXTRA, **{name: value})  # type: ignore[arg-type]
        yield pytest.param(replace(HEADER, extra_data=extra), reason, id=f"extra {name}")


@pytest.mark.parametrize(("header", "reason"), list(forgeries()))
def test_no_field_of_a_header_can_be_changed(header: Header, reason: str) -> None:
    with pytest.raises(HeaderRefused, match=reason):
        check_next(header, trusted=CHAIN[1], now_s=HEADER.timestamp_s, limits=LIMITS)


def test_every_field_was_tried() -> None:
    assert set(FORGERIES) | {"extra_data"} == {field.name for field in fields(Header)}
    assert set(EXTRA_FORGERIES) == {field.name for field in fields(ExtraData)}


@pytest.fixture
def served() -> Iterator[tuple[ServerThread, RpcChain, Address, list[TransactionHash]]]:
    """Serve a chain with a book and three notes in one block."""
    chain = RpcChain()
    ledger = chain.ledger
    creation = ledger.call(
        GOVERNOR_KEY, None, bytes.fromhex(book()["bytecode"][2:]), gas_limit=2_000_000
    )
    chain.submit(creation.raw, "test")
    target = compute_contract_address(GOVERNOR_KEY.address, creation.nonce)
    chain.is_mining = False
    notes = [
        ledger.call(
            GOVERNOR_KEY, target, encode_call("note(bytes)", b"note %d" % at * 60), nonce_ahead=at
        )
        for at in range(3)
    ]
    names = [chain.submit(note.raw, "test") for note in notes]
    chain.mine()
    with serving(chain) as thread:
        yield thread, chain, target, names


Served = tuple[ServerThread, RpcChain, Address, list[TransactionHash]]


def leaves(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """Yield the path to every text in an answer."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from leaves(item, (*path, index))
    elif isinstance(value, str):
        yield path


def flipped(value: object, path: tuple[object, ...]) -> object:
    """Return an answer with one digit of the text at ``path`` changed.

    It is the one in the middle, which of a block of three notes lies in its transactions.
    """
    if not path:
        assert isinstance(value, str)
        at = len(value) // 2
        return value[:at] + ("1" if value[at] != "1" else "2") + value[at + 1 :]
    changed = copy.deepcopy(value)
    at: Any = changed
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = flipped(at[path[-1]], ())
    return changed


class Forger:
    """Changes one text of the answers to one method, and counts what it changed."""

    def __init__(self, method: str) -> None:
        """Lie about ``method`` only."""
        self.method = method
        self.path: tuple[object, ...] | None = None
        self.seen: object = None

    def __call__(self, method: str, _params: tuple[object, ...], answer: object) -> object:
        """Alter an answer."""
        if method != self.method:
            return answer
        self.seen = answer
        return answer if self.path is None else flipped(answer, self.path)


def trust_of(chain: RpcChain) -> Trust:
    genesis = chain.ledger.genesis.header
    return Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis)


async def test_no_part_of_an_account_proof_can_be_changed(served: Served) -> None:
    thread, chain, target, _ = served
    slot = int(book()["layout"]["storage_layout"]["pages"]["slot"])
    forger = Forger("eth_getProof")
    async with http_nodes([("port", f"http://127.0.0.1:{thread.port}")]) as (port,):
        client = LightClient(
            [Altered(port, forger)], trust_of(chain), limits=TrustLimits(),
            now_s=lambda: chain.now_s,
        )  # fmt: skip
        await client.sync()
        honest = await client.account(target, (slot,))
        assert honest.value.slots == {slot: 3}
        refused = 0
        for path in list(leaves(forger.seen)):
            forger.path = path
            if "accountProof" in path or "proof" in path:
                with pytest.raises(NoVerifiedAnswer, match="trie"):
                    await client.account(target, (slot,))
                refused += 1
            else:
                assert (await client.account(target, (slot,))).value == honest.value

    assert refused >= 4


async def test_no_part_of_a_receipt_proof_can_be_changed(served: Served) -> None:
    thread, chain, _, names = served
    forger = Forger("daicho_getReceiptProof")
    async with http_nodes([("port", f"http://127.0.0.1:{thread.port}")]) as (port,):
        client = LightClient(
            [Altered(port, forger)], trust_of(chain), limits=TrustLimits(),
            now_s=lambda: chain.now_s,
        )  # fmt: skip
        await client.sync()
        honest = await client.receipt(names[1])
        assert b"note 1" in honest.value.receipt.logs[0].data
        unread = {"blockHash", "header"}
        for path in list(leaves(forger.seen)):
            forger.path = path
            if path[0] in unread:
                assert (await client.receipt(names[1])).value == honest.value
            else:
                with pytest.raises(NoVerifiedAnswer):
                    await client.receipt(names[1])


@pytest.mark.parametrize("method", ["debug_getRawBlock", "debug_getRawReceipts"])
async def test_no_part_of_a_blocks_logs_can_be_changed_or_left_out(
    served: Served, method: str
) -> None:
    thread, chain, target, _ = served
    async with http_nodes([("port", f"http://127.0.0.1:{thread.port}")]) as (port,):
        forger = Forger(method)
        client = LightClient(
            [Altered(port, forger)], trust_of(chain), limits=TrustLimits(),
            now_s=lambda: chain.now_s,
        )  # fmt: skip
        head = (await client.sync()).head
        logs = (await client.block_logs(head)).value
        assert [each.log.address for each in logs] == [target] * 3
        for path in list(leaves(forger.seen)):
            forger.path = path
            with pytest.raises(NoVerifiedAnswer):
                await client.block_logs(head)
        if isinstance(forger.seen, list):
            client = LightClient(
                [Altered(port, lambda name, _p, answer: answer[:-1] if name == method else answer)],  # type: ignore[index]
                client.trust, limits=TrustLimits(), now_s=lambda: chain.now_s,
            )  # fmt: skip
            with pytest.raises(NoVerifiedAnswer, match="LIGHT-LOGS"):
                await client.block_logs(head)


async def test_a_proof_of_an_older_state_is_refused(served: Served) -> None:
    thread, chain, target, _ = served
    async with http_nodes([("port", f"http://127.0.0.1:{thread.port}")]) as (port,):

        class Old(Altered):
            async def call(self, method: str, *params: object) -> object:
                if method == "eth_getProof":
                    params = (*params[:2], "0x1")
                return await super().call(method, *params)

        old = Old(port, lambda _method, _params, answer: answer)
        client = LightClient(
            [old, port], trust_of(chain), limits=TrustLimits(), now_s=lambda: chain.now_s
        )
        await client.sync()

        found = await client.account(target)

    assert found.node == "port"
    assert [(each.node, each.code) for each in found.observations] == [("liar", "proof.invalid")]
