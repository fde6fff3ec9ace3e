"""Any pure reader of the state, run on proven values only: as `execution.permissions` reads roles.

The reader runs over what is proven so far; what it misses is fetched with proofs and it runs again,
until it misses nothing. So no node has a say in its result, and no second reader is written.

Spec: LIGHT-READ, LIGHT-PROOF.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from clients.core.light_client import LightClient, Observation, Proven
from clients.core.proofs import ProvenAccount
from node.primitives.header import Header
from node.primitives.trie import InvalidProof
from node.primitives.types import Address, Hash32
from node.storage.view import Account, StateView

Value = TypeVar("Value")

ROUNDS_MAX: Final = 16
"""How often a reader may miss something that depends on what it just read."""


@dataclass(slots=True)
class ProvenView:
    """A state of which only proven parts are known; what is missed is noted and reads as empty."""

    state_root: Hash32
    """Root that everything is proven under."""
    proven: dict[Address, ProvenAccount] = field(default_factory=dict[Address, ProvenAccount])
    """What is known."""
    missed: dict[Address, set[int]] = field(default_factory=dict[Address, set[int]])
    """Accounts and slots that were read and are not known."""

    @property
    def root(self) -> Hash32:
        """Return the state's root."""
        return self.state_root

    def load_account(self, address: Address) -> Account | None:
        """Return an account; None when it is absent, or missed."""
        known = self.proven.get(address)
        if known is None:
            self.missed.setdefault(address, set())
            return None
        leaf = known.leaf
        if leaf is None:
            return None
        return Account(nonce=leaf.nonce, balance_wei=leaf.balance_wei, code_hash=leaf.code_hash)

    def load_slot(self, address: Address, slot: int) -> int:
        """Return a slot's value; 0 when it is empty, or missed."""
        known = self.proven.get(address)
        if known is None or slot not in known.slots:
            self.missed.setdefault(address, set()).add(slot)
            return 0
        return known.slots[slot]

    def load_code(self, code_hash: Hash32) -> bytes:
        """Refuse: code is no part of the state's tries; `LightClient.code` reads it.

        Raises:
            InvalidProof: Always.
        """
        raise InvalidProof(f"code 0x{code_hash.hex()} is not read through a proven view")


async def read_proven(client: LightClient, read: Callable[[StateView], Value]) -> Proven[Value]:
    """Return what ``read`` finds in the state at one verified head, the newest if need be.

    Raises:
        NoVerifiedAnswer: No node proved what it reads.
        InvalidProof: It goes on missing more, round after round.

    Spec: LIGHT-READ, LIGHT-PROOF, LIGHT-PRESENT.
    """
    return await client.read_present(lambda header: _read_under(client, header, read))


async def _read_under(
    client: LightClient, header: Header, read: Callable[[StateView], Value]
) -> Proven[Value]:
    view = ProvenView(header.state_root)
    observations: list[Observation] = []
    delivered = ""
    for _ in range(ROUNDS_MAX):
        value = read(view)
        if not view.missed:
            return Proven(
                value=value, header=header, node=delivered, observations=tuple(observations)
            )
        for address, slots in sorted(view.missed.items()):
            known = view.proven.get(address)
            wanted = slots if known is None else slots | set(known.slots)
            found = await client.account(address, sorted(wanted), under=header)
            view.proven[address] = found.value
            delivered = found.node
            observations += found.observations
        view.missed.clear()
    raise InvalidProof(f"a reader that misses more after {ROUNDS_MAX} rounds")
