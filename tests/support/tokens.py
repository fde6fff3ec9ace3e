"""An issuer, a staff member and a partner service with real keys, and the tokens they make."""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from services.kit.auth import TenantId
from services.kit.keys import Key, algorithm_of, generate_key
from services.kit.staff import StaffMember, StaffTable
from services.kit.tokens import Issuer, Trust, TrustedPartner

NOW = datetime(2026, 4, 1, 0, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
ISSUER = "https://hub.goka.example"
AUDIENCE = "noticeboard"
PUBLIC_URL = "https://board.goka.example"
GOKA, SAKAI = TenantId("goka"), TenantId("sakai")


@dataclass(frozen=True)
class People:
    """Everyone who can show a token, with their keys."""

    issuer_key: Key = field(default_factory=generate_key)
    device_key: Key = field(default_factory=lambda: ECKey.generate_key("P-256"))
    clerk_key: Key = field(default_factory=lambda: ECKey.generate_key("P-256"))
    relay_key: Key = field(default_factory=generate_key)

    def trust(self, **changes: Any) -> Trust:
        """Return a trust in all of them for Goka, and in the issuer for Sakai too."""

        async def find_key(kid: str) -> Key | None:
            return self.issuer_key if kid == "k1" else None

        clerk = StaffMember(
            id="clerk",
            tenant=GOKA,
            roles=frozenset({"board-editor"}),
            key=self.clerk_key,
            authentication_level=2,
            valid_until=NOW + timedelta(days=30),
        )
        relay = TrustedPartner(
            name="relay",
            key=self.relay_key,
            tenants=frozenset({GOKA}),
            purposes=frozenset({"board.count"}),
        )
        issuer = Issuer(name=ISSUER, tenants=frozenset({GOKA, SAKAI}), find_key=find_key)
        parts: dict[str, Any] = {
            "audience": AUDIENCE,
            "public_url": PUBLIC_URL,
            "issuers": {ISSUER: issuer},
            "staff": StaffTable({"clerk": clerk}),
            "partners": {"relay": relay},
        }
        return Trust(**{**parts, **changes})

    def resident_token(
        self, *, key: Key | None = None, header: dict[str, Any] | None = None, **claims: Any
    ) -> str:
        """Return a resident's token; claims given replace the usual ones, None removes one."""
        usual = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "pairwise-1",
            "tenant": "goka",
            "scope": "board.write board.read",
            "proofing_level": 3,
            "authentication_level": 2,
            "iat": NOW_S,
            "exp": NOW_S + 600,
            "cnf": {"jkt": self.device_key.thumbprint()},
        }
        signer = key or self.issuer_key
        return sign(signer, {"typ": "at+jwt", "kid": "k1", **(header or {})}, {**usual, **claims})

    def staff_token(self, *, key: Key | None = None, **claims: Any) -> str:
        """Return the clerk's token."""
        usual = {
            "iss": "clerk",
            "aud": AUDIENCE,
            "tenant": "goka",
            "iat": NOW_S,
            "exp": NOW_S + 600,
        }
        return sign(key or self.clerk_key, {"typ": "staff+jwt"}, {**usual, **claims})

    def partner_token(self, *, key: Key | None = None, **claims: Any) -> str:
        """Return a fresh token of the relay."""
        usual = {
            "iss": "relay",
            "aud": AUDIENCE,
            "tenant": "goka",
            "iat": NOW_S,
            "exp": NOW_S + 60,
            "jti": secrets.token_hex(8),
        }
        return sign(key or self.relay_key, {"typ": "service+jwt"}, {**usual, **claims})

    def proof(
        self,
        token: str,
        *,
        method: str = "GET",
        path: str = "/notices",
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return the device's proof for one request with ``token``."""
        signer = key or self.device_key
        digest = hashlib.sha256(token.encode()).digest()
        usual = {
            "jti": secrets.token_hex(8),
            "htm": method,
            "htu": PUBLIC_URL + path,
            "iat": NOW_S,
            "ath": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        }
        head = {"typ": "dpop+jwt", "jwk": signer.as_dict(private=False), **(header or {})}
        return sign(signer, head, {**usual, **claims})

    def resident_headers(self, method: str, path: str, **claims: Any) -> dict[str, str]:
        """Return the headers with which a resident's device sends one request."""
        token = self.resident_token(**claims)
        proof = self.proof(token, method=method, path=path)
        return {"Authorization": f"DPoP {token}", "DPoP": proof}

    def staff_headers(self, **claims: Any) -> dict[str, str]:
        """Return the headers of a request of the clerk."""
        return {"Authorization": f"Bearer {self.staff_token(**claims)}"}

    def partner_headers(self, **claims: Any) -> dict[str, str]:
        """Return the headers of a request of the relay."""
        return {"Authorization": f"Bearer {self.partner_token(**claims)}"}


def sign(key: Key, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Return a JWT of ``claims``, leaving out those that are None."""
    algorithm = algorithm_of(key)
    kept = {name: value for name, value in claims.items() if value is not None}
    head = {name: value for name, value in header.items() if value is not None}
    # The type is named or absent, never put in by the library.
    return jwt.encode(
        {"alg": algorithm, **head}, kept, key, algorithms=[algorithm], default_type=None
    )
