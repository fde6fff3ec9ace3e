"""A simulated PKI for tests, with RSA keys made once, and OpenSSL as the judge from outside."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import cycle

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from clients.identity.certificate import decode_certificate
from clients.identity.ocsp import OcspQuestion
from clients.identity.path import TrustedAuthority
from node.primitives.errors import Unavailable
from services.sim.pki.authority import AuthorityKey, KeyType, make_key
from services.sim.pki.hierarchy import Hierarchy, build_hierarchy
from services.sim.pki.profiles import SimulatedResident

NOW = datetime(2026, 4, 1, 3, 0, tzinfo=UTC)
"""Noon of the first day of a fiscal year in Japan."""

RESIDENT = SimulatedResident()

RSA_KEYS = 12
"""Distinct RSA keys: four for each of two hierarchies, and four for cards."""


@lru_cache(maxsize=1)
def _rsa_keys() -> Iterator[AuthorityKey]:
    return cycle([make_key(KeyType.RSA_2048) for _ in range(RSA_KEYS)])


def prepared_key(key_type: KeyType) -> AuthorityKey:
    """Return a key; of twelve RSA keys in a row no two are equal."""
    return next(_rsa_keys()) if key_type is KeyType.RSA_2048 else make_key(key_type)


@lru_cache(maxsize=1)
def _prototypes() -> Iterator[Hierarchy]:
    return cycle([build_hierarchy(prepared_key), build_hierarchy(prepared_key)])


def new_hierarchy() -> Hierarchy:
    """Return a hierarchy with nothing issued or revoked; of two in a row the keys differ."""
    prototype = next(_prototypes())
    return replace(
        prototype,
        authorities={
            place: authority.as_new() for place, authority in prototype.authorities.items()
        },
    )


def openssl(*arguments: str) -> str:
    """Run OpenSSL; return what it printed, also when it refuses."""
    result = subprocess.run(
        ["openssl", *arguments], capture_output=True, check=False, timeout=30, text=True
    )
    return result.stdout + result.stderr


def sign_as_card(key: AuthorityKey, text: bytes) -> bytes:
    """Sign as a card does: PKCS#1 v1.5 with SHA-256, or ECDSA with SHA-384."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return key.sign(text, ec.ECDSA(hashes.SHA384()))


class LocalSource:
    """A ``RevocationSource`` that asks a simulated hierarchy without a network."""

    def __init__(self, hierarchy: Hierarchy, now: datetime = NOW) -> None:
        """Hold the hierarchy; ``now`` is the authorities' clock."""
        self.now = now
        self.is_reachable = True
        self.fetched = 0
        """Lists handed out."""
        self._by_key = {
            decode_certificate(authority.der).key_hash: authority
            for authority in hierarchy.authorities.values()
        }

    async def fetch_list(self, authority: TrustedAuthority) -> bytes:
        """Return the newest list."""
        self._check_reachable()
        self.fetched += 1
        return self._by_key[authority.key_hash].build_revocation_list(self.now)

    async def ask(self, question: OcspQuestion) -> bytes:
        """Return the answer to a question."""
        self._check_reachable()
        authority = self._by_key[question.authority.key_hash]
        return authority.answer_ocsp(question.request, self.now)

    def _check_reachable(self) -> None:
        if not self.is_reachable:
            raise Unavailable("the network is down")
