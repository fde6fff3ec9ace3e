"""Executes the blocks that are watched, as they come, from genesis on.

Blocks are taken from whichever node gives them; they count when they are the verified header's.

Spec: AUDIT-WATCH, AUDIT-REPLAY.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from clients.auditor.chain_checks import CHAIN_CHECKS
from clients.auditor.checks import Finding, Worksheet
from clients.auditor.header_walk import HeaderWalk, WalkRules
from clients.auditor.replay import Claim, Replay, state_at_genesis
from clients.core.answers import block_of, receipts_of
from clients.core.transport import Node
from node.consensus.parameters import parameters_of_chain
from node.consensus.validators import tally_at_base
from node.execution.profile import profile_of_chain
from node.execution.rules import check_body
from node.genesis.profile import Genesis
from node.membership.recovery import Recovery
from node.primitives.errors import InvalidInput, Unavailable
from node.primitives.header import Header
from node.primitives.trie import compute_ordered_root

BLOCKS_PER_ROUND_MAX: Final = 200
"""Most blocks executed in a round."""


class LiveReplay:
    """Stands at a block and executes the next ones."""

    def __init__(
        self,
        genesis: Genesis,
        *,
        recoveries: tuple[Recovery, ...],
        tell: Callable[[str, int, Finding], None],
    ) -> None:
        """Stand at genesis; ``tell`` is told of each check that fails, with the height."""
        header = genesis.header
        self._tell = tell
        self._sheet = Worksheet(CHAIN_CHECKS)
        self._known: dict[str, int] = {}
        rules = WalkRules(
            parameters=parameters_of_chain(genesis.profile),
            block_gas_limit=genesis.profile.block_gas_limit,
            recoveries=recoveries,
        )
        self._walk = HeaderWalk(self._sheet, rules, parent=header, tally=tally_at_base(header))
        self._replay = Replay(
            self._sheet,
            profile_of_chain(genesis.profile),
            state_at_genesis(genesis),
            parent=header,
            hashes=self._walk.hashes,
        )

    @property
    def height(self) -> int:
        """Return the height of the last block executed."""
        return self._walk.parent.height

    @property
    def is_lost(self) -> bool:
        """Tell whether the state is no longer known, because a block was refuted."""
        return self._replay.state is None

    async def catch_up(self, nodes: Sequence[Node], headers: Mapping[int, Header]) -> None:
        """Execute what is verified and not executed yet, up to the bound of a round.

        Spec: AUDIT-WATCH.
        """
        for _ in range(BLOCKS_PER_ROUND_MAX):
            header = headers.get(self.height + 1)
            if header is None:
                return
            claim = await _fetch(nodes, header)
            if claim is None:
                return
            self._walk.take(header)
            self._replay.take(claim)
            self._tell_failures(header.height)

    def _tell_failures(self, height: int) -> None:
        for outcome in self._sheet.outcomes():
            name = outcome.check.name
            before = self._known.get(name, 0)
            for finding in outcome.findings[before:]:
                self._tell(name, height, finding)
            self._known[name] = len(outcome.findings)


async def _fetch(nodes: Sequence[Node], header: Header) -> Claim | None:
    """Return the block of a verified header with its receipts, from whoever has it.

    Receipts that are the header's are preferred; if nobody has such, the header lies, and whatever
    receipts there are will do.
    """
    at = hex(header.height)
    second_best: Claim | None = None
    for node in nodes:
        try:
            raw_block, raw_receipts = await node.batch(
                [("debug_getRawBlock", [at]), ("debug_getRawReceipts", [at])]
            )
            block = block_of(raw_block)
            receipts = receipts_of(raw_receipts)
            check_body(block)
        except (InvalidInput, Unavailable):
            continue
        if block.hash != header.hash:
            continue
        claim = Claim(block=block, receipts=receipts)
        if compute_ordered_root(receipts) == header.receipts_root:
            return claim
        second_best = second_best or claim
    return second_best
