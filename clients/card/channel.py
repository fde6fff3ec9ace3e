"""The way to one card: bytes out, bytes back, and an end that leaves nothing open.

Spec: CARD-ANSWER.
"""

from typing import Final, Protocol

from clients.card.apdu import Gate
from clients.card.errors import CardLost

STATUS_SIZE: Final = 2
"""Bytes of SW1 and SW2."""

ANSWER_SIZE_MAX: Final = 258
"""Longest answer to a short command."""


class CardChannel(Protocol):
    """A connection to a card that nobody else shares."""

    def transmit(self, command: bytes) -> bytes:
        """Send a command and return data and status, or nothing if the card went."""
        ...

    def close(self) -> None:
        """Reset the card, so that no verified code outlives the connection, and let it go."""
        ...


class GuardedChannel:
    """A channel whose commands pass the gate and whose answers are whole."""

    def __init__(self, channel: CardChannel) -> None:
        self._channel = channel
        self._gate = Gate()

    def exchange(self, command: bytes) -> tuple[int, bytes]:
        """Send a command and return status and data.

        A card torn away gives an empty answer without an error, so an answer must have a status.

        Raises:
            ForbiddenFile: The gate stopped the command.
            CardLost: The answer is not whole.

        Spec: CARD-ANSWER.
        """
        self._gate.check(command)
        answer = self._channel.transmit(command)
        if not STATUS_SIZE <= len(answer) <= ANSWER_SIZE_MAX:
            raise CardLost(
                f"card: answer of {len(answer)} bytes, expected {STATUS_SIZE} to {ANSWER_SIZE_MAX}",
                rule="CARD-ANSWER",
            )
        status = int.from_bytes(answer[-STATUS_SIZE:], "big")
        self._gate.note(command, status)
        return status, answer[:-STATUS_SIZE]

    def close(self) -> None:
        """Reset the card and let it go."""
        self._channel.close()
