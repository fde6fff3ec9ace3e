"""Liveness and readiness: whether the process runs, and whether it can serve, with reasons."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Final

from node.primitives.errors import LedgerError
from services.kit.database import Database

CHECK_TIMEOUT_S: Final = 5.0
"""How long one check may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check came out."""

    name: str
    """Stable name."""
    is_ok: bool
    """Nothing is missing."""
    reason: str
    """What was found, without personal values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadinessCheck:
    """One thing that must be there to serve."""

    name: str
    """Stable name, as ``database``."""
    run: Callable[[], Awaitable[str]]
    """Return what was found; raise a ``LedgerError`` when it is missing."""


async def examine_readiness(checks: Sequence[ReadinessCheck]) -> tuple[CheckResult, ...]:
    """Run every check, all at once, each within its time."""
    return tuple(await asyncio.gather(*(_examine(check) for check in checks)))


def database_check(database: Database) -> ReadinessCheck:
    """Return the check that the database answers."""

    async def run() -> str:
        async with database.read():
            return "answers"

    return ReadinessCheck(name="database", run=run)


def readiness_document(results: Sequence[CheckResult]) -> dict[str, object]:
    """Return the JSON object of ``/readiness``."""
    return {
        "ready": all(result.is_ok for result in results),
        "checks": [asdict(result) for result in results],
    }


async def _examine(check: ReadinessCheck) -> CheckResult:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_S):
            reason = await check.run()
    except TimeoutError:
        reason = f"no answer within {CHECK_TIMEOUT_S:.0f} s"
        return CheckResult(name=check.name, is_ok=False, reason=reason)
    except LedgerError as error:
        return CheckResult(name=check.name, is_ok=False, reason=f"{error.code}: {error.message}")
    return CheckResult(name=check.name, is_ok=True, reason=reason)
