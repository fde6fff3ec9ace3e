"""What the service is working on, in words that the page of an election shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A piece of work that takes long."""

    what: str
    """Stable word, as ``mix R 7 2``: kind, number, round."""
    done: int
    """How many steps of it are done."""
    total: int
    """How many there are."""


class ProgressBoard:
    """Work going on, by election; lost with the process, which does the work again."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._steps: dict[bytes, Step] = {}

    def note(self, eid: bytes, step: Step | None) -> None:
        """Say what is being done for an election; None when nothing is."""
        if step is None:
            self._steps.pop(eid, None)
        else:
            self._steps[eid] = step

    def of(self, eid: bytes) -> Step | None:
        """Return what is being done for an election."""
        return self._steps.get(eid)
