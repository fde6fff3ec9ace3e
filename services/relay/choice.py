"""Which waiting operations go next: services take turns, and each one's go in their order. Pure.

Spec: RELAY-FAIR.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.relay.operations import Word


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """An operation that has no nonce."""

    word: Word
    """Its word."""
    service: str
    """Who asked for it."""


def choose(
    waiting: Sequence[Waiting], *, in_flight: Mapping[str, int], room: int
) -> tuple[Word, ...]:
    """Return the words of the next ``room`` operations.

    The service with the fewest transactions under way goes first; of equals, the one whose
    operation has waited longest.

    Args:
        waiting: In the order of their arrival.
        in_flight: Transactions signed and not settled, by service.
        room: How many may go.

    Spec: RELAY-FAIR.
    """
    queues: dict[str, deque[tuple[int, Word]]] = {}
    for arrival, item in enumerate(waiting):
        queues.setdefault(item.service, deque()).append((arrival, item.word))
    under_way = {service: in_flight.get(service, 0) for service in queues}
    chosen: list[Word] = []
    while queues and len(chosen) < room:
        service = min(queues, key=lambda name: (under_way[name], queues[name][0][0]))
        chosen.append(queues[service].popleft()[1])
        under_way[service] += 1
        if not queues[service]:
            del queues[service]
    return tuple(chosen)
