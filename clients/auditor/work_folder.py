"""Where an audit keeps how far it came, so that it can be continued after an interruption.

The folder holds what this program wrote itself; it is read back with care against damage, and it is
good only for the bundle whose digest it names: a bundle that changed is audited from its start.

Spec: AUDIT-RESUME.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from clients.auditor.chain_checks import CHAIN_CHECKS
from clients.auditor.checks import Outcome
from clients.auditor.execution import RangeTask
from clients.auditor.replay import ReplayState, load_state
from clients.auditor.report import outcome_of, outcome_record
from node.consensus.validators import StandingVote, ValidatorTally
from node.primitives.bundle import StateChunk, decode_record
from node.primitives.bundle_stream import read_item
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.header import Header, decode_header
from node.primitives.json_text import decode_json, is_list, is_object
from node.primitives.types import Address, Hash32, Height

PROGRESS_SIZE_MAX: Final = 256 * 1024 * 1024
"""Longest progress file read, in bytes; it holds counts for charts and every change of the set."""

_TABLE: Final = {check.name: check for check in CHAIN_CHECKS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far an audit came that executes block after block."""

    offset: int
    """First byte of the bundle not looked at yet."""
    digest: bytes
    """SHA-256 of every byte before it."""
    outcomes: tuple[Outcome, ...]
    """Answers so far."""
    parent: Header
    """Block before the next."""
    tally: ValidatorTally
    """Validators and votes after it."""
    sets: tuple[tuple[int, tuple[Address, ...]], ...]
    """Every set of validators so far, by the height it began at."""
    hashes: tuple[tuple[int, Hash32], ...]
    """Hashes of the newest blocks."""
    applied: tuple[Hash32, ...]
    """Recovery documents applied."""
    counts: Mapping[str, int]
    """Blocks and transactions so far, and the last height."""
    states: tuple[int, ...]
    """Heights of the states so far."""
    sums: Mapping[str, Mapping[int, int]]
    """Figures for charts, by name and bucket."""
    checkpoints: tuple[int, ...]
    """Heights of the checkpoints met."""
    base: Header | None
    """What a range that begins later stands on."""
    state: ReplayState | None
    """The state after ``parent``; None when it is not known."""


class WorkFolder:
    """A folder of progress; or none, and then nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        """Keep progress at ``path``."""
        self.path = path

    def open(self) -> None:
        """Make the folder.

        Raises:
            Misconfigured: It cannot be made.
        """
        if self.path is None:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(
                f"{self.path}: cannot be made ({error.strerror}); choose another folder"
            ) from error

    # Ranges

    def load(self, task: RangeTask) -> tuple[Outcome, ...] | None:
        """Return the answers of a range executed earlier, or None.

        Spec: AUDIT-RESUME.
        """
        if self.path is None:
            return None
        return _read_outcomes(self.path / f"range-{task.key}.json")

    def save(self, task: RangeTask, outcomes: tuple[Outcome, ...]) -> None:
        """Keep the answers of a range."""
        if self.path is None:
            return
        record = {"outcomes": [outcome_record(each) for each in outcomes]}
        _write(self.path / f"range-{task.key}.json", json.dumps(record).encode())

    # Standing

    def save_standing(self, standing: Standing) -> None:
        """Keep how far the audit came; what was kept before stays until this is whole.

        Spec: AUDIT-RESUME.
        """
        if self.path is None:
            return
        state_name = None
        if standing.state is not None:
            state_name = f"state-{standing.parent.height}.rlp"
            _write_chunks(self.path / state_name, standing.state.chunks())
        _write(self.path / "progress.json", json.dumps(_record_of(standing, state_name)).encode())
        for old in self.path.glob("state-*.rlp"):
            if old.name != state_name:
                old.unlink()

    def load_standing(self) -> Standing | None:
        """Return how far the audit came, or None when it must begin.

        Spec: AUDIT-RESUME.
        """
        if self.path is None or not (self.path / "progress.json").exists():
            return None
        try:
            with (self.path / "progress.json").open("rb") as file:
                record = decode_json(file.read(PROGRESS_SIZE_MAX))
            return _standing_of(record, self.path)
        except (InvalidInput, OSError, KeyError, TypeError, ValueError):
            return None

    def clear(self) -> None:
        """Remove what was kept: the audit is done, or begins anew."""
        if self.path is None:
            return
        for pattern in ("progress.json", "state-*.rlp", "range-*.json", "*.partial"):
            for old in self.path.glob(pattern):
                old.unlink()


def _record_of(standing: Standing, state_name: str | None) -> dict[str, object]:
    tally = standing.tally
    return {
        "offset": standing.offset,
        "digest": standing.digest.hex(),
        "outcomes": [outcome_record(each) for each in standing.outcomes],
        "parent": standing.parent.encode().hex(),
        "tally": {
            "height": tally.height,
            "validators": [each.hex() for each in tally.validators],
            "votes": [[v.voter.hex(), v.recipient.hex(), v.is_add] for v in tally.votes],
        },
        "sets": [[height, [each.hex() for each in members]] for height, members in standing.sets],
        "hashes": [[height, each.hex()] for height, each in standing.hashes],
        "applied": [each.hex() for each in standing.applied],
        "counts": dict(standing.counts),
        "states": list(standing.states),
        "sums": {name: list(each.items()) for name, each in standing.sums.items()},
        "checkpoints": list(standing.checkpoints),
        "base": None if standing.base is None else standing.base.encode().hex(),
        "state": state_name,
    }


def _standing_of(record: object, folder: Path) -> Standing:
    """Return what a progress file says.

    Raises:
        InvalidInput: It is damaged, or the state beside it is.
    """
    if not is_object(record):
        raise InvalidInput("progress: expected an object")
    parent = _header(record["parent"])
    state = None
    if record["state"] is not None:
        name = Path(str(record["state"])).name
        state = load_state(_read_chunks(folder / name), parent.height)
        if state.root != parent.state_root:
            raise InvalidInput("progress: the state is not that of its block")
    tally, counts, sums = record["tally"], record["counts"], record["sums"]
    if not is_object(tally) or not is_object(counts) or not is_object(sums):
        raise InvalidInput("progress: expected objects")
    return Standing(
        offset=_int(record["offset"]),
        digest=bytes.fromhex(str(record["digest"])),
        outcomes=tuple(outcome_of(each, _TABLE) for each in _list(record["outcomes"])),
        parent=parent,
        tally=ValidatorTally(
            height=Height(_int(tally["height"])),
            validators=_addresses(tally["validators"]),
            votes=tuple(_vote_of(_list(each)) for each in _list(tally["votes"])),
        ),
        sets=tuple(_set_of(_list(each)) for each in _list(record["sets"])),
        hashes=tuple(_hash_of(_list(each)) for each in _list(record["hashes"])),
        applied=tuple(Hash32(bytes.fromhex(str(each))) for each in _list(record["applied"])),
        counts={name: _int(value) for name, value in counts.items()},
        states=tuple(_int(each) for each in _list(record["states"])),
        sums={name: _pairs(value) for name, value in sums.items()},
        checkpoints=tuple(_int(each) for each in _list(record["checkpoints"])),
        base=None if record["base"] is None else _header(record["base"]),
        state=state,
    )


def _vote_of(parts: list[object]) -> StandingVote:
    voter, recipient, is_add = parts
    return StandingVote(voter=_address(voter), recipient=_address(recipient), is_add=bool(is_add))


def _set_of(parts: list[object]) -> tuple[int, tuple[Address, ...]]:
    height, members = parts
    return _int(height), _addresses(members)


def _hash_of(parts: list[object]) -> tuple[int, Hash32]:
    height, digest = parts
    return _int(height), Hash32(bytes.fromhex(str(digest)))


def _pairs(value: object) -> dict[int, int]:
    return {_int(_list(pair)[0]): _int(_list(pair)[1]) for pair in _list(value)}


def _header(value: object) -> Header:
    return decode_header(bytes.fromhex(str(value)))


def _int(value: object) -> int:
    return int(str(value))


def _addresses(value: object) -> tuple[Address, ...]:
    return tuple(_address(each) for each in _list(value))


def _address(value: object) -> Address:
    return Address(bytes.fromhex(str(value)))


def _list(value: object) -> list[object]:
    if not is_list(value):
        raise InvalidInput("progress: expected a list")
    return value


def _read_outcomes(path: Path) -> tuple[Outcome, ...] | None:
    try:
        record = decode_json(path.read_bytes())
        if not is_object(record):
            return None
        return tuple(outcome_of(each, _TABLE) for each in _list(record.get("outcomes")))
    except (InvalidInput, OSError):
        return None


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".partial")
    draft.write_bytes(data)
    draft.replace(path)


def _write_chunks(path: Path, chunks: Iterable[StateChunk]) -> None:
    draft = path.with_name(path.name + ".partial")
    with draft.open("wb") as file:
        for chunk in chunks:
            file.write(chunk.encode())
    draft.replace(path)


def _read_chunks(path: Path) -> Iterable[bytes]:
    with path.open("rb") as file:
        while (data := read_item(file, file.tell())) is not None:
            record = decode_record(data)
            if isinstance(record, StateChunk):
                yield record.entries
