"""A simulated card on the table: a channel to it without reader, driver or daemon."""

from services.sim.card.card import Fault, SimulatedCard


class TableChannel:
    """A ``CardChannel`` to one simulated card."""

    def __init__(self, card: SimulatedCard) -> None:
        """Hold the card."""
        self._card = card

    def transmit(self, command: bytes) -> bytes:
        """Hand a command over; a card torn away answers nothing, as PC/SC has it."""
        answer = self._card.transmit(command)
        return b"" if isinstance(answer, Fault) else answer

    def close(self) -> None:
        """Reset the card, as a reader does."""
        self._card.reset()
