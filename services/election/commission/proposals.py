"""What takes two officers: proposed by one, confirmed or refused by another, never by the same.

Cancel records other than PAPER, exports and the destruction of the restricted store. What is
proposed is sealed while it waits, because it names an elector or an auditor.

Spec: ROLL-TWO-PERSON.
"""

import secrets
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.primitives.canonical import encode_canonical
from node.primitives.json_text import decode_json
from services.election.commission.acts import Act, Actor, note_act
from services.election.commission.rolls import Roll
from services.election.commission.tables import PROPOSALS
from services.election.commission.vault import Vault
from services.kit.events import to_milliseconds
from services.kit.problems import Refusal

LISTED_MAX = 100


class ProposalKind(StrEnum):
    """What takes two officers."""

    CANCEL = "cancel"
    EXPORT = "export"
    DESTRUCTION = "destruction"


class ProposalMissing(Refusal):
    """No such proposal waits."""

    code = "election.proposal_missing"
    status = HTTPStatus.NOT_FOUND


class SameOfficer(Refusal):
    """Who proposed may not decide."""

    code = "election.same_officer"
    status = HTTPStatus.FORBIDDEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What waits for a second officer."""

    id: str
    """Its id."""
    draft: bytes
    """The roll it is about."""
    kind: ProposalKind
    """What is to be done."""
    proposed_by: str
    """By whom."""
    body: dict[str, Any]
    """The rest; names persons."""

    def __repr__(self) -> str:
        """Hide the body."""
        return f"Proposal({self.kind})"


async def propose(
    tx: AsyncConnection,
    roll: Roll,
    kind: ProposalKind,
    body: dict[str, object],
    vault: Vault,
    *,
    actor: Actor,
) -> str:
    """Put something up for a second officer; return its id."""
    proposal_id = secrets.token_hex(16)
    await tx.execute(
        insert(PROPOSALS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            id=proposal_id,
            kind=kind.value,
            state="waiting",
            proposed_by=actor.name,
            proposed_ms=to_milliseconds(actor.at),
            body=vault.seal(encode_canonical(body), place=f"proposal:{proposal_id}"),
        )
    )
    await note_act(tx, roll, Act.PROPOSED, actor, what=kind.value)
    return proposal_id


async def find_draft(tx: AsyncConnection, *, tenant: str, proposal_id: str) -> bytes:
    """Return the roll a waiting proposal is about.

    Raises:
        ProposalMissing: None waits under this id.
    """
    query = select(PROPOSALS.c.draft).where(
        PROPOSALS.c.tenant == tenant,
        PROPOSALS.c.id == proposal_id,
        PROPOSALS.c.state == "waiting",
    )
    draft = (await tx.execute(query)).scalar_one_or_none()
    if draft is None:
        raise ProposalMissing("no such proposal waits")
    return bytes(draft)


async def decide(
    tx: AsyncConnection,
    roll: Roll,
    proposal_id: str,
    vault: Vault,
    *,
    actor: Actor,
    is_confirmed: bool,
) -> Proposal:
    """Take a proposal out of waiting, by another officer than the one who made it.

    Raises:
        ProposalMissing: It does not wait.
        SameOfficer: The decider proposed it.

    Spec: ROLL-TWO-PERSON.
    """
    found = next(
        (each for each in await list_proposals(tx, roll, vault) if each.id == proposal_id), None
    )
    if found is None:
        raise ProposalMissing("no such proposal waits")
    if found.proposed_by == actor.name:
        raise SameOfficer("another officer decides", rule="ROLL-TWO-PERSON")
    await tx.execute(
        update(PROPOSALS)
        .where(*_of(roll), PROPOSALS.c.id == proposal_id)
        .values(state="confirmed" if is_confirmed else "refused", decided_by=actor.name)
    )
    if not is_confirmed:
        await note_act(tx, roll, Act.REFUSED, actor, what=found.kind.value)
    return found


async def list_proposals(tx: AsyncConnection, roll: Roll, vault: Vault) -> tuple[Proposal, ...]:
    """Return what waits, the oldest first."""
    query = select(PROPOSALS).where(*_of(roll), PROPOSALS.c.state == "waiting")
    rows = (await tx.execute(query.order_by(PROPOSALS.c.proposed_ms).limit(LISTED_MAX))).all()
    return tuple(_read(row, vault) for row in rows)


def _read(row: Any, vault: Vault) -> Proposal:
    body: Any = decode_json(vault.open(bytes(row.body), place=f"proposal:{row.id}"))
    return Proposal(
        id=row.id,
        draft=bytes(row.draft),
        kind=ProposalKind(row.kind),
        proposed_by=row.proposed_by,
        body=body,
    )


def _of(roll: Roll) -> tuple[Any, Any]:
    return PROPOSALS.c.tenant == roll.tenant, PROPOSALS.c.draft == roll.draft
