"""The key ceremony, unattended: a trustee looks at the bulletin and does its next step.

Every step is a function of the bulletin, the files behind it and the custodian's answers, so it may
be repeated and the process killed anywhere. Whoever breaks the protocol ends the run and is named;
who is silent is waited for, and shown as missing.

Spec: DKG-BULLETIN, DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from pydantic import BaseModel
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.voting.ceremony import (
    COMMIT,
    COMPLAINTS,
    CONFIRM,
    REGISTER,
    REHEARSE,
    REVEAL,
    SHARES,
    ComplaintsMessage,
    ConfirmMessage,
    MessagePart,
    Messages,
    RegisterMessage,
    RehearsalMessage,
    RevealMessage,
    SharesMessage,
    build_transcript,
    check_addressees,
    check_transcript,
    decode_message,
    encode_message,
    find_guilty,
    step_number,
)
from clients.voting.dkg import (
    InvalidDealing,
    KeyGeneration,
    KeyPurpose,
    check_reveal,
    derive_public,
    is_confirmed,
)
from clients.voting.group import Point
from clients.voting.rehearsal import check_rehearsal
from node.log import Log
from node.primitives.canonical import encode_canonical
from node.primitives.crypto import sha256
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json
from services.election.board.contracts import encode_call
from services.election.board.library import Library
from services.election.board.refs import message_ref, transcript_ref
from services.election.board.state import DraftState
from services.election.parts import Context
from services.election.trustee.acts import Act, Acts
from services.election.trustee.custodian import Custodian
from services.election.trustee.tables import CEREMONIES

MEMBERS_MAX: Final = 64

_log = Log("election-ceremony")

Message = TypeVar("Message", bound=MessagePart)


class UnknownDraft(Misconfigured):
    """A draft that this municipality did not join, or that the ledger does not have."""

    code = "election.unknown_draft"


class CannotJoin(InvalidInput):
    """A draft joined otherwise before, or by a municipality that is not among its trustees."""

    code = "election.cannot_join"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """A draft that this municipality joined."""

    draft_id: bytes
    threshold: int
    members: tuple[int, ...]
    """The trustees' municipalities, in order."""
    fault: str | None = None
    """Why the run ended."""
    guilty: int | None = None
    """Place of whoever is at fault, from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyStatus:
    """Where a ceremony stands, for people."""

    ceremony: Ceremony
    waits_for: tuple[str, ...] = ()
    """What is missing, as ``13 of 2``: step and municipality."""
    transcripts: Mapping[KeyPurpose, bytes] = field(default_factory=dict)
    """Digests of the finished transcripts."""

    @property
    def is_done(self) -> bool:
        """Tell whether both keys are made and rehearsed."""
        return len(self.transcripts) == len(KeyPurpose)


class _Waiting(Exception):
    def __init__(self, missing: tuple[str, ...]) -> None:
        super().__init__()
        self.missing = missing


async def join_draft(tx: AsyncConnection, context: Context, ceremony: Ceremony) -> None:
    """Take part in making the keys of a draft.

    Raises:
        CannotJoin: This municipality is not among the trustees, or joined with others before.
    """
    members, me = ceremony.members, context.settings.municipality.id
    if me not in members or len(set(members)) != len(members) or len(members) > MEMBERS_MAX:
        raise CannotJoin("the trustees are not distinct municipalities with this one among them")
    if not 1 <= ceremony.threshold <= len(members):
        raise CannotJoin("the threshold is not between 1 and the number of trustees")
    known = await load_ceremony(tx, context, ceremony.draft_id)
    if known is not None:
        if (known.members, known.threshold) != (members, ceremony.threshold):
            raise CannotJoin("this draft was joined with other trustees; make a new draft")
        return
    await tx.execute(
        insert(CEREMONIES).values(
            tenant=context.tenant,
            draft_id=ceremony.draft_id,
            threshold=ceremony.threshold,
            members=encode_canonical({"members": list(members)}).decode(),
        )
    )


async def load_ceremony(tx: AsyncConnection, context: Context, draft_id: bytes) -> Ceremony | None:
    """Return a draft that was joined."""
    query = select(CEREMONIES).where(
        CEREMONIES.c.tenant == context.tenant, CEREMONIES.c.draft_id == draft_id
    )
    row = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    document = decode_json(row.members.encode())
    assert isinstance(document, dict)
    return Ceremony(
        draft_id=draft_id,
        threshold=row.threshold,
        members=tuple(document["members"]),
        fault=row.fault,
        guilty=row.guilty,
    )


async def list_ceremonies(tx: AsyncConnection, context: Context) -> tuple[bytes, ...]:
    """Return the drafts that were joined and have not ended with a fault."""
    query = select(CEREMONIES.c.draft_id).where(
        CEREMONIES.c.tenant == context.tenant, CEREMONIES.c.fault.is_(None)
    )
    return tuple(bytes(each) for each in (await tx.execute(query)).scalars())


@dataclass(frozen=True, slots=True, kw_only=True)
class CeremonyParts:
    """What the steps need."""

    context: Context
    library: Library
    custodian: Custodian
    acts: Acts
    node: Point
    """The municipality's node key."""


class CeremonyWorker:
    """Does this trustee's steps."""

    def __init__(self, parts: CeremonyParts) -> None:
        """Hold what is needed."""
        self._parts = parts
        self._context = parts.context
        self._last: dict[bytes, CeremonyStatus] = {}

    async def look(self, draft_id: bytes) -> CeremonyStatus:
        """Return where a ceremony stood when it was last advanced; nothing is done.

        Raises:
            UnknownDraft: It was not joined.
        """
        if draft_id in self._last:
            return self._last[draft_id]
        async with self._context.board.database.read() as tx:
            ceremony = await load_ceremony(tx, self._context, draft_id)
        if ceremony is None:
            raise UnknownDraft(f"draft {draft_id.hex()[:16]}: not joined")
        return CeremonyStatus(ceremony=ceremony)

    async def advance(self, draft_id: bytes) -> CeremonyStatus:
        """Do what is this trustee's to do next; return where the ceremony stands.

        A finished ceremony is not gone through again.

        Raises:
            UnknownDraft: It was not joined, or the ledger does not have it yet.
            CustodianRefused: The custodian does not go along.
        """
        last = self._last.get(draft_id)
        if last is None or not last.is_done:
            self._last[draft_id] = await self._advance(draft_id)
        return self._last[draft_id]

    async def _advance(self, draft_id: bytes) -> CeremonyStatus:
        board = self._context.board
        async with board.database.read() as tx:
            ceremony = await load_ceremony(tx, self._context, draft_id)
            draft = await board.load_draft(tx, draft_id)
        if ceremony is None or draft is None:
            raise UnknownDraft(f"draft {draft_id.hex()[:16]}: not joined, or not on the ledger")
        if ceremony.fault is not None:
            return CeremonyStatus(ceremony=ceremony)
        step = _Step(self._parts, ceremony, draft)
        try:
            registrations = await step.register()
        except _Waiting as waiting:
            return CeremonyStatus(ceremony=ceremony, waits_for=waiting.missing)
        except InvalidDealing as error:
            return await self._end(ceremony, error)
        transcripts: dict[KeyPurpose, bytes] = {}
        missing: list[str] = []
        for purpose in KeyPurpose:
            run = KeyGeneration(
                chain_id=self._context.chain_id,
                registry=self._context.contracts.elections,
                draft_id=draft_id,
                purpose=purpose,
                threshold=ceremony.threshold,
                trustees=tuple(registrations[at].trustee() for at in sorted(registrations)),
            )
            try:
                transcripts[purpose] = await step.make_key(run, registrations)
            except _Waiting as waiting:
                missing += waiting.missing
            except InvalidDealing as error:
                return await self._end(ceremony, error)
        return CeremonyStatus(ceremony=ceremony, waits_for=tuple(missing), transcripts=transcripts)

    async def _end(self, ceremony: Ceremony, error: InvalidDealing) -> CeremonyStatus:
        guilty = error.values.get("dealer")
        place = guilty if isinstance(guilty, int) else None
        _log.error("a ceremony ends", draft=ceremony.draft_id.hex()[:16], guilty=place)

        async def note(tx: AsyncConnection) -> None:
            await tx.execute(
                update(CEREMONIES)
                .where(
                    CEREMONIES.c.tenant == self._context.tenant,
                    CEREMONIES.c.draft_id == ceremony.draft_id,
                )
                .values(fault=error.message[:500], guilty=place)
            )

        await self._context.resources.database.transact(note)
        return CeremonyStatus(ceremony=replace(ceremony, fault=error.message, guilty=place))


class _Step:
    """One look at a ceremony."""

    def __init__(self, parts: CeremonyParts, ceremony: Ceremony, draft: DraftState) -> None:
        self._parts = parts
        self._ceremony = ceremony
        self._draft = draft
        self._me = ceremony.members.index(parts.context.settings.municipality.id) + 1

    async def register(self) -> Mapping[int, RegisterMessage]:
        """Post the encryption key; return everyone's, checked."""
        context = self._parts.context
        registry = context.contracts.elections
        if self._is_due(REGISTER):
            message = await self._parts.custodian.register(
                self._draft.draft_id,
                chain_id=context.chain_id,
                registry=registry,
                node=self._parts.node,
            )
            await self._post(REGISTER, message)
        found = await self._gather(REGISTER, RegisterMessage)
        for place, each in found.items():
            with _blaming(place):
                each.check(chain_id=context.chain_id, registry=registry)
        return found

    async def make_key(
        self, run: KeyGeneration, registrations: Mapping[int, RegisterMessage]
    ) -> bytes:
        """Do the next step of one key; return the digest of its transcript at the end."""
        custodian, me = self._parts.custodian, self._me
        purpose = run.purpose
        commit_step = step_number(COMMIT, purpose)
        if self._is_due(commit_step):
            commitment = await custodian.commit(run, me)
            await self._post_digest(commit_step, commitment)
        commitments = self._digests(commit_step)

        reveals = await self._exchange(
            step_number(REVEAL, purpose), RevealMessage, lambda: custodian.reveal(run, me)
        )
        for place, each in reveals.items():
            with _blaming(place):
                check_reveal(run, place, each.reveal(), commitments[place])

        shares = await self._exchange(
            step_number(SHARES, purpose), SharesMessage, lambda: custodian.deal(run, me)
        )
        for place, dealt in shares.items():
            check_addressees(place, dealt.shares, len(run.trustees))

        complaints = await self._exchange(
            step_number(COMPLAINTS, purpose),
            ComplaintsMessage,
            lambda: custodian.receive(run, me, reveals, shares),
        )
        messages = Messages(
            run=run,
            municipality_ids=self._ceremony.members,
            registrations=registrations,
            commitments=commitments,
            reveals=reveals,
            shares=shares,
            complaints=complaints,
            confirmations={},
            rehearsals={},
        )
        await self._judge(messages)

        confirmations = await self._exchange(
            step_number(CONFIRM, purpose), ConfirmMessage, lambda: custodian.confirm(run, me)
        )
        key, share_keys = derive_public(
            {at: each.reveal() for at, each in reveals.items()}, len(run.trustees)
        )
        for place, confirmation in confirmations.items():
            if not is_confirmed(run, place, confirmation.proof(), key, share_keys):
                raise InvalidDealing(
                    f"trustee {place}: did not confirm its share", rule="DKG-DERIVE", dealer=place
                )
        rehearsals = await self._exchange(
            step_number(REHEARSE, purpose), RehearsalMessage, lambda: custodian.rehearse(run, me)
        )
        given = {at: each.share() for at, each in rehearsals.items()}
        check_rehearsal(run, key, share_keys, given)
        return await self._finish(
            replace(messages, confirmations=confirmations, rehearsals=rehearsals)
        )

    async def _judge(self, messages: Messages) -> None:
        """End the run if anyone complained, keeping the evidence."""
        transcript = build_transcript(messages)
        for complaint in transcript.complaints:
            data = transcript.encode()
            await self._keep_transcript(messages.run.purpose, data)
            guilty = find_guilty(transcript, complaint.dealer, complaint.recipient, complaint)
            what = "dealt a wrong share" if guilty == complaint.dealer else "complained falsely"
            raise InvalidDealing(f"trustee {guilty}: {what}", rule="DKG-COMPLAINT", dealer=guilty)

    async def _finish(self, messages: Messages) -> bytes:
        data = build_transcript(messages).encode()
        check_transcript(data)
        await self._keep_transcript(messages.run.purpose, data)
        return sha256(data)

    async def _keep_transcript(self, purpose: KeyPurpose, data: bytes) -> None:
        ref = transcript_ref(self._draft.draft_id, sha256(data), is_roll=purpose is KeyPurpose.ROLL)
        await self._parts.library.keep(ref, data)

    async def _exchange(
        self, step: int, kind: type[Message], make: Callable[[], Awaitable[Message]]
    ) -> dict[int, Message]:
        """Post this trustee's message of a step; return everyone's."""
        if self._is_due(step):
            await self._post(step, await make())
        return await self._gather(step, kind)

    def _is_due(self, step: int) -> bool:
        return self._draft.digest_of(self._ceremony.members[self._me - 1], step) is None

    async def _post(self, step: int, message: BaseModel) -> None:
        if not await self._parts.acts.is_due(self._draft.draft_id, f"post {step}"):
            return
        data = encode_message(message)
        digest = sha256(data)
        await self._parts.library.keep(message_ref(self._draft.draft_id, digest), data)
        await self._post_digest(step, digest)

    async def _post_digest(self, step: int, digest: bytes) -> None:
        draft_id, contracts = self._draft.draft_id, self._parts.context.contracts
        if await self._parts.acts.is_due(draft_id, f"post {step}"):
            await self._parts.acts.do(
                Act(
                    subject=draft_id,
                    name=f"post {step}",
                    contract=contracts.bulletin,
                    data=encode_call("Bulletin", "post", draft_id, step, digest),
                )
            )

    def _digests(self, step: int) -> dict[int, bytes]:
        """Return everyone's digests of a step; whoever has none is waited for."""
        found, missing = {}, []
        for place, municipality in enumerate(self._ceremony.members, 1):
            digest = self._draft.digest_of(municipality, step)
            if digest is None:
                missing.append(f"{step} of {municipality}")
            else:
                found[place] = digest
        if missing:
            raise _Waiting(tuple(missing))
        return found

    async def _gather(self, step: int, kind: type[Message]) -> dict[int, Message]:
        """Return everyone's messages of a step; whose file cannot be had is waited for."""
        found: dict[int, Message] = {}
        missing = []
        for place, digest in self._digests(step).items():
            municipality = self._ceremony.members[place - 1]
            ref = message_ref(self._draft.draft_id, digest)
            data = await self._parts.library.read(ref, first=municipality)
            if data is None:
                missing.append(f"file {step} of {municipality}")
                continue
            with _blaming(place):
                found[place] = decode_message(kind, data)
        if missing:
            raise _Waiting(tuple(missing))
        return found


@contextmanager
def _blaming(place: int) -> Iterator[None]:
    """Make whatever is wrong with a trustee's message that trustee's fault."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidDealing(
            f"trustee {place}: {error.message}", rule=error.rule, dealer=place
        ) from error
