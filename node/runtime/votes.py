"""The operator's pending validator votes: kept over restarts, handed to the core when they change.

Spec: QBFT-VOTE-TALLY.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from node.primitives.errors import InvalidInput, Misconfigured, Unavailable
from node.primitives.header import VALIDATOR_COUNT_MAX, ValidatorVote
from node.primitives.types import Address

VOTES_FILE: Final = "pending-votes.json"


class PendingVotes:
    """Votes this node will put into its own coming blocks."""

    def __init__(
        self, directory: Path, *, upon_change: Callable[[tuple[ValidatorVote, ...]], None]
    ) -> None:
        """Load what was pending before a restart.

        Raises:
            Misconfigured: The file is damaged.
        """
        self._path = directory / VOTES_FILE
        self._upon_change = upon_change
        self._lock = threading.Lock()
        self._votes = _load(self._path)

    def all(self) -> tuple[ValidatorVote, ...]:
        """Return the pending votes, oldest first."""
        return tuple(
            ValidatorVote(recipient=recipient, is_add=is_add)
            for recipient, is_add in self._votes.items()
        )

    def propose(self, recipient: Address, *, is_add: bool) -> None:
        """Vote about an address from our next block on; replaces a vote about the same one.

        Raises:
            InvalidInput: Too many votes are pending.
            Unavailable: The disk refused.
        """
        with self._lock:
            if len(self._votes) >= VALIDATOR_COUNT_MAX and recipient not in self._votes:
                raise InvalidInput(f"{VALIDATOR_COUNT_MAX} votes are pending; discard one first")
            self._change({**self._votes, recipient: is_add})

    def discard(self, recipient: Address) -> None:
        """Withdraw the vote about an address, if there is one.

        Raises:
            Unavailable: The disk refused.
        """
        with self._lock:
            self._change({at: add for at, add in self._votes.items() if at != recipient})

    def _change(self, votes: dict[Address, bool]) -> None:
        record = {f"0x{recipient.hex()}": is_add for recipient, is_add in votes.items()}
        draft = self._path.with_suffix(".new")
        try:
            draft.write_text(json.dumps(record) + "\n", encoding="ascii")
            draft.replace(self._path)
        except OSError as error:
            raise Unavailable(f"{self._path}: cannot be written ({error.strerror})") from error
        self._votes = votes
        self._upon_change(self.all())


def _load(path: Path) -> dict[Address, bool]:
    if not path.exists():
        return {}
    try:
        record = json.loads(path.read_text(encoding="ascii"))
        return {Address(bytes.fromhex(at[2:])): bool(is_add) for at, is_add in record.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise Misconfigured(f"{path}: damaged; delete it and propose the votes again") from error
