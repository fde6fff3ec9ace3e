"""An election told for people: what the printed report and the bulletin page both show. Pure.

Everything comes from the ledger and from files whose digests stand there, except the table of
enrolment and the counts of the commission's acts, which only the commission has. A choice, a name
of an elector and whatever joins a person to a ballot are in none of it.

Spec: ELECTION-ACCOUNT.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from clients.voting.manifest import Manifest
from services.election.board.state import ElectionState
from services.election.board.store import Head
from services.election.commission.turnout import TurnoutTable
from services.election.publication.incidents import ListedIncident
from services.kit.clock import JAPAN
from services.kit.messages import Catalogue, Language

FINGERPRINT_DIGITS: Final = 16
"""Hexadecimal digits of a key shown as its fingerprint, after the first byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActCount:
    """How often the commission did something."""

    kind: str
    """What."""
    count: int
    """How often."""
    first_s: int
    """When first."""
    last_s: int
    """When last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What an account is written from."""

    state: ElectionState
    """The election as the ledger has it."""
    manifest: Manifest
    """Its manifest."""
    head: Head
    """The last block read."""
    chain_id: int
    """The ledger."""
    genesis_hash: bytes
    """Its first block."""
    contracts: Mapping[str, bytes]
    """Addresses by name."""
    times: Mapping[int, int]
    """Times of blocks that hold something of it."""
    ballot_count: int
    """Ballots in the box."""
    refusals: Mapping[int, int]
    """Refused items by reason."""
    withdrawal_count: int
    """Keys withdrawn."""
    incidents: Sequence[ListedIncident]
    """What municipalities noted."""
    turnout: TurnoutTable | None = None
    """The commission's table."""
    acts: Sequence[ActCount] = ()
    """The commission's acts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A line: what, and its value."""

    name: str
    """What."""
    value: str
    """Its value."""
    is_digest: bool = False
    """A long row of digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table."""

    head: tuple[str, ...]
    """Names of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """The rows."""
    title: str = ""
    """What it shows."""
    numbers: frozenset[int] = frozenset()
    """Columns of numbers."""
    digests: frozenset[int] = frozenset()
    """Columns of long rows of digits."""
    shares: tuple[float, ...] = ()
    """Length of a bar for each row, from 0 to 1; none where empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A chapter."""

    anchor: str
    """Its name in links."""
    title: str
    """Its heading."""
    facts: tuple[Fact, ...] = ()
    """Lines."""
    sheets: tuple[Sheet, ...] = ()
    """Tables."""
    notes: tuple[str, ...] = ()
    """Sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The whole."""

    title: str
    """The election's."""
    kind: str
    """Mock or with effect."""
    banner: str
    """What must not be overlooked; empty when there is nothing."""
    as_of: str
    """Up to which block."""
    signatories: tuple[str, ...] = ()
    """Municipalities that sign the printed record."""
    sections: tuple[Section, ...] = field(default=())
    """The chapters."""


@dataclass(frozen=True, slots=True)
class Words:
    """Texts in one language."""

    catalogue: Catalogue
    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """Return a text of the account."""
        return self.catalogue.text(f"election.account.{key}", self.language, **values)

    def phase(self, phase: str) -> str:
        """Return the word for where an election stands."""
        return self.catalogue.text(f"election.phase.{phase}", self.language)

    def act(self, kind: str) -> str:
        """Return the word for an act of the commission."""
        return self.catalogue.text(f"election.act.{kind}", self.language)


def japan(time_s: int | None) -> str:
    """Return an instant as people in Japan read it; a dash for none."""
    return "—" if time_s is None else f"{datetime.fromtimestamp(time_s, JAPAN):%Y-%m-%d %H:%M}"


def fingerprint(key: str) -> str:
    """Return the digits of a compressed key by which people compare it, in groups of four."""
    digits = key[2 : 2 + FINGERPRINT_DIGITS]
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))
