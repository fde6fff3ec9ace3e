"""The audit entries of personal data that operations show: the kit's way from HTTP to the log."""

from collections.abc import Awaitable, Callable
from typing import assert_never

from services.kit.audit import AuditEntry, record
from services.kit.auth import Anyone, Caller, Partner, Resident, Staff
from services.kit.database import Database
from services.kit.operations import PersonalRead


def audit_reads(database: Database) -> Callable[[PersonalRead], Awaitable[None]]:
    """Return what a ``ServiceDefinition`` takes as ``record_read``.

    An entry for each subject, one with no subject when the answer showed nobody.
    """

    async def record_read(read: PersonalRead) -> None:
        async with database.write() as tx:
            for subject in read.subjects or ("",):
                await record(
                    tx,
                    AuditEntry(
                        tenant=read.tenant,
                        time=read.at,
                        actor=actor_of(read.caller),
                        role=role_of(read.caller),
                        purpose=read.purpose,
                        action="read",
                        subject=subject,
                        detail=f"{read.operation} {read.request_id}",
                    ),
                )

    return record_read


def actor_of(caller: Caller) -> str:
    """Return how audit entries name who acted: of a resident who is acted for, the delegate."""
    if isinstance(caller, Resident) and caller.delegate is not None:
        return f"resident:{caller.delegate}"
    return reference_of(caller)


def reference_of(caller: Caller) -> str:
    """Return how a caller is named; a resident who is acted for as if it were the resident."""
    match caller:
        case Anyone():
            return "anyone"
        case Resident():
            return f"resident:{caller.subject}"
        case Staff():
            return f"staff:{caller.subject}"
        case Partner():
            return f"service:{caller.name}"
        case _:
            assert_never(caller)


def role_of(caller: Caller) -> str:
    """Return in which role a caller acts."""
    match caller:
        case Staff():
            return ",".join(sorted(caller.roles))
        case Resident():
            return "resident" if caller.delegate is None else "delegate"
        case Partner():
            return "service"
        case Anyone():
            return "anyone"
        case _:
            assert_never(caller)
