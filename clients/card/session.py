"""A card for the length of a block: found, taken exclusively, and reset at the end.

Spec: CARD-RESET.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from clients.card.card import MyNumberCard
from clients.card.pcsc import ANSWER_TIMEOUT_S, WAIT_S, PcscContext


@contextmanager
def open_card(
    reader: str | None = None, *, wait_s: float = WAIT_S, timeout_s: float = ANSWER_TIMEOUT_S
) -> Iterator[MyNumberCard]:
    """Hold the card in a reader; it is reset however the block ends.

    Raises:
        CardDaemonMissing, NoReader, UnknownReader, NoCard, SeveralCards, ReaderBusy: As they say.

    Spec: CARD-RESET.
    """
    with PcscContext() as context:
        found = context.wait_for_card(reader, wait_s=wait_s)
        card = MyNumberCard(context.connect(found, timeout_s=timeout_s))
        try:
            yield card
        finally:
            card.close()
