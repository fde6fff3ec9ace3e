"""Executes blocks again, in memory, and holds everything execution gives against the chain.

A wrong transaction is named and then applied as those who sealed it must have, so that one lie is
one finding. When the state root differs, their state is not known and nothing after it can be
asked until a later state in the bundle.

Spec: AUDIT-REPLAY, EXEC-ADMISSION, EXEC-ROOT, EXEC-RECEIPT.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from clients.auditor import chain_checks as asked
from clients.auditor.checks import Check, Worksheet, show
from clients.auditor.header_walk import sealers_of
from node.execution.executor import ExecutionResult, build_context, finish
from node.execution.permissions import PermissionRule
from node.execution.profile import ExecutionProfile
from node.execution.rules import compute_transactions_root
from node.execution.transition import BlockTransition
from node.execution.validity import check_form
from node.genesis.profile import Genesis
from node.primitives.block import Block
from node.primitives.bundle import StateChunk
from node.primitives.errors import InvalidInput
from node.primitives.header import Header
from node.primitives.transaction import Transaction
from node.primitives.types import Hash32, Height
from node.storage.first_state import changes_of
from node.storage.kv import MemoryStore
from node.storage.state import EMPTY_VIEW, StateOverlay, build_overlay
from node.storage.state_chunks import StateLoader, iterate_chunks
from node.storage.state_store import CommittedView, StateMode, StateStore
from node.storage.state_stream import iterate_flat

NODE_CACHE_SIZE: Final = 16 * 1024 * 1024
"""Trie nodes kept decoded in memory beside the state itself, in bytes."""


UNKNOWN: Final = "the state before some blocks is not known, because an earlier block is refuted"
"""Why execution goes on only at the next state in the bundle."""


class ReplayState:
    """The state after one block, in memory."""

    def __init__(self, store: MemoryStore, *, height: Height, root: Hash32) -> None:
        """Take a store that holds the state after block ``height``."""
        self._store = store
        self._state = StateStore(
            store, mode=StateMode.LIVE, head=height, node_cache_size=NODE_CACHE_SIZE, window=0
        )
        self.height = height
        self.root = root

    @property
    def view(self) -> CommittedView:
        """Return the state, to execute upon."""
        return CommittedView(self._state, height=self.height, root=self.root)

    def advance(self, overlay: StateOverlay, height: Height) -> None:
        """Make the state that ``overlay`` leads to the present one."""
        batch = self._state.stage(overlay, height)
        self._state.advance(height)
        self._store.write(batch, sync=False)
        self._state.adopt(overlay, batch)
        self.height, self.root = height, overlay.root

    def chunks(self) -> Iterator[StateChunk]:
        """Yield the state as a bundle has it."""
        return iterate_chunks(iterate_flat(self._store), self.view.load_code)


def state_at_genesis(genesis: Genesis) -> ReplayState:
    """Return the state a genesis file begins with."""
    overlay = build_overlay(EMPTY_VIEW, changes_of(genesis))
    store = MemoryStore()
    empty = StateStore(store, mode=StateMode.LIVE, head=Height(0), window=0)
    store.write(empty.stage(overlay, Height(0)), sync=False)
    return ReplayState(store, height=Height(0), root=overlay.root)


def load_state(entries: Iterable[bytes], height: Height) -> ReplayState:
    """Return the state that chunks hold; its root says which it is.

    Raises:
        InvalidBundle: They hold no state.
    """
    store = MemoryStore()
    loader = StateLoader(store)
    for chunk in entries:
        loader.add(chunk)
    return ReplayState(store, height=height, root=loader.finish())


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A block as the bundle has it."""

    block: Block
    """Header and transactions."""
    receipts: tuple[bytes, ...]
    """The receipts it claims."""


class Replay:
    """Executes one block after another upon a state."""

    def __init__(
        self,
        sheet: Worksheet,
        profile: ExecutionProfile,
        state: ReplayState | None,
        *,
        parent: Header,
        hashes: Mapping[int, Hash32],
    ) -> None:
        """Stand at ``parent`` with the state after it, or without one.

        Args:
            sheet: Where answers go.
            profile: The network's numbers.
            state: After ``parent``; None when it is not known.
            parent: The block before the next.
            hashes: Of the ancestors, as the headers have them; kept current by the caller.
        """
        self._sheet = sheet
        self._profile = profile
        self._rule = PermissionRule()
        self._hashes = hashes
        self.state = state
        self.parent = parent

    def take(self, claim: Claim) -> None:
        """Execute a block and ask everything of it.

        Spec: AUDIT-REPLAY.
        """
        header = claim.block.header
        is_whole = self._ask_body(claim.block)
        is_next = header.height == self.parent.height + 1
        if self.state is not None and is_whole and is_next:
            self._execute(claim, self.state)
            self.parent = header
        else:
            self.lose(UNKNOWN, header)

    def lose(self, reason: str, header: Header | None) -> None:
        """Give up the state: a block could not be executed."""
        self.state = None
        self._sheet.leave_open(reason, *asked.EXECUTION_CHECKS[1:])
        if header is not None:
            self.parent = header

    def _ask_body(self, block: Block) -> bool:
        expected = block.header.transactions_root
        found = compute_transactions_root(block.transactions)
        return self._sheet.compare(
            asked.BODY,
            f"block {block.height}",
            expected=expected,
            found=found,
            blame=() if expected == found else sealers_of(block.header),
        )

    def _execute(self, claim: Claim, state: ReplayState) -> None:
        header = claim.block.header
        view = state.view
        transition = BlockTransition(
            view=view,
            context=build_context(header, self._profile, self._hash_at),
            refused_precompiles=self._profile.refused_precompiles,
        )
        for index, transaction in enumerate(claim.block.transactions):
            subject = f"block {header.height}, transaction {index}"
            self._apply(transition, transaction, view, subject, header)
        result = finish(transition, view)
        if self._ask_result(claim, result):
            state.advance(result.overlay, header.height)
        else:
            self.state = None

    def _apply(
        self,
        transition: BlockTransition,
        transaction: Transaction,
        view: CommittedView,
        subject: str,
        header: Header,
    ) -> None:
        """Ask whether a transaction may stand here, and apply it all the same.

        Spec: AUDIT-REPLAY, EXEC-ADMISSION, EXEC-OPEN-CALL.
        """
        must_succeed = self._ask_admission(transaction, view, subject, header)
        refusal: InvalidInput | None = None
        try:
            check_form(transaction, self._profile)
        except InvalidInput as error:
            refusal = error
        try:
            transition.apply(transaction, must_succeed=must_succeed)
            if must_succeed:
                self._sheet.count(asked.OPEN_CALL, 1)
        except InvalidInput as error:
            if error.rule != "EXEC-OPEN-CALL":
                refusal = error
            else:
                self._refuse(asked.OPEN_CALL, subject, error, header)
                transition.apply(transaction)
        if refusal is None:
            self._sheet.count(asked.TRANSACTION, 1)
        else:
            self._refuse(asked.TRANSACTION, subject, refusal, header)

    def _ask_admission(
        self, transaction: Transaction, view: CommittedView, subject: str, header: Header
    ) -> bool:
        """Ask whether the sender may send; return whether the transaction must succeed.

        Spec: PERM-PARENT, PERM-ORDER.
        """
        try:
            admission = self._rule(view, self.parent.timestamp_s, transaction)
        except InvalidInput as error:
            self._refuse(asked.PERMISSION, subject, error, header)
            return False
        self._sheet.count(asked.PERMISSION, 1)
        return admission.must_succeed

    def _refuse(self, check: Check, subject: str, error: InvalidInput, header: Header) -> None:
        self._sheet.ask(
            check,
            subject,
            is_met=False,
            expected=f"as {error.rule or check.rule} has it",
            found=error.message,
            blame=sealers_of(header),
        )

    def _ask_result(self, claim: Claim, result: ExecutionResult) -> bool:
        """Compare what execution gave; return whether the state is the header's.

        Spec: EXEC-RECEIPT, EXEC-ROOT.
        """
        header = claim.block.header
        subject = f"block {header.height}"
        self._compare_receipts(claim, [receipt.encode() for receipt in result.receipts])
        for check, expected, found in (
            (asked.GAS, result.gas_used, header.gas_used),
            (asked.BLOOM, result.bloom, header.bloom),
            (asked.RECEIPTS_ROOT, result.receipts_root, header.receipts_root),
            (asked.STATE_ROOT, result.state_root, header.state_root),
        ):
            is_met = expected == found
            self._sheet.ask(
                check,
                subject,
                is_met=is_met,
                expected=expected,
                found=found,
                blame=() if is_met else sealers_of(header),
            )
        return result.state_root == header.state_root

    def _compare_receipts(self, claim: Claim, executed: Sequence[bytes]) -> None:
        subject = f"block {claim.block.height}"
        differing = next(
            (
                at
                for at, (one, other) in enumerate(zip(executed, claim.receipts, strict=False))
                if one != other
            ),
            None,
        )
        if len(executed) != len(claim.receipts):
            self._sheet.compare(
                asked.RECEIPTS,
                subject,
                expected=f"{len(executed)} receipts",
                found=f"{len(claim.receipts)} receipts",
            )
        elif differing is not None:
            self._sheet.compare(
                asked.RECEIPTS,
                f"{subject}, receipt {differing}",
                expected=show(executed[differing]),
                found=show(claim.receipts[differing]),
            )
        else:
            self._sheet.count(asked.RECEIPTS, max(1, len(executed)))

    def _hash_at(self, height: Height) -> Hash32 | None:
        return self._hashes.get(height)
