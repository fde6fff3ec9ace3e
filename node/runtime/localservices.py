"""Services beside the nodes of a local network: started, watched and stopped with them.

Whatever has a settings file ``services/NAME/service.toml`` under the network's directory is a
service; ``NAME@INSTANCE`` runs the service NAME once more, for a second municipality. Another
settings file beside it, as ``custodian.toml``, is a process of its own that the service needs: its
companion, the command ``daicho service NAME custodian``. Laying such files out is the services'
business, which stand above the node and are started as commands.
"""

import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from node.primitives.errors import Misconfigured
from node.runtime.localprocess import LocalProcess, LocalProgram
from node.runtime.nursery import current_nursery

SERVICES: Final = "services"
SETTINGS_FILE: Final = "service.toml"
COMPANIONS: Final = frozenset({"attestor.toml", "custodian.toml"})
"""Settings files of processes beside a service."""

MIGRATE_TIMEOUT_S: Final = 180.0


def find_services(root: Path) -> tuple[LocalProcess, ...]:
    """Return the services laid out under a network's directory, by name."""
    paths = sorted((root / SERVICES).glob(f"*/{SETTINGS_FILE}"))
    return tuple(LocalProcess(_program(path.absolute())) for path in paths)


def find_companions(root: Path) -> tuple[LocalProcess, ...]:
    """Return the processes that services need beside them, by name."""
    paths = sorted(
        path
        for path in (root / SERVICES).glob("*/*.toml")
        if path.name in COMPANIONS and (path.parent / SETTINGS_FILE).exists()
    )
    return tuple(LocalProcess(_companion(path.absolute())) for path in paths)


def start_service(process: LocalProcess, prelude: str = "") -> None:
    """Bring a service's database to its schema, then start it unless it runs already.

    Raises:
        Misconfigured: Its settings or its database must be repaired; the log tells how.
    """
    if process.id is not None:
        return
    program = process.program
    words = (*program.words[:2], "migrate", *program.words[3:])
    if _migrate(program, words, prelude):
        raise Misconfigured(f"{program.name} does not start; read {program.log_path}")
    process.start(prelude)


def _migrate(program: LocalProgram, words: Sequence[str], prelude: str) -> int:
    log_path = program.log_path
    nursery = current_nursery()
    if nursery is not None:
        return nursery.run(
            words, output=log_path, errors=log_path, timeout_s=MIGRATE_TIMEOUT_S, prelude=prelude
        )
    code = f"{prelude}\nimport sys\nfrom node.cli.main import main\nsys.exit(main())"
    with log_path.open("ab") as log:
        done = subprocess.run(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-c", code, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            timeout=MIGRATE_TIMEOUT_S,
            cwd=Path(__file__).parents[2],
            check=False,
        )
    return done.returncode


def find_address(process: LocalProcess) -> str:
    """Return where a service listens, by its settings.

    Raises:
        Misconfigured: Its settings name no port.
    """
    path = process.program.settings_path
    try:
        server = tomllib.loads(path.read_text(encoding="utf-8"))["kit"]["server"]
        return f"http://{server.get('host', '127.0.0.1')}:{server['port']}"
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path}: names no port; set kit.server.port") from error


def _program(path: Path) -> LocalProgram:
    instance = path.parent.name
    service = instance.partition("@")[0]
    return LocalProgram(
        name=instance,
        words=("service", service, "run", "--config", str(path)),
        settings_path=path,
        log_path=path.parent / "service.log",
        pid_path=path.parent / "service.pid",
    )


def _companion(path: Path) -> LocalProgram:
    service = path.parent.name.partition("@")[0]
    return LocalProgram(
        name=f"{path.parent.name} {path.stem}",
        words=("service", service, path.stem, "--config", str(path)),
        settings_path=path,
        log_path=path.with_suffix(".log"),
        pid_path=path.with_suffix(".pid"),
    )
