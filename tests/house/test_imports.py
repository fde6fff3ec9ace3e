"""What a program loads before it serves: nothing slow that it does not use, and no EVM in services.

Starting is part of every upgrade, every failover and most tests. Each case is a process of its own,
because this one has loaded everything.
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

PROGRAMS = {
    "node.cli.main": ALL | {"cryptography"},
    "node.cli.key": ALL,
    "node.cli.node": SLOW - {"eth_utils", "Crypto"}
    | DATABASE
    | TRIALS
    | {"web3", "eth_account", "numpy"},
    "services.cli": EVM | SLOW | NUMBERS | TRIALS,
    "services.relay.signer_command": ALL,
    "services.hub.keyring_command": ALL,
    "services.election.trustee.custodian_command": EVM | SLOW | TRIALS,
    "services.election.commission.attestor_server": EVM | SLOW | TRIALS,
    "clients.cli.resident": EVM | SLOW | DATABASE | TRIALS,
} | {
    target.partition(":")[0]: EVM | SLOW | (TRIALS if "sim" not in target else frozenset())
    for target, _ in SERVICES.values()
}
"""What each program, or each of its commands, must not load, by the module that it is."""


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_loads_nothing_slow_that_it_does_not_use(program: str) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", f"import sys, {program}; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert sorted(PROGRAMS[program] & set(loaded.stdout.split())) == []
