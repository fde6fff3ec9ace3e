"""Seeded randomness of a simulated run.

SplitMix64 over integers, so that a seed means the same on every version of Python and on every
machine. Each use draws from its own stream: switching one fault off leaves the draws of the others
as they were, which is what makes a failing seed shrink well.
"""

from collections.abc import Sequence
from typing import Final, TypeVar

from node.primitives.crypto import sha256

Choice = TypeVar("Choice")

_MASK: Final = (1 << 64) - 1
_GAMMA: Final = 0x9E3779B97F4A7C15


class Dice:
    """A stream of draws that its seed and its name determine."""

    def __init__(self, seed: int, stream: str) -> None:
        """Start the stream called ``stream`` of ``seed``."""
        self._state = int.from_bytes(sha256(f"{seed}/{stream}".encode())[:8], "big")

    def below(self, bound: int) -> int:
        """Draw an integer in [0, ``bound``)."""
        self._state = (self._state + _GAMMA) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return (mixed ^ (mixed >> 31)) % bound

    def between(self, low: int, high: int) -> int:
        """Draw an integer in [``low``, ``high``], both included."""
        return low + self.below(high - low + 1)

    def has_luck(self, permille: int) -> bool:
        """Draw true with a chance of ``permille`` in a thousand."""
        return permille > 0 and self.below(1000) < permille

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """Draw one of ``choices``."""
        return choices[self.below(len(choices))]

    def sample(self, choices: Sequence[Choice], count: int) -> tuple[Choice, ...]:
        """Draw ``count`` different ones of ``choices``, in the order drawn."""
        rest = list(choices)
        return tuple(rest.pop(self.below(len(rest))) for _ in range(min(count, len(rest))))
