"""Files handed in by parts: sealed while they wait, gone with the import that reads them.

Spec: ROLL-IMPORT.
"""

from hashlib import sha256
from http import HTTPStatus
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.election.commission.rolls import Roll, RollState
from services.election.commission.tables import UPLOADS
from services.election.commission.vault import Vault
from services.kit.problems import Refusal

PARTS_MAX = 2_000


class UploadWrong(Refusal):
    """The parts do not make the file whose digest was named; hand them in again."""

    code = "election.upload_wrong"
    status = HTTPStatus.CONFLICT


async def keep_part(tx: AsyncConnection, roll: Roll, part: int, data: bytes, vault: Vault) -> None:
    """Keep a part; again replaces it.

    Raises:
        RollNotReady: The roll is fixed.
        UploadWrong: There is no such part of any file.
    """
    roll.check_state(RollState.OPEN)
    if not 0 <= part < PARTS_MAX:
        raise UploadWrong("no file has so many parts")
    await tx.execute(delete(UPLOADS).where(*_of(roll), UPLOADS.c.part == part))
    await tx.execute(
        insert(UPLOADS).values(
            tenant=roll.tenant,
            draft=roll.draft,
            part=part,
            body=vault.seal(data, place=f"upload:{part}"),
        )
    )


async def join_parts(
    tx: AsyncConnection, roll: Roll, *, parts: int, digest: bytes, vault: Vault
) -> bytes:
    """Return the file of the first parts.

    Raises:
        UploadWrong: One is missing, or the digest is another.
    """
    query = select(UPLOADS.c.part, UPLOADS.c.body).where(*_of(roll), UPLOADS.c.part < parts)
    rows = (await tx.execute(query.order_by(UPLOADS.c.part))).all()
    data = b"".join(vault.open(bytes(row.body), place=f"upload:{row.part}") for row in rows)
    if len(rows) != parts or sha256(data).digest() != digest:
        raise UploadWrong("a part is missing, or the digest is another")
    return data


async def drop_parts(tx: AsyncConnection, roll: Roll) -> None:
    """Forget the parts."""
    await tx.execute(delete(UPLOADS).where(*_of(roll)))


def _of(roll: Roll) -> tuple[Any, Any]:
    return UPLOADS.c.tenant == roll.tenant, UPLOADS.c.draft == roll.draft
