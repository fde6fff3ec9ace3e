"""`daicho service NAME keys|shred|audit`: the keys of personal records, erasure, and its proof.

A person is named in a file, never on the command line, and never shown. What is shown are counts
and commitments, which tell an auditor which keys are gone and nobody whose they were.
"""

import asyncio
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Final

import click
from sqlalchemy.ext.asyncio import AsyncConnection

from node.cli.output import Output
from node.primitives.errors import Misconfigured
from node.primitives.types import Hash32
from services.cli_place import Place, at_service, at_tenant
from services.kit.audit import AuditReport, verify_log
from services.kit.decisions import note_decision
from services.kit.disclosure import disclose_log
from services.kit.envelope import ShredCheck, verify_shredding
from services.kit.master_keys import MasterKeys, add_key, load_master_keys

REFERENCE_BYTES_MAX: Final = 1_024
"""Largest reference of a person."""


KEYS_EXAMPLES: Final = """\b
Examples:
  daicho service example keys rotate-service
  daicho service example keys rotate-master
"""


@click.group("keys", epilog=KEYS_EXAMPLES)
def keys() -> None:
    """Keys under which personal records are sealed."""


@keys.command("rotate-service")
@at_tenant
def rotate_service(output: Output, place: Place) -> None:
    """Wrap every person's key under a new service key and destroy the old one."""
    envelope = place.envelope(load_master_keys(place.master_file()))
    by = place.operator()

    async def work(tx: AsyncConnection) -> int:
        count = await envelope.rotate_service_key(tx, tenant=place.tenant, now=by.at)
        about = f"{count} keys wrapped anew"
        await note_decision(tx, by, tenant=place.tenant, action="service-key.rotated", about=about)
        return count

    count = place.transact(work)
    output.result({"tenant": place.tenant, "keys wrapped anew": count})


@keys.command("rotate-master")
@at_service
@click.option("--resume", is_flag=True, help="Add no key: finish a rotation that was interrupted.")
def rotate_master(output: Output, place: Place, resume: bool) -> None:
    """Add a key to the master file and wrap the service keys of every municipality under it.

    A service that runs does not know the new key until it is started again; stop it before.
    """
    path = place.master_file()
    load_master_keys(path)
    by = place.operator()

    async def rotate(tx: AsyncConnection, masters: MasterKeys) -> int:
        count = await place.envelope(masters).rotate_master_key(tx)
        for tenant in place.settings.kit.tenants:
            about = f"now {masters.active_id}"
            await note_decision(tx, by, tenant=tenant.id, action="master-key.rotated", about=about)
        return count

    async def run() -> tuple[str, int]:
        async with place.open() as database:
            if not resume:
                add_key(path)
            masters = load_master_keys(path)
            count = await database.transact(partial(rotate, masters=masters))
            return masters.active_id, count

    active, count = asyncio.run(run())
    output.result(
        {
            "active master key": active,
            "service keys wrapped anew": count,
            "next": [
                f"copy {path} to where its copy is kept, apart from backups",
                f"start the service again: daicho service {place.name} run",
                "to close all backups from before: remove all but the file's last line, everywhere",
            ],
        }
    )


SOURCE: Final = "urn:daicho:{tenant}:{name}"
"""Name of a service in events."""

SHRED_EXAMPLES: Final = """\b
Examples:
  daicho service example shred --person-file reference.txt --yes
  daicho --json service example shred --person-file - --purpose board.contact --yes
"""


@click.command("shred", epilog=SHRED_EXAMPLES)
@at_tenant
@click.option(
    "--person-file",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    required=True,
    help="File with the person's reference in this service; - reads standard input.",
)
@click.option("--purpose", "purposes", multiple=True, help="Only this purpose; may be repeated.")
@click.option("--yes", "is_confirmed", is_flag=True, help="Do it; it cannot be undone.")
@click.pass_context
def shred(
    ctx: click.Context,
    output: Output,
    place: Place,
    person_file: Path,
    purposes: tuple[str, ...],
    is_confirmed: bool,
) -> None:
    """Destroy a person's keys, so that no record of theirs can be read any more.

    Then what the database's files still hold of them is removed, and the checks for an auditor
    are made and shown. The exit code is 1 when one is not met, or no key was found.
    """
    if not is_confirmed:
        raise Misconfigured("shredding cannot be undone; check the reference and add --yes")
    person = _read_reference(person_file)
    envelope = place.envelope(load_master_keys(place.master_file()))

    by = place.operator()

    async def destroy(tx: AsyncConnection) -> tuple[Hash32, ...]:
        gone = await envelope.shred(
            tx, tenant=place.tenant, person=person, purposes=purposes or None, now=by.at
        )
        about = f"{len(gone)} keys destroyed"
        await note_decision(tx, by, tenant=place.tenant, action="person.shredded", about=about)
        return gone

    async def run() -> tuple[tuple[Hash32, ...], tuple[ShredCheck, ...]]:
        async with place.open() as database:
            gone = await database.transact(destroy)
            await database.scrub()
            async with database.read() as tx:
                return gone, await verify_shredding(tx, tenant=place.tenant)

    gone, checks = asyncio.run(run())
    output.result(
        {
            "tenant": place.tenant,
            "keys destroyed": len(gone),
            "commitments": ["0x" + commitment.hex() for commitment in gone],
            "checks": _show_checks(checks, output),
        }
    )
    if not gone:
        output.say("no living key under this reference: check it, or it was erased before")
    ctx.exit(0 if gone and all(check.is_met for check in checks) else 1)


AUDIT_EXAMPLES: Final = """\b
Example:
  daicho --json service example audit verify
  daicho service example audit disclose board.disclosure
"""


@click.group("audit", epilog=AUDIT_EXAMPLES)
def audit() -> None:
    """The log of who did or read what."""


@audit.command("verify")
@at_tenant
@click.pass_context
def verify(ctx: click.Context, output: Output, place: Place) -> None:
    """Recompute the chain of entries and every root, and check what was shredded.

    The exit code is 1 when something does not hold.
    """

    async def work(tx: AsyncConnection) -> tuple[AuditReport, tuple[ShredCheck, ...]]:
        report = await verify_log(tx, tenant=place.tenant)
        return report, await verify_shredding(tx, tenant=place.tenant)

    report, checks = place.read(work)
    findings = [asdict(finding) for finding in report.findings]
    output.result(
        {
            "tenant": place.tenant,
            "entries": report.entries,
            "roots": report.roots,
            "findings": findings,
            "shredding": _show_checks(checks, output),
        }
    )
    is_good = not findings and all(check.is_met for check in checks)
    if not is_good:
        output.say("keep the database as it is and its last backups, and tell the auditor")
    ctx.exit(0 if is_good else 1)


@audit.command("disclose")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@at_tenant
def disclose(output: Output, place: Place, file: Path) -> None:
    """Write the audit log and its roots to FILE, for an auditor; entries hold no values."""
    source = SOURCE.format(tenant=place.tenant, name=place.name)
    lines = place.read(partial(disclose_log, tenant=place.tenant, source=source))
    try:
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise Misconfigured(
            f"{file}: cannot be written ({error.strerror}); choose another place"
        ) from error
    output.result({"tenant": place.tenant, "file": str(file), "lines": len(lines)})


def _show_checks(checks: tuple[ShredCheck, ...], output: Output) -> list[object]:
    if output.is_json:
        return [asdict(check) for check in checks]
    return [
        f"{'met' if check.is_met else 'NOT MET'}: {check.name} "
        f"(expected {check.expected}, found {check.found})"
        for check in checks
    ]


def _read_reference(path: Path) -> str:
    try:
        with click.open_file(str(path), "rb") as file:
            raw: bytes = file.read(REFERENCE_BYTES_MAX + 1)
        reference = raw.decode("utf-8").strip()
    except (OSError, ValueError) as error:
        raise Misconfigured("--person-file: cannot be read as text; check the path") from error
    if not reference or len(raw) > REFERENCE_BYTES_MAX:
        raise Misconfigured(
            f"--person-file: expected one reference of 1 to {REFERENCE_BYTES_MAX} bytes; "
            "write nothing else into it"
        )
    return reference


COMMANDS = (keys, shred, audit)
"""What this module adds to every service."""
