"""What a program loads before it serves: nothing slow that it does not use, and no EVM in services.

Starting is part of every upgrade, every failover and most tests. They are loaded in processes of
their own, because this one has loaded everything.
"""

import subprocess
import sys

import pytest

from services.cli import SERVICES

EVM = frozenset({"eth", "web3", "eth_account", "py_ecc", "trie", "plyvel"})
"""py-evm, and what the node alone or no program of ours needs."""

SLOW = frozenset({"alembic", "reportlab", "eth_abi", "eth_keyfile", "eth_utils", "Crypto", "mako"})
"""Used once in a while, and loaded then."""

DATABASE = frozenset({"sqlalchemy", "aiosqlite", "asyncpg"})
WEB = frozenset({"aiohttp", "pydantic", "joserfc"})
NUMBERS = frozenset({"numpy", "gmpy2"})
TRIALS = frozenset({"services.sim", "services.localnet", "services.local_trial"})
"""Simulated cards and authorities, and what lays a trial network out."""

ALL = EVM | SLOW | DATABASE | WEB | NUMBERS | TRIALS

SERVICE = EVM | SLOW

PROCESSES: dict[str, dict[str, frozenset[str]]] = {
    "keys": {
        "node.cli.main": ALL | {"cryptography"},
        "node.cli.key": ALL,
        "services.relay.signer_command": ALL,
        "services.hub.keyring_command": ALL,
    },
    "node": {
        "node.cli.node": SLOW - {"eth_utils", "Crypto"}
        | (DATABASE | TRIALS | {"web3", "eth_account", "numpy"}),
    },
    "resident": {"clients.cli.resident": EVM | SLOW | DATABASE | TRIALS},
    "services": {
        "services.cli": SERVICE | NUMBERS | TRIALS,
        **{
            target.partition(":")[0]: SERVICE | TRIALS
            for name, (target, _) in SERVICES.items()
            if name != "authorities"
        },
        "services.election.trustee.custodian_command": SERVICE | TRIALS,
        "services.election.commission.attestor_server": SERVICE | TRIALS,
        "services.sim.pki.service": SERVICE,
    },
}
"""Modules that are programs or their commands, in the order loaded, and what each must not load."""

LOADER = """
import importlib, sys
for program in sys.argv[1:]:
    importlib.import_module(program)
    print(program, *sys.modules)
"""


@pytest.mark.parametrize("process", PROCESSES)
def test_a_program_loads_nothing_slow_that_it_does_not_use(process: str) -> None:
    programs = PROCESSES[process]
    told = subprocess.run(
        [sys.executable, "-c", LOADER, *programs], check=True, capture_output=True, text=True
    )

    loaded = {line.split()[0]: set(line.split()[1:]) for line in told.stdout.splitlines()}
    assert list(loaded) == list(programs)
    found = {name: sorted(loaded[name] & programs[name]) for name in programs}
    assert {name: modules for name, modules in found.items() if modules} == {}
