"""A simulated PKI for tests, with RSA keys made once, and OpenSSL as the judge from outside."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from itertools import cycle

from services.sim.pki.authority import AuthorityKey, KeyType, make_key
from services.sim.pki.hierarchy import Hierarchy, build_hierarchy
from services.sim.pki.profiles import SimulatedResident

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
"""Noon of the first day of a fiscal year in Japan."""

RESIDENT = SimulatedResident()

RSA_KEYS = 8
"""Distinct RSA keys; a hierarchy takes four of them."""


@lru_cache(maxsize=1)
def _rsa_keys() -> Iterator[AuthorityKey]:
    return cycle([make_key(KeyType.RSA_2048) for _ in range(RSA_KEYS)])


def prepared_key(key_type: KeyType) -> AuthorityKey:
    """Return a key; of eight RSA keys in a row no two are equal."""
    return next(_rsa_keys()) if key_type is KeyType.RSA_2048 else make_key(key_type)


def new_hierarchy() -> Hierarchy:
    """Build a hierarchy with nothing issued or revoked."""
    return build_hierarchy(prepared_key)


def openssl(*arguments: str) -> str:
    """Run OpenSSL; return what it printed, also when it refuses."""
    result = subprocess.run(
        ["openssl", *arguments], capture_output=True, check=False, timeout=30, text=True
    )
    return result.stdout + result.stderr
