"""Where the protocol's secret numbers come from: an argument, never a hidden global.

A shell passes a ``NonceSource`` over the operating system's generator; tests pass one with a seed.
Numbers are drawn by rejection, so that every value in [1, n-1] is equally likely.
"""

from typing import Protocol

from clients.voting.group import ORDER


class NonceSource(Protocol):
    """A source of bytes that nobody can predict."""

    def draw(self, size: int) -> bytes:
        """Return ``size`` fresh bytes."""
        ...


def draw_scalar(source: NonceSource) -> int:
    """Draw a scalar uniform in [1, n-1]."""
    while True:
        value = int.from_bytes(source.draw(32), "big")
        if 0 < value < ORDER:
            return value


def draw_scalars(source: NonceSource, count: int) -> list[int]:
    """Draw ``count`` scalars uniform in [1, n-1]."""
    data = source.draw(32 * count)
    values = [int.from_bytes(data[at : at + 32], "big") for at in range(0, len(data), 32)]
    return [value if 0 < value < ORDER else draw_scalar(source) for value in values]


def draw_weights(source: NonceSource, count: int) -> list[int]:
    """Draw ``count`` weights of 128 bits, for batched verification."""
    data = source.draw(16 * count)
    return [int.from_bytes(data[at : at + 16], "big") for at in range(0, len(data), 16)]


def draw_below(source: NonceSource, bound: int) -> int:
    """Draw an integer uniform in [0, bound)."""
    size = (bound.bit_length() + 7) // 8
    limit = (1 << (8 * size)) // bound * bound
    while True:
        value = int.from_bytes(source.draw(size), "big")
        if value < limit:
            return value % bound


def draw_permutation(source: NonceSource, count: int) -> list[int]:
    """Draw a permutation of range(count) by Fisher and Yates's shuffle."""
    order = list(range(count))
    for at in range(count - 1, 0, -1):
        other = draw_below(source, at + 1)
        order[at], order[other] = order[other], order[at]
    return order
