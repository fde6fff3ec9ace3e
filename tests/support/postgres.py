"""A real PostgreSQL for tests: one cluster in a temporary directory, run without privileges.

Started on first use and stopped when the process ends. It listens on a Unix socket alone. Where
no server is installed the test is skipped and says how to install one.
"""

import atexit
import functools
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "autovacuum": "off",
}
_numbers = itertools.count(1)


def find_binaries() -> Path | None:
    """Return the folder of the newest installed server."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    on_path = shutil.which("initdb")
    return found[-1].parent if found else (Path(on_path).parent if on_path else None)


def _version(path: Path) -> int:
    name = path.parent.parent.name
    return int(name) if name.isdigit() else 0


class Cluster:
    """A running server."""

    def __init__(self, binaries: Path, *, is_durable: bool = False) -> None:
        """Make the cluster and start it; durable ones write through, for what is measured."""
        self.binaries = binaries
        self.home = Path(tempfile.mkdtemp(prefix="daicho-pg-", dir="/tmp"))
        self.data = self.home / "data"
        if os.getuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.home, account.pw_uid, account.pw_gid)
        self.run("initdb", "-D", str(self.data), "-U", "daicho", "-A", "trust", "-E", "UTF8",
                 "--locale=C", "-N")  # fmt: skip
        settings = dict(SETTINGS)
        if is_durable:
            settings |= {"fsync": "on", "full_page_writes": "on", "autovacuum": "on"}
        settings["unix_socket_directories"] = str(self.home)
        self.options = " ".join(
            f"-c {name}={value or repr('')}" for name, value in settings.items()
        )
        self.start()

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the server's programs as an unprivileged user."""
        command = [str(self.binaries / program), *arguments]
        if os.getuid() == 0:
            command = [
                "setpriv",
                "--reuid=postgres",
                "--regid=postgres",
                "--clear-groups",
                *command,
            ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=self.home, timeout=120
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")
        return done.stdout

    def start(self) -> None:
        """Start the server and wait until it answers."""
        log = str(self.home / "log")
        self.run("pg_ctl", "-D", str(self.data), "-w", "-l", log, "-o", self.options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server; ``immediate`` is a crash."""
        self.run("pg_ctl", "-D", str(self.data), "-w", "-m", mode, "stop")

    def make_database(self, *, like: str | None = None) -> str:
        """Make a database, empty or a copy of the one at the URL ``like``, and return its URL."""
        name = f"test{os.getpid()}_{next(_numbers)}"
        model = f" template {like.partition('@/')[2].partition('?')[0]}" if like else ""
        self.query("postgres", f"create database {name}{model}")
        return f"postgresql+asyncpg://daicho@/{name}?host={self.home}"

    def query(self, database: str, statement: str) -> str:
        """Run one statement."""
        return self.run("psql", "-h", str(self.home), "-U", "daicho", "-Atqc", statement, database)

    def close(self) -> None:
        """Stop the server and remove its files."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


def make_cluster(*, is_durable: bool = False) -> Cluster:
    """Start a server of the caller's own, or skip."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server here; run scripts/setup-system as root")
    return Cluster(binaries, is_durable=is_durable)


@functools.cache
def shared_cluster() -> Cluster:
    """Return the server that the tests of this process share, or skip."""
    cluster = make_cluster()
    atexit.register(cluster.close)
    return cluster
