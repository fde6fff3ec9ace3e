"""What every resident's command receives: a folder, a language, and how to print."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from clients.cli.home import Home
from clients.cli.texts import Language, say


class Output(Protocol):
    """How `daicho` prints, as its global options asked; handed down in the context."""

    @property
    def is_json(self) -> bool:
        """Tell whether a program reads."""
        ...

    def result(self, record: Mapping[str, object], *, title: str | None = None) -> None:
        """Print one record."""
        ...

    def rows(self, rows: Sequence[Mapping[str, object]], *, empty: str = "none") -> None:
        """Print records of one shape."""
        ...

    def say(self, text: str) -> None:
        """Tell a person something beside the result."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What every command of the group receives."""

    home: Home
    """The resident's folder."""
    language: Language
    """What to speak."""
    output: Output
    """Where results go."""

    def say(self, name: str, **values: object) -> str:
        """Return a sentence in the resident's language."""
        return say(name, self.language, **values)
