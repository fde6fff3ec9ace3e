"""The published record of an election, written as a directory that auditors read.

Everything in it comes from final blocks and from files whose digests stand on the ledger. It is
written into a folder of its own and ``record.json`` last, so a folder with that file is whole.
"""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from clients.voting.manifest import decode_manifest
from clients.voting.terms import TERM_NAMES
from node.primitives.canonical import encode_canonical
from node.primitives.errors import InvalidInput, Misconfigured
from services.election.board.ballots_file import encode_withdrawals, write_ballots
from services.election.board.files import FileRef
from services.election.board.refs import expected_files, kind_word, manifest_ref
from services.election.board.state import ElectionState, Round, TallyList
from services.election.parts import Context

VERSION: Final = 1
CHUNK_SIZE: Final = 1024 * 1024


class RecordIncomplete(InvalidInput):
    """A file of the record that no service has at the moment."""

    code = "election.record_incomplete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A record that was written."""

    eid: bytes
    height: int
    file_count: int
    missing: tuple[str, ...]
    """Paths of restricted files left out, or of files that nobody has."""


async def export_record(
    context: Context, eid: bytes, directory: Path, *, is_restricted: bool = False
) -> Exported:
    """Write the record of an election as it stands at the last final block.

    Args:
        context: The service.
        eid: The election.
        directory: Folder to be made; it must not exist.
        is_restricted: Write restricted files too, for accredited auditors.

    Raises:
        Misconfigured: The folder exists, or there is no such election.
        RecordIncomplete: A public file cannot be had.
    """
    board = context.board
    async with board.database.read() as tx:
        state = await board.load_election(tx, eid)
        head = await board.load_head(tx)
    if state is None or head is None:
        raise Misconfigured(f"election {eid.hex()[:16]}: not announced on this ledger")
    await asyncio.to_thread(_make_folder, directory)
    missing = await _write_files(context, state, directory, is_restricted=is_restricted)
    await write_ballots(board, eid, directory / "ballots.bin")
    (directory / "withdrawals.bin").write_bytes(await encode_withdrawals(board, eid))
    chain = encode_canonical(chain_document(state, contracts=context.contracts.by_name))
    (directory / "chain.json").write_bytes(chain)
    files = await asyncio.to_thread(_list_files, directory)
    record = {
        "version": VERSION,
        "eid": eid.hex(),
        "chain_id": context.chain_id,
        "genesis_hash": context.genesis_hash.hex(),
        "height": head.height,
        "is_mock": state.terms.is_mock,
        "files": files,
    }
    _write_last(directory / "record.json", encode_canonical(record))
    return Exported(eid=eid, height=head.height, file_count=len(files), missing=missing)


def _make_folder(directory: Path) -> None:
    try:
        directory.mkdir(parents=True)
    except FileExistsError as error:
        raise Misconfigured(f"{directory}: exists; name another folder") from error


async def _write_files(
    context: Context, state: ElectionState, directory: Path, *, is_restricted: bool
) -> tuple[str, ...]:
    data = await context.library.read(manifest_ref(state.eid))
    if data is None:
        raise RecordIncomplete("manifest.json: no service has it; give it to this one")
    missing = []
    for ref in expected_files(state, decode_manifest(data)):
        if ref.is_restricted and not is_restricted:
            missing.append(ref.path)
        elif await context.library.read(ref) is not None:
            await asyncio.to_thread(_copy, context, ref, directory)
        elif _may_be_missing(state, ref):
            missing.append(ref.path)
        else:
            raise RecordIncomplete(f"{ref.path}: no service has it at the moment; try again later")
    return tuple(missing)


def _may_be_missing(state: ElectionState, ref: FileRef) -> bool:
    """Tell whether a record is whole without a file.

    Restricted files stay with those who may have them, the text of an incident may be withheld,
    and the files of a mix that was not taken may be nowhere.
    """
    is_incident = state.draft is not None and ref.subject == state.draft.draft_id
    return (
        ref.is_restricted
        or is_incident
        or any(
            ref.digest in (each.output, each.proof)
            for tally in state.lists.values()
            for each in tally.rounds
            if each.is_valid is False
        )
    )


def _copy(context: Context, ref: FileRef, directory: Path) -> None:
    target = directory / ref.path
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(context.files.path(ref.digest), target)


def _list_files(directory: Path) -> list[dict[str, Any]]:
    found = []
    for path in sorted(
        directory.rglob("*"), key=lambda each: each.relative_to(directory).as_posix().encode()
    ):
        if not path.is_file():
            continue
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_SIZE):
                digest.update(chunk)
        found.append(
            {
                "path": path.relative_to(directory).as_posix(),
                "size": path.stat().st_size,
                "sha256": digest.hexdigest(),
            }
        )
    return found


def _write_last(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def chain_document(state: ElectionState, *, contracts: Any) -> dict[str, Any]:
    """Return ``chain.json``: what the contracts say of an election."""
    box = state.box
    return {
        "version": VERSION,
        "contracts": {name: "0x" + address.hex() for name, address in contracts.items()},
        "terms": {name: _plain(getattr(state.terms, name)) for name in TERM_NAMES},
        "announced_height": state.announced_height,
        "batches": [
            {
                "number": each.number,
                "root": each.root.hex(),
                "entry_count": each.entry_count,
                "cancel_count": each.cancel_count,
                "height": each.height,
            }
            for each in state.batches
        ],
        "frozen": [
            {
                "style": each.style,
                "root": each.root.hex(),
                "count": each.count,
                "file_digest": each.file_digest.hex(),
                "height": each.height,
            }
            for each in sorted(state.frozen.values(), key=lambda each: each.style)
        ],
        "box": None
        if box is None
        else {"count": box.count, "value": box.value.hex(), "closed_height": box.closed_height},
        "lists": [_list_document(each) for each in _in_order(state.lists.values())],
        "results": [
            {
                "race": each.race,
                "is_mock": each.is_mock,
                "result": each.result.hex(),
                "numbers": [
                    int.from_bytes(each.numbers[at : at + 8], "big")
                    for at in range(0, len(each.numbers), 8)
                ],
                "height": each.height,
            }
            for each in sorted(state.results.values(), key=lambda each: each.race)
        ],
        "bulletin": [
            {
                "municipality": each.municipality,
                "step": each.step,
                "digest": each.digest.hex(),
                "height": each.height,
            }
            for each in (() if state.draft is None else state.draft.posts)
        ],
        "abandoned": None if state.abandoned is None else state.abandoned.hex(),
    }


def _in_order(lists: Iterable[TallyList]) -> list[TallyList]:
    return sorted(lists, key=lambda each: (kind_word(each.kind), each.number))


def _list_document(tally: TallyList) -> dict[str, Any]:
    return {
        "kind": kind_word(tally.kind),
        "number": tally.number,
        "row_count": tally.row_count,
        "digest": tally.start.hex(),
        "height": tally.height,
        "rounds": [_round_document(each) for each in tally.rounds],
        "shares": [
            {
                "trustee": each.trustee,
                "shares": each.shares.hex(),
                "proof": each.proof.hex(),
                "height": each.height,
            }
            for each in sorted(tally.shares, key=lambda each: each.trustee)
        ],
    }


def _round_document(each: Round) -> dict[str, Any]:
    return {
        "round": each.number,
        "mixer": each.mixer,
        "output": "" if each.output is None else each.output.hex(),
        "proof": "" if each.proof is None else each.proof.hex(),
        "is_valid": each.is_valid,
        "height": each.height,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value
