"""Statements asked for and proven: challenges in, certificates and signatures held against them.

The network is asked here, outside of any transaction. A refusal says which rules an answer breaks
and nothing about who is known.

Spec: ID-STATEMENT-MATCH, ID-STATEMENT-ONCE.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from clients.identity.binding import (
    Challenge,
    PresentedStatement,
    StatementVerification,
    verify_presented,
)
from clients.identity.certificate import decode_certificate
from clients.identity.pseudonym import CardIndex
from clients.identity.reference import CertificateReference, refer_to
from clients.identity.revocation import Good
from clients.identity.statement import (
    NONCE_SIZE,
    PURPOSES,
    Purpose,
    Statement,
    decode_statement,
    encode_statement,
)
from clients.identity.verifier import DirectVerifier
from node.primitives.errors import InvalidInput
from node.primitives.types import Address
from services.hub.keyring import Keyring
from services.hub.refusals import TooManyChallenges, refuse_by, refuse_statement
from services.hub.tables import CHALLENGES
from services.kit.database import Database
from services.kit.events import from_milliseconds, to_milliseconds

CHALLENGE_LIFETIME: Final = timedelta(minutes=10)
CHALLENGES_MAX: Final = 20_000
"""Statements asked for and not yet expired, of one municipality."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedStatement:
    """A challenge as it is handed out."""

    id: str
    """Its name."""
    text: bytes
    """What is to be shown and signed."""
    expires_at: datetime
    """Until when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proven:
    """A statement that may be acted on, and the certificate that signed it."""

    challenge: str
    """Name of its challenge."""
    statement: Statement
    """What was signed."""
    presented: PresentedStatement
    """As it came."""
    place: CardIndex
    """Where the certificate is found."""
    reference: CertificateReference
    """What is kept of the certificate."""
    good: Good
    """The authority's word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """Asks for statements and proves them."""

    database: Database
    """The hub's database."""
    verifier: DirectVerifier
    """Who answers for certificates."""
    keyring: Keyring
    """Finds cards."""
    audience: str
    """Whom statements are for."""

    async def ask(
        self,
        *,
        tenant: str,
        purpose: Purpose,
        now: datetime,
        device: Address | None = None,
        record_key_hash: bytes | None = None,
        binding: bytes | None = None,
    ) -> AskedStatement:
        """Ask for a statement.

        Raises:
            MalformedStatement: A field is missing or too many for the purpose.
            TooManyChallenges: Too many are open.
        """
        issued_at = now.replace(microsecond=0)
        statement = Statement(
            purpose=purpose,
            audience=self.audience,
            nonce=secrets.token_bytes(NONCE_SIZE),
            issued_at=issued_at,
            expires_at=issued_at + CHALLENGE_LIFETIME,
            device=device,
            record_key_hash=record_key_hash,
            binding_id=binding,
        )
        asked = AskedStatement(
            id=secrets.token_hex(16),
            text=encode_statement(statement),
            expires_at=statement.expires_at,
        )
        await self.database.transact(partial(_keep_challenge, tenant=tenant, asked=asked, now=now))
        return asked

    async def prove(
        self,
        presented: PresentedStatement,
        *,
        tenant: str,
        challenge: str,
        purposes: Sequence[Purpose],
        now: datetime,
    ) -> Proven:
        """Hold a presented statement against its challenge, asking the authority.

        Raises:
            StatementRefused: It is not to be acted on.

        Spec: ID-STATEMENT-MATCH.
        """
        async with self.database.read() as tx:
            asked = await _load_challenge(tx, tenant=tenant, challenge=challenge)
        if asked is None or asked.statement.purpose not in purposes:
            raise refuse_statement("ID-STATEMENT-MATCH")
        try:
            found = await verify_presented(
                presented, challenge=asked, verifier=self.verifier, now=now
            )
        except InvalidInput as error:
            raise refuse_statement(error.rule or "ID-STATEMENT-TEXT") from error
        if not found.passed:
            raise refuse_by(found.report)
        return self._proven(challenge, presented, found)

    def _proven(
        self, challenge: str, presented: PresentedStatement, found: StatementVerification
    ) -> Proven:
        issuer = None
        if found.card.authority_key_hash is not None:
            issuer = self.verifier.store.find_by_key(found.card.authority_key_hash)
        if issuer is None or not isinstance(found.card.status, Good):
            raise refuse_statement("ID-PATH-ISSUER")
        certificate = decode_certificate(presented.certificate)
        kind = PURPOSES[found.statement.purpose].kind
        return Proven(
            challenge=challenge,
            statement=found.statement,
            presented=presented,
            place=self.keyring.card_index.compute_index(certificate, issuer),
            reference=refer_to(certificate, kind=kind, issuer=issuer),
            good=found.card.status,
        )

    async def use(self, tx: AsyncConnection, proven: Proven, *, tenant: str, now: datetime) -> None:
        """Mark a challenge used, in the transaction that acts on it.

        Raises:
            StatementRefused: It was used before.

        Spec: ID-STATEMENT-ONCE.
        """
        done = await tx.execute(
            update(CHALLENGES)
            .where(
                CHALLENGES.c.tenant == tenant,
                CHALLENGES.c.id == proven.challenge,
                CHALLENGES.c.used_ms.is_(None),
            )
            .values(used_ms=to_milliseconds(now))
        )
        if done.rowcount != 1:
            raise refuse_statement("ID-STATEMENT-ONCE")


async def prune_challenges(tx: AsyncConnection, *, before: datetime) -> None:
    """Forget challenges that expired before."""
    await tx.execute(delete(CHALLENGES).where(CHALLENGES.c.expires_ms < to_milliseconds(before)))


async def _keep_challenge(
    tx: AsyncConnection, *, tenant: str, asked: AskedStatement, now: datetime
) -> None:
    table = CHALLENGES
    is_open = (table.c.tenant == tenant, table.c.expires_ms >= to_milliseconds(now))
    count = (await tx.execute(select(func.count()).select_from(table).where(*is_open))).scalar_one()
    if count >= CHALLENGES_MAX:
        raise TooManyChallenges("challenges: too many open")
    await tx.execute(
        insert(table).values(
            tenant=tenant,
            id=asked.id,
            text=asked.text,
            expires_ms=to_milliseconds(asked.expires_at),
        )
    )


async def _load_challenge(tx: AsyncConnection, *, tenant: str, challenge: str) -> Challenge | None:
    table = CHALLENGES
    query = select(table).where(table.c.tenant == tenant, table.c.id == challenge)
    row: Any = (await tx.execute(query)).one_or_none()
    if row is None:
        return None
    used_at = None if row.used_ms is None else from_milliseconds(row.used_ms)
    return Challenge(statement=decode_statement(bytes(row.text)), used_at=used_at)
