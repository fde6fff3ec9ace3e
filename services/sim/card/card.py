"""A card that can be held and made to fail: the answers, with a memory and a record of use."""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.sim.card.answers import Answer, CardState, Place, answer
from services.sim.card.files import CardContents
from services.sim.card.layout import CardOrder, first_state, lay_out

SELECTIONS_MAX: Final = 4096
"""Selected files remembered, the latest first out when it is full."""


class Fault(Enum):
    """What goes wrong instead of an answer."""

    TORN_AWAY = "torn-away"
    """The card leaves the field in the middle of the command."""
    SILENT = "silent"
    """The card never answers."""
    TRUNCATED = "truncated"
    """One byte of the answer arrives."""
    REFUSED = "refused"
    """The card answers 6F00: no precise diagnosis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """A fault that awaits its command."""

    fault: Fault
    """What happens."""
    instruction: int
    """INS byte of the command it happens at."""
    after: int = 0
    """How many such commands pass before."""


class SimulatedCard:
    """One card. Not shared between threads."""

    def __init__(self, contents: CardContents, state: CardState | None = None) -> None:
        self.contents = contents
        self.state = state or CardState()
        self.selections: deque[Place] = deque(maxlen=SELECTIONS_MAX)
        self.command_count = 0
        self._planned: list[PlannedFault] = []

    @classmethod
    def issue(cls, order: CardOrder) -> "SimulatedCard":
        """Return a card as handed over at the counter."""
        return cls(lay_out(order), first_state(order))

    @property
    def atr(self) -> bytes:
        """Return the answer to reset."""
        return self.contents.atr

    def plan(self, fault: Fault, *, instruction: int, after: int = 0) -> None:
        """Let something go wrong once, at a command with this INS byte."""
        self._planned.append(PlannedFault(fault=fault, instruction=instruction, after=after))

    def reset(self) -> None:
        """Forget the selection and verified codes, as after power-off."""
        self.state = self.state.after_reset()

    def transmit(self, command: bytes) -> bytes | Fault:
        """Answer a command, or tell which fault takes the answer's place.

        A fault comes after the command was carried out: a PIN that was tried stays tried.
        """
        self.command_count += 1
        reply: Answer = answer(self.contents, self.state, command)
        self.state = reply.state
        if self.state.application is not None and self.state.file is not None:
            place = (self.state.application, self.state.file)
            if command[1:2] == b"\xa4":
                self.selections.append(place)
        fault = self._due(command[1] if len(command) > 1 else -1)
        match fault:
            case None:
                return reply.encode()
            case Fault.TRUNCATED:
                return reply.encode()[:1]
            case Fault.REFUSED:
                return b"\x6f\x00"
            case _:
                return fault

    def _due(self, instruction: int) -> Fault | None:
        for at, planned in enumerate(self._planned):
            if planned.instruction != instruction:
                continue
            if planned.after == 0:
                del self._planned[at]
                return planned.fault
            self._planned[at] = PlannedFault(
                fault=planned.fault, instruction=instruction, after=planned.after - 1
            )
            return None
        return None
