"""Publication: an officer hands the manifest in, so that every municipality's service has it.

A manifest is taken before it is announced: files of the other services are fetched under the
election's id, and whoever fetches computes it again. What a manifest says is checked by every
municipality before it votes (`commands`).

Spec: ELECTION-ID, ELECTION-PUBLISH.
"""

from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Final

from pydantic import StringConstraints

from clients.voting.manifest import MANIFEST_SIZE_MAX, Manifest, decode_manifest
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput
from node.primitives.merkle import compute_root
from services.election.board.refs import eligible_ref, manifest_ref, transcript_ref
from services.election.parts import Context, Part
from services.election.publication.incident_operations import IncidentOperations
from services.election.publication.incidents import IncidentLog
from services.election.publication.pages import bulletin_pages
from services.kit.audit import AuditEntry, record
from services.kit.documents import Document
from services.kit.operations import Call, operation
from services.kit.problems import Refusal
from services.kit.reads import reference_of, role_of
from services.kit.supervision import BackgroundTask

MIGRATIONS: Path | None = Path(__file__).parent / "migrations"

REPEAT_POLL_S: Final = 30.0
"""Pause between two looks for posts that failed."""

OFFICER = "election-officer"
LEAF_SIZE = 32

_HEX = r"^([0-9a-f]{2})*$"


class NewManifest(Document):
    """A manifest, and the eligible list it names."""

    manifest: Annotated[str, StringConstraints(pattern=_HEX, max_length=2 * MANIFEST_SIZE_MAX)]
    eligible: Annotated[str, StringConstraints(pattern=_HEX, max_length=128 * 1024 * 1024)]


class TakenManifest(Document):
    """The election's id."""

    eid: str


class ManifestRefused(Refusal):
    """A manifest, or its eligible list, that does not hold together."""

    code = "election.manifest_refused"
    status = HTTPStatus.UNPROCESSABLE_ENTITY


class Publication:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        """Hold what they need."""
        self._context = context

    @operation(
        "POST",
        "/manifests",
        purpose="election.publish",
        roles=[OFFICER],
        authentication_level=2,
        request=NewManifest,
        response=TakenManifest,
        refusals=[ManifestRefused],
    )
    async def publish_manifest(self, call: Call[NewManifest, None]) -> TakenManifest:
        """Take a manifest and its eligible list, for this service and those that ask it."""
        manifest = _read_manifest(bytes.fromhex(call.body.manifest))
        eligible = bytes.fromhex(call.body.eligible)
        check_eligible(manifest, eligible)
        eid, library = manifest.eid, self._context.library
        await library.keep(manifest_ref(eid), manifest.encode())
        await library.keep(eligible_ref(eid, manifest), eligible)
        for digest, is_roll in (
            (manifest.ballot_transcript, False),
            (manifest.roll_transcript, True),
        ):
            ref = transcript_ref(eid, bytes.fromhex(digest), is_roll=is_roll)
            if await library.read(ref) is None:
                raise ManifestRefused("transcript: no service has it", rule="ELECTION-PUBLISH")
        entry = AuditEntry(
            tenant=call.tenant,
            time=call.at,
            actor=reference_of(call.caller),
            role=role_of(call.caller),
            purpose=call.purpose,
            action="manifest.taken",
            subject=eid.hex(),
            detail=manifest.draft_id,
        )
        await self._context.resources.database.transact(lambda tx: record(tx, entry))
        return TakenManifest(eid=eid.hex())


def _read_manifest(data: bytes) -> Manifest:
    try:
        return decode_manifest(data)
    except InvalidInput as error:
        raise ManifestRefused(error.message, rule="ELECTION-MANIFEST") from error


def check_eligible(manifest: Manifest, data: bytes) -> None:
    """Check that a list of eligible leaves is the manifest's.

    Raises:
        ManifestRefused: Another digest, size or root.

    Spec: ELECTION-PUBLISH.
    """
    leaves = [data[at : at + LEAF_SIZE] for at in range(0, len(data), LEAF_SIZE)]
    eligible = manifest.eligible
    if (
        len(data) != LEAF_SIZE * eligible.size
        or sha256(data).hex() != eligible.file_digest
        or compute_root(leaves).hex() != eligible.root
        or leaves != sorted(leaves)
    ):
        raise ManifestRefused("eligible list: not the manifest's", rule="ELECTION-PUBLISH")


def build_part(context: Context) -> Part | None:
    """Return what everyone's service publishes."""
    log = IncidentLog(context)

    async def repeat() -> None:
        while True:
            await log.repeat_failed()
            await context.resources.clock.sleep(REPEAT_POLL_S)

    return Part(
        sources=(Publication(context), IncidentOperations(context, log)),
        tasks=(BackgroundTask(name="incidents", run=repeat),),
        pages=bulletin_pages(context),
    )
