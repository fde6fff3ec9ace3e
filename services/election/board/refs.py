"""The files an election has: which there must be by now, and how each is told from any other."""

from collections.abc import Iterator
from typing import Final

from clients.voting.ceremony import MESSAGE_SIZE_MAX, TRANSCRIPT_SIZE_MAX
from clients.voting.ciphertexts import ListKind
from clients.voting.manifest import MANIFEST_SIZE_MAX, Manifest
from clients.voting.shuffle_proof import ROW_SIZE
from node.primitives.crypto import sha256
from services.election.board.files import (
    POINT_SIZE,
    FileRef,
    batch_digest,
    list_digester,
    manifest_digest,
    shares_digester,
)
from services.election.board.state import DraftState, ElectionState, TallyList

PROOF_HEAD_MAX: Final = 1_024
"""Bytes of a shuffle proof besides its rows, with room."""

SHARE_PROOF_SIZE: Final = 98
INCIDENT_SIZE_MAX: Final = 16_384
HASH_SIZE: Final = 32


def message_ref(draft_id: bytes, digest: bytes) -> FileRef:
    """Name a trustee's message of a ceremony."""
    return FileRef(
        subject=draft_id, digest=digest, digester=sha256, path="", size_max=MESSAGE_SIZE_MAX
    )


def transcript_ref(subject: bytes, digest: bytes, *, is_roll: bool) -> FileRef:
    """Name the transcript of a key generation, under its draft or its election."""
    return FileRef(
        subject=subject,
        digest=digest,
        digester=sha256,
        path="dkg/roll.json" if is_roll else "dkg/ballot.json",
        size_max=TRANSCRIPT_SIZE_MAX,
    )


def manifest_ref(eid: bytes) -> FileRef:
    """Name an election's manifest."""
    return FileRef(
        subject=eid,
        digest=eid,
        digester=manifest_digest,
        path="manifest.json",
        size_max=MANIFEST_SIZE_MAX,
    )


def eligible_ref(eid: bytes, manifest: Manifest) -> FileRef:
    """Name the list of eligible slots."""
    return FileRef(
        subject=eid,
        digest=bytes.fromhex(manifest.eligible.file_digest),
        digester=sha256,
        path="eligible.bin",
        size_max=HASH_SIZE * manifest.eligible.size,
    )


def incident_ref(draft_id: bytes, municipality: int, number: int, digest: bytes) -> FileRef:
    """Name an incident of a municipality, which belongs to the draft.

    Spec: ELECTION-INCIDENT.
    """
    return FileRef(
        subject=draft_id,
        digest=digest,
        digester=sha256,
        path=f"incidents/{municipality}-{number}.json",
        size_max=INCIDENT_SIZE_MAX,
    )


def incidents_of(draft: DraftState) -> Iterator[FileRef]:
    """Yield every incident that stands on the ledger; a text may be withheld."""
    for post, number in draft.incidents:
        yield incident_ref(draft.draft_id, post.municipality, number, post.digest)


def active_ref(state: ElectionState, style: int) -> FileRef:
    """Name the active entries of a frozen style."""
    frozen = state.frozen[style]
    return FileRef(
        subject=state.eid,
        digest=frozen.file_digest,
        digester=sha256,
        path=f"roll/active-{style}.bin",
        size_max=HASH_SIZE * frozen.count,
    )


def batch_ref(state: ElectionState, number: int) -> FileRef:
    """Name a batch of the sealed roll."""
    batch = next(each for each in state.batches if each.number == number)
    return FileRef(
        subject=state.eid,
        digest=batch.root,
        digester=batch_digest,
        path=f"roll/batch-{number}.bin",
        size_max=8 + 100 * batch.entry_count + HASH_SIZE * batch.cancel_count,
        is_restricted=True,
    )


def list_ref(
    eid: bytes, kind: ListKind, number: int, *, round_: int, digest: bytes, row_count: int
) -> FileRef:
    """Name a list: round 0 is the start, round r the output of that round."""
    return FileRef(
        subject=eid,
        digest=digest,
        digester=list_digester(eid, kind, number),
        path=f"lists/{kind_word(kind)}-{number}-{round_}.bin",
        size_max=2 * POINT_SIZE * row_count,
        is_restricted=kind is ListKind.ROLL and round_ == 0,
    )


def proof_ref(
    eid: bytes, kind: ListKind, number: int, *, round_: int, digest: bytes, row_count: int
) -> FileRef:
    """Name the proof of a mix."""
    return FileRef(
        subject=eid,
        digest=digest,
        digester=sha256,
        path=f"mixes/{kind_word(kind)}-{number}-{round_}.bin",
        size_max=PROOF_HEAD_MAX + ROW_SIZE * row_count,
    )


def shares_ref(
    eid: bytes, kind: ListKind, number: int, *, trustee: int, digest: bytes, row_count: int
) -> FileRef:
    """Name a trustee's decryption shares."""
    return FileRef(
        subject=eid,
        digest=digest,
        digester=shares_digester(eid, kind, number, trustee),
        path=f"shares/{kind_word(kind)}-{number}-{trustee}.bin",
        size_max=POINT_SIZE * row_count,
    )


def share_proof_ref(
    eid: bytes, kind: ListKind, number: int, *, trustee: int, digest: bytes
) -> FileRef:
    """Name the proof of a trustee's shares."""
    return FileRef(
        subject=eid,
        digest=digest,
        digester=sha256,
        path=f"shares/{kind_word(kind)}-{number}-{trustee}.proof",
        size_max=SHARE_PROOF_SIZE,
    )


def kind_word(kind: ListKind) -> str:
    """Return the word for a kind of list in paths."""
    return "roll" if kind is ListKind.ROLL else "ballots"


def last_list_ref(state: ElectionState, tally: TallyList) -> FileRef:
    """Name the last valid list, which is mixed next or decrypted."""
    valid = [each for each in tally.rounds if each.is_valid and each.output]
    return list_ref(
        state.eid,
        tally.kind,
        tally.number,
        round_=valid[-1].number if valid else 0,
        digest=tally.digest,
        row_count=tally.row_count,
    )


def files_of_list(state: ElectionState, tally: TallyList) -> Iterator[FileRef]:
    """Yield every file that stands on the ledger for a list."""
    at = (state.eid, tally.kind, tally.number)
    rows = tally.row_count
    yield list_ref(*at, round_=0, digest=tally.start, row_count=rows)
    for each in tally.rounds:
        if each.output is not None and each.proof is not None:
            yield list_ref(*at, round_=each.number, digest=each.output, row_count=rows)
            yield proof_ref(*at, round_=each.number, digest=each.proof, row_count=rows)
    for share in tally.shares:
        yield shares_ref(*at, trustee=share.trustee, digest=share.shares, row_count=rows)
        yield share_proof_ref(*at, trustee=share.trustee, digest=share.proof)


def expected_files(state: ElectionState, manifest: Manifest | None) -> Iterator[FileRef]:
    """Yield every file that there must be by now; the manifest first."""
    yield manifest_ref(state.eid)
    if manifest is not None:
        yield eligible_ref(state.eid, manifest)
        for digest, is_roll in (
            (manifest.ballot_transcript, False),
            (manifest.roll_transcript, True),
        ):
            yield transcript_ref(state.eid, bytes.fromhex(digest), is_roll=is_roll)
    for style, frozen in state.frozen.items():
        if frozen.count:
            yield active_ref(state, style)
    for batch in state.batches:
        yield batch_ref(state, batch.number)
    for tally in state.lists.values():
        yield from files_of_list(state, tally)
    if state.draft is not None:
        yield from incidents_of(state.draft)
