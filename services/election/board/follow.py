"""Following the contracts: events of final blocks become the board's rows, each once.

A ballot's core is in its event, its signature only in the call that brought it: the box takes the
items of a batch in their order, so what was cast and what was refused are matched by place.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncConnection

from clients.core.headers import TrustLimits
from clients.core.proofs import ProvenReceipt
from clients.core.transport import Node
from clients.core.trust import Trust
from clients.voting.ballot import compute_ballot_hash
from node.log import Log as Logger
from node.primitives.header import Header
from node.primitives.receipt import Log
from services.election.board.contracts import NAMES, ContractEvent, Contracts
from services.election.board.store import CURSOR, BoardStore
from services.election.board.tables import BALLOTS, CURSORS, FACTS, REFUSALS, WITHDRAWALS
from services.kit.clock import Clock
from services.kit.follower import FinalBlock, Follower, FollowerParts, Watch, open_follower

TRUSTING_PERIOD_S: Final = 10 * 365 * 86_400
"""A new database reads from genesis; a history forged with retired keys needs every node to lie."""

SIGNATURE_SIZE: Final = 65
HEAD_SIZE: Final = 4
WORD: Final = 32
BATCH_AT: Final = HEAD_SIZE + 3 * WORD
"""Where a canonically encoded ``cast`` holds its batch."""

UNKNOWN_SIGNATURE: Final = bytes(SIGNATURE_SIZE)
"""Of a ballot that a contract brought, whose signature no call data shows."""

_log = Logger("election-board")

Row = tuple[Any, dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A ballot as a relay sent it."""

    core: bytes
    signature: bytes


class Board:
    """Turns blocks into rows."""

    def __init__(self, store: BoardStore, contracts: Contracts) -> None:
        """Hold where rows go and which contracts count."""
        self._store = store
        self._contracts = contracts
        self._has_news = False

    def tell_news(self) -> bool:
        """Tell whether there was anything but ballots since this was asked last."""
        found, self._has_news = self._has_news, False
        return found

    async def take(self, tx: AsyncConnection, block: FinalBlock) -> None:
        """Keep what a block says; a handler of the follower."""
        rows: list[Row] = []
        at = 0
        for outcome in block.outcomes:
            rows += self._rows_of(block.header, outcome, at)
            at += len(outcome.receipt.logs)
        await self._store.add_rows(tx, rows)
        self._has_news |= any(table is FACTS for table, _ in rows)

    def _rows_of(self, header: Header, outcome: ProvenReceipt, at: int) -> list[Row]:
        """Return the rows of one transaction, whose first log is the block's ``at``-th."""
        rows: list[Row] = []
        item = 0
        items: tuple[Item, ...] | None = None
        for place, log in enumerate(outcome.receipt.logs, at):
            event = self._contracts.read_event(log)
            if event is None:
                continue
            if event.name in ("BallotCast", "BallotRefused"):
                if items is None:
                    items = self._items_of(outcome)
                rows.append(self._ballot_row(header, outcome, event, items, item))
                item += 1
                continue
            if event.name == "KeyWithdrawn":
                rows += self._withdrawal_rows(header, outcome, event)
            rows.append(self._fact_row(header, log, event, place))
        return rows

    def _fact_row(self, header: Header, log: Log, event: ContractEvent, place: int) -> Row:
        contract = next(name for name in NAMES if self._contracts.by_name[name] == log.address)
        return FACTS, {
            "subject": bytes(log.topics[1]),
            "position": header.height << 20 | place,
            "time_s": header.timestamp_s,
            "name": f"{contract}.{event.name}",
            "topics": b"".join(log.topics),
            "data": log.data,
        }

    def _ballot_row(
        self,
        header: Header,
        outcome: ProvenReceipt,
        event: ContractEvent,
        items: tuple[Item, ...],
        at: int,
    ) -> Row:
        values = event.values
        sent = items[at] if at < len(items) else None
        common = {
            "eid": values["eid"],
            "height": header.height,
            "transaction_hash": outcome.transaction.hash,
        }
        if event.name == "BallotRefused":
            digest = bytes(32) if sent is None else compute_ballot_hash(sent.core)
            return REFUSALS, {
                **common,
                "item": values["item"],
                "digest": digest,
                "reason": values["reason"],
            }
        if sent is None or sent.core != values["core"]:
            _log.warning("a ballot without its signature", height=header.height)
            sent = Item(core=values["core"], signature=UNKNOWN_SIGNATURE)
        return BALLOTS, {
            **common,
            "number": values["index"],
            "time_s": header.timestamp_s,
            "digest": values["digest"],
            "core": sent.core,
            "signature": sent.signature,
        }

    def _items_of(self, outcome: ProvenReceipt) -> tuple[Item, ...]:
        if outcome.transaction.to != self._contracts.ballot_box:
            return ()
        return read_batch(outcome.transaction.data)

    def _withdrawal_rows(
        self, header: Header, outcome: ProvenReceipt, event: ContractEvent
    ) -> list[Row]:
        if outcome.transaction.to != self._contracts.ballot_box:
            _log.warning("a withdrawal without its signature", height=header.height)
            return []
        words = [
            outcome.transaction.data[at : at + WORD]
            for at in range(HEAD_SIZE, HEAD_SIZE + 6 * WORD, WORD)
        ]
        values = {
            "eid": event.values["eid"],
            "key": words[1] + words[2],
            "height": header.height,
            "sequence": event.values["sequence"],
            "signature": words[4] + words[5] + words[3][-1:],
        }
        return [(WITHDRAWALS, values)]


def read_batch(data: bytes) -> tuple[Item, ...]:
    """Return the items of a ``cast``'s call data, as the box read them.

    Spec: BOX-BATCH.
    """
    size = int.from_bytes(data[BATCH_AT - WORD : BATCH_AT], "big")
    batch = data[BATCH_AT : BATCH_AT + size]
    items, at = [], 0
    while at + 2 <= len(batch):
        end = at + 2 + int.from_bytes(batch[at : at + 2], "big")
        items.append(Item(core=batch[at + 2 : end], signature=batch[end : end + SIGNATURE_SIZE]))
        at = end + SIGNATURE_SIZE
    return tuple(items)


async def open_board_follower(
    store: BoardStore,
    contracts: Contracts,
    *,
    nodes: tuple[Node, ...],
    genesis: Header,
    clock: Clock,
) -> Follower:
    """Open the follower of the contracts, at its cursor or at genesis.

    Raises:
        DatabaseUnavailable: The database does not answer.
    """
    return await open_follower(
        FollowerParts(
            database=store.database,
            cursors=CURSORS,
            tenant=store.tenant,
            name=CURSOR,
            watch=Watch(contracts=frozenset(contracts.by_name.values())),
            nodes=nodes,
            limits=TrustLimits(trusting_period_s=TRUSTING_PERIOD_S),
            clock=clock,
        ),
        Trust(genesis_hash=genesis.hash, origin=genesis, head=genesis),
    )
