"""Nodes for the light client's tests: real ports over HTTP, and liars that alter what they say."""

from collections.abc import Callable, Sequence
from typing import Final

from clients.core.headers import TrustLimits
from clients.core.transport import CallRefused, NodeUnavailable
from clients.core.trust import Municipality, Trust
from node.consensus.checkpoint import Checkpoint, build_checkpoint, sign_checkpoint
from node.primitives.block import Block
from node.primitives.crypto import PrivateKey
from node.primitives.header import Header
from node.primitives.types import Height
from tests.support.consensus import GENESIS, block_by, make_keys, sealed

GOVERNORS: Final = make_keys(4, "governor")
LIMITS: Final = TrustLimits(trusting_period_s=1_000, drift_s=10, staleness_s=60)
MUNICIPALITIES: Final = tuple(
    Municipality(name=f"municipality {at}", governors=frozenset({key.address}), node_url=None)
    for at, key in enumerate(GOVERNORS)
)

Alter = Callable[[str, tuple[object, ...], object], object]
"""Takes method, parameters and the honest answer; returns what the liar says instead."""


class HeaderNode:
    """A node that serves a chain of headers from memory."""

    def __init__(self, name: str, headers: Sequence[Header], *, alter: Alter | None = None) -> None:
        """Serve ``headers``, whose place is their height; a liar alters the answers."""
        self._name = name
        self.headers = list(headers)
        self.alter = alter
        self.call_count = 0

    @property
    def name(self) -> str:
        """Return the name in reports."""
        return self._name

    async def call(self, method: str, *params: object) -> object:
        """Answer one call."""
        self.call_count += 1
        answer = self._answer(method, params)
        return answer if self.alter is None else self.alter(method, params, answer)

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        """Answer several calls."""
        return [await self.call(method, *params) for method, params in calls]

    def _answer(self, method: str, params: tuple[object, ...]) -> object:
        at = params[0]
        if at == "latest":
            return {"header": raw(self.headers[-1])}
        height = int(str(at), 16)
        if height >= len(self.headers):
            raise CallRefused("block not found")
        header = self.headers[height]
        return {"header": raw(header)} if method == "daicho_getFinality" else raw(header)


class SilentNode(HeaderNode):
    """A node that never answers."""

    async def call(self, method: str, *params: object) -> object:
        """Fail as a closed port does."""
        raise NodeUnavailable(f"{self.name} does not answer: {method} {params}")


class Altered:
    """Another node's answers, altered: a liar in front of a real port."""

    def __init__(self, inner: object, alter: Alter) -> None:
        """Stand before ``inner``."""
        self._inner = inner
        self._alter = alter

    @property
    def name(self) -> str:
        """Return the name in reports."""
        return "liar"

    async def call(self, method: str, *params: object) -> object:
        """Alter one answer."""
        answer = await self._inner.call(method, *params)  # type: ignore[attr-defined]
        return self._alter(method, params, answer)

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        """Alter several answers."""
        answers = await self._inner.batch(calls)  # type: ignore[attr-defined]
        return [
            self._alter(method, tuple(params), answer)
            for (method, params), answer in zip(calls, answers, strict=True)
        ]


def raw(header: Header) -> str:
    """Write a header as a node does."""
    return "0x" + header.encode().hex()


def header_after(
    parent: Header,
    keys: Sequence[PrivateKey],
    *,
    by: Sequence[PrivateKey] | None = None,
    label: str = "",
) -> Header:
    """Make the header after ``parent`` with the set ``keys``, sealed by ``by`` or all of them."""
    listed = tuple(sorted(key.address for key in keys))
    block: Block = block_by(keys[0], parent=parent, label=label, validators=listed)
    return sealed(block, tuple(keys) if by is None else by).header


def chain_with_sets(sets: Sequence[Sequence[PrivateKey]], *, label: str = "") -> list[Header]:
    """Make headers from genesis on, the n-th after it with the n-th set."""
    headers = [GENESIS]
    for keys in sets:
        headers.append(header_after(headers[-1], keys, label=label))
    return headers


def trust_in(header: Header) -> Trust:
    """Trust a header."""
    return Trust(genesis_hash=GENESIS.hash, origin=header, head=header)


def checkpoint_of(header: Header, *signers: PrivateKey) -> Checkpoint:
    """Make a checkpoint of a header, signed."""
    checkpoint = build_checkpoint(header, GENESIS.hash)
    for signer in signers:
        checkpoint = sign_checkpoint(checkpoint, signer)
    return checkpoint


def height(number: int) -> Height:
    """Name a height."""
    return Height(number)
