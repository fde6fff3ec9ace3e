"""An identity hub for the first municipality of a local trial network, laid out as files.

Beside it the simulated authorities that its cards come from, and one resident's card. All keys are
development keys and are marked so; the hub's settings say ``profile = "development"``.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from services.hub.keyring import create_keyring
from services.kit.clock import SystemClock
from services.kit.keys import Key, generate_key, private_document, public_document
from services.kit.master_keys import create_master_file
from services.sim.pki.keep import create_authorities, write_anchors
from services.sim.pki.profiles import SimulatedResident

MARK: Final = "development-only"
CARD_FILE: Final = f"card.{MARK}.key.json"
KEYS_FILE: Final = f"authorities.{MARK}.key.json"
SECTOR: Final = "library"
"""Sector of the trial."""

WINDOW_S: Final = 2
"""Short, so that a trial need not wait; a town's hub takes ten minutes."""


def write_hub_files(hub: Path, authorities: Path) -> list[tuple[str, Path]]:
    """Write the keys of both; give kind and file of every authority's certificate."""
    for name in ("events", "tokens"):
        write_key_pair(hub / name, generate_key())
    create_master_file(hub / f"master.{MARK}.keys")
    create_keyring(hub / f"keyring.{MARK}.json", ("hub", SECTOR, "election"))
    kept = create_authorities(
        authorities / KEYS_FILE,
        hub / CARD_FILE,
        resident=SimulatedResident(),
        at=_yesterday(SystemClock().now()),
    )
    return list(write_anchors(kept.hierarchy, hub))


def hub_issuer(tenant: str) -> str:
    """Return the hub's name in its tokens."""
    return f"urn:daicho:{tenant}:hub"


def write_key_pair(path: Path, key: Key) -> None:
    """Write a key, its owner's alone and marked, and its public half beside it."""
    private = path.with_name(f"{path.name}.{MARK}.key.json")
    private.touch(mode=0o600, exist_ok=False)
    text = json.dumps({**private_document(key), MARK: True})
    private.write_text(text + "\n", encoding="ascii")
    public = json.dumps(public_document(key)) + "\n"
    path.with_name(f"{path.name}.pub.json").write_text(public, encoding="ascii")


def hub_head(tenant: str, *, registry: str, genesis: str, authorities_port: int) -> str:
    """Return the first lines of the hub's settings, up to its nodes."""
    return f"""# An identity hub of a local trial network. Never copy its keys into a real one.
profile = "development"
genesis_file = {genesis}
identity_status = "{registry}"
statements_for = "hub.{tenant}.localhost"
issuer = "{hub_issuer(tenant)}"
master_file = "master.{MARK}.keys"
keyring_file = "keyring.{MARK}.json"
token_key_file = "tokens.{MARK}.key.json"
events_key_file = "events.{MARK}.key.json"
window_s = {WINDOW_S}

[verifier]
url = "http://127.0.0.1:{authorities_port}"
"""


def hub_tables(anchors: list[tuple[str, Path]]) -> str:
    """Return the authorities and services of the hub's settings."""
    authorities = "".join(
        f'\n[[verifier.authorities]]\nkind = "{kind}"\nfile = "{path.name}"\n'
        for kind, path in anchors
    )
    return f"""{authorities}
[[services]]
audience = "example"
sector = "{SECTOR}"
purposes = ["board.write"]

[[services]]
audience = "election"
sector = "election"
purposes = ["election.credential"]
"""


def authorities_head() -> str:
    """Return the first lines of the authorities' settings."""
    return f"""# Simulated authorities of a trial network: who has the file is every authority.
profile = "development"
keys_file = "{KEYS_FILE}"

[kit.auth]
audience = "authorities"
"""


def _yesterday(now: datetime) -> datetime:
    return (now.astimezone(UTC) - timedelta(days=1)).replace(microsecond=0)
