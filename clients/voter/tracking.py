"""What became of a device's ballots, judged by what the box is proven to hold.

A key's ballots are numbered without a gap, so the box's last number tells a device everything: a
ballot of its own that is missing, and one that somebody else made with its key.

Spec: VOTE-TRACK, VOTE-FOREIGN, RECEIPT-BALLOT.
"""

from dataclasses import dataclass
from enum import StrEnum

from clients.voter.box import Standing
from clients.voter.record import DeviceRecord, SentBallot


class Progress(StrEnum):
    """Where one ballot stands."""

    WAITING = "waiting"
    """Sent, not in the box, and no deadline has passed."""
    COUNTS = "counts"
    """The last ballot of its key: the one that counts if the key is on the roll."""
    SUPERSEDED = "superseded"
    """In the box, with a later one of the key after it."""
    SUPPRESSED = "suppressed"
    """A relay promised it by a height that is past, and the box does not hold it."""
    DISPLACED = "displaced"
    """The box holds another ballot of the key under its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """One ballot and where it stands."""

    ballot: SentBallot
    """As sent."""
    progress: Progress
    """Where it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """All of a device's ballots at one height."""

    ballots: tuple[Tracked, ...]
    """Ascending by number."""
    foreign_count: int
    """Ballots of the key above all that this device sent: somebody else has the key."""
    is_withdrawn: bool
    """The box took the key out."""
    next_sequence: int
    """Number that the next ballot must have."""

    @property
    def is_alarming(self) -> bool:
        """Tell whether something happened that the voter must be shown."""
        bad = (Progress.SUPPRESSED, Progress.DISPLACED)
        return self.foreign_count > 0 or any(each.progress in bad for each in self.ballots)


def track(record: DeviceRecord, standing: Standing, *, height: int) -> Tracking:
    """Judge a device's ballots by its key's standing at ``height``.

    Spec: VOTE-TRACK, VOTE-FOREIGN.
    """
    tracked = tuple(
        Tracked(ballot=sent, progress=_judge(sent, standing, height)) for sent in record.ballots
    )
    last_sent = max((sent.sequence for sent in record.ballots), default=0)
    waiting = [each for each in tracked if each.progress is Progress.WAITING]
    last_waiting = max((each.ballot.sequence for each in waiting), default=0)
    return Tracking(
        ballots=tracked,
        foreign_count=max(0, standing.sequence - last_sent),
        is_withdrawn=standing.is_withdrawn,
        next_sequence=max(standing.sequence, last_waiting) + 1,
    )


def _judge(sent: SentBallot, standing: Standing, height: int) -> Progress:
    if sent.sequence < standing.sequence:
        return Progress.SUPERSEDED
    if sent.sequence == standing.sequence:
        return Progress.COUNTS if sent.hash == standing.digest else Progress.DISPLACED
    if any(receipt.deadline < height for receipt in sent.receipts):
        return Progress.SUPPRESSED
    return Progress.WAITING
