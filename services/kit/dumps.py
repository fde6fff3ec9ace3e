"""Dumps of a PostgreSQL database with PostgreSQL's own programs, checked by reading them back.

``pg_dump`` copies one consistent view while the service runs. The password reaches the programs in
their environment, never on the command line. What ``pg_restore`` complains of may quote rows, so
only how it ended is told; ``pg_dump`` quotes none.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from node.primitives.errors import Misconfigured, Unavailable

STDERR_LENGTH_MAX: Final = 200
"""Characters shown of what a program says."""


class DumpFailed(Unavailable):
    """One of PostgreSQL's programs ended with an error."""

    code = "backup.dump_failed"


async def write_dump(url: URL, target: Path) -> None:
    """Write the database at ``url`` into ``target``, which holds it whole or is not there.

    Raises:
        Misconfigured: PostgreSQL's programs are not installed.
        DumpFailed: It could not be written or read back.
    """
    partial = target.with_name(target.name + ".partial")
    partial.touch(mode=0o600)
    words = ["--format=custom", "--no-owner", "--no-privileges", f"--file={partial}"]
    try:
        await _run("pg_dump", [*words, *_address(url)], url, may_quote=True)
        await check_dump(partial)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


async def check_dump(path: Path) -> None:
    """Read a dump to its end, as restoring it would.

    Raises:
        Misconfigured: PostgreSQL's programs are not installed.
        DumpFailed: It cannot be read.
    """
    await _run("pg_restore", ["--file=/dev/null", str(path)], None)


async def read_dump(url: URL, path: Path) -> None:
    """Restore a dump into the empty database at ``url``, all of it or nothing.

    Raises:
        Misconfigured: PostgreSQL's programs are not installed.
        DumpFailed: It cannot be read, or the database does not take it.
    """
    words = ["--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges"]
    await _run("pg_restore", [*words, *_address(url), str(path)], url)


def _address(url: URL) -> list[str]:
    """Return the options that name the database; the host may be the folder of a socket."""
    host = url.host or url.query.get("host")
    named = {"host": host, "port": url.port, "username": url.username, "dbname": url.database}
    return ["--no-password"] + [
        f"--{name}={value}" for name, value in named.items() if value is not None
    ]


async def _run(program: str, words: list[str], url: URL | None, *, may_quote: bool = False) -> None:
    environment = dict(os.environ)
    if url is not None and url.password is not None:
        environment["PGPASSWORD"] = str(url.password)
    if url is not None and isinstance(mode := url.query.get("ssl"), str):
        environment["PGSSLMODE"] = mode
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *words,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError as error:
        raise Misconfigured(
            f"{program} is not here; install it: apt-get install postgresql-client"
        ) from error
    _, said = await process.communicate()
    if process.returncode:
        first = said.decode("utf-8", "replace").partition("\n")[0][:STDERR_LENGTH_MAX]
        told = f": {first}" if may_quote and first else f", code {process.returncode}"
        raise DumpFailed(f"{program} failed{told}; run it by hand to see all it says")
