"""The hourly job that every service runs over its audit log."""

from sqlalchemy.ext.asyncio import AsyncConnection

from services.kit.audit import close_root, link
from services.kit.clock import Clock
from services.kit.jobs import Job, JobHandler


def root_closer(clock: Clock, *, source: str) -> JobHandler:
    """Return a job handler that chains the entries since and asks for a root over them."""

    async def close(tx: AsyncConnection, job: Job) -> None:
        while await link(tx, tenant=job.tenant):
            pass
        await close_root(tx, tenant=job.tenant, now=clock.now(), source=source)

    return close
