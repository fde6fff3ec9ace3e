"""HTTP to one hub, for one device: bounded answers, no redirects, a token and a proof where needed.

The proof key (DPoP) is drawn for the session and forgotten with it. Answers are the hub's word;
what the ledger says of an address is proven elsewhere.

Spec: WALLET-BIND.
"""

import base64
import hashlib
import secrets
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from joserfc import jwt
from joserfc.jwk import ECKey

from clients.core.bodies import read_bounded
from clients.hub.requests import sector_key_text, token_request_text, write_instant
from node.primitives.errors import InvalidInput, MalformedMessage, Misconfigured, Unavailable
from node.primitives.json_text import decode_json, is_object
from node.primitives.types import Address, Signature

ANSWER_SIZE_MAX: Final = 1024 * 1024
TIMEOUT_S: Final = 30.0

SELF: Final = "hub.self"
"""Purpose of what a resident does with the own record."""

_TITLE_MAX: Final = 300

SignText = Callable[[bytes], Signature]
"""Signs the EIP-191 hash of a text with one key of the wallet."""


class HubUnavailable(Unavailable):
    """The hub does not answer."""

    code = "hub_client.unavailable"


class HubRefused(InvalidInput):
    """The hub turned a request down; ``values`` tell its code."""

    code = "hub_client.refused"


class MalformedHubAnswer(InvalidInput):
    """The hub answers something that is not of its interface."""

    code = "hub_client.answer"


class HubClient:
    """One hub, as one device reaches it."""

    def __init__(
        self,
        url: str,
        audience: str,
        session: aiohttp.ClientSession,
        *,
        language: str,
        now: Callable[[], datetime],
    ) -> None:
        """Hold it; nothing is asked yet.

        Raises:
            Misconfigured: The address is neither https nor of this machine.
        """
        check_url(url)
        self.url = url.rstrip("/")
        self.audience = audience
        self._session = session
        self._language = language
        self._now = now
        self._proof_key = ECKey.generate_key("P-256")
        self._token = ""
        self.resident = ""

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """Send a request, with the token once there is one; return the answer's object.

        Raises:
            HubRefused: The hub says no.
            HubUnavailable: It does not answer.
            MalformedHubAnswer: Its answer is no JSON object.
        """
        headers = {"Accept-Language": self._language, "Accept-Encoding": "identity"}
        if self._token:
            headers |= self._proof(method, path)
        try:
            async with self._session.request(
                method, self.url + path, json=body, headers=headers, allow_redirects=False
            ) as response:
                data, status = await _read_bounded(response), response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise HubUnavailable(f"hub {self.url} does not answer: {reason}") from error
        return _answer_of(data, status)

    async def take_token(self, device: Address, sign: SignText) -> None:
        """Have the device key ask for a token of the hub's own operations.

        Raises:
            HubRefused: The device is not bound, or may not act now.
        """
        issued_at, nonce = self._now().replace(microsecond=0), secrets.token_hex(16)
        text = token_request_text(
            audience=self.audience,
            device=device,
            service="hub",
            purposes=(SELF,),
            thumbprint=self._proof_key.thumbprint(),
            issued_at=issued_at,
            nonce=nonce,
        )
        public = self._proof_key.as_dict(private=False)
        answer = await self.ask(
            "POST",
            "/tokens",
            {
                "device": show_address(device),
                "audience": "hub",
                "purposes": [SELF],
                "key": {name: public[name] for name in ("kty", "crv", "x", "y")},
                "issued_at": write_instant(issued_at),
                "nonce": nonce,
                "signature": show_signature(sign(text)),
            },
        )
        self._token = text_of(answer, "token")
        self.resident = _subject_of(self._token)

    async def register_sector(
        self, sector: str, address: Address, sign: SignText
    ) -> dict[str, Any]:
        """Register the address of a sector; ``sign`` is of that sector's key.

        Raises:
            HubRefused: The hub does not know the sector, or the address is another's.
        """
        issued_at = self._now().replace(microsecond=0)
        text = sector_key_text(
            audience=self.audience,
            resident=self.resident,
            sector=sector,
            address=address,
            issued_at=issued_at,
        )
        return await self.ask(
            "PUT",
            f"/sectors/{sector}",
            {
                "address": show_address(address),
                "issued_at": write_instant(issued_at),
                "signature": show_signature(sign(text)),
            },
        )

    def _proof(self, method: str, path: str) -> dict[str, str]:
        digest = base64.urlsafe_b64encode(hashlib.sha256(self._token.encode()).digest())
        header = {
            "alg": "ES256",
            "typ": "dpop+jwt",
            "jwk": self._proof_key.as_dict(private=False),
        }
        claims = {
            "jti": secrets.token_hex(16),
            "htm": method,
            "htu": self.url + path,
            "iat": int(self._now().timestamp()),
            "ath": digest.rstrip(b"=").decode(),
        }
        proof = jwt.encode(header, claims, self._proof_key, algorithms=["ES256"])
        return {"Authorization": f"DPoP {self._token}", "DPoP": proof}


@asynccontextmanager
async def open_hub(
    url: str, audience: str, *, language: str, now: Callable[[], datetime]
) -> AsyncGenerator[HubClient]:
    """Open one session for a hub, for the length of a ``with`` block."""
    async with aiohttp.ClientSession(
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
        timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
    ) as session:
        yield HubClient(url, audience, session, language=language, now=now)


def check_url(url: str) -> None:
    """Refuse an address that others on the way could read or change.

    Raises:
        Misconfigured: It is neither https nor of this machine.
    """
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme == "https" or (
            parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")
        )
    except ValueError:
        is_safe = False
    if not is_safe:
        raise Misconfigured(f"hub {url}: expected an https address; correct the description")


def show_address(address: Address) -> str:
    """Return an address as the hub reads it."""
    return "0x" + address.hex()


def show_signature(signature: Signature) -> str:
    """Return a signature as the hub reads it."""
    return "0x" + signature.hex()


def text_of(record: Mapping[str, Any], name: str) -> str:
    """Return a text of an answer.

    Raises:
        MalformedHubAnswer: It is not there.
    """
    value = record.get(name)
    if not isinstance(value, str):
        raise MalformedHubAnswer(f"hub: the answer has no text {name}")
    return value


def _answer_of(data: bytes, status: int) -> dict[str, Any]:
    try:
        found = decode_json(data) if data else {}
    except MalformedMessage as error:
        raise MalformedHubAnswer(f"hub: status {status}, and no JSON") from error
    if not is_object(found):
        raise MalformedHubAnswer("hub: the answer is no object")
    if 200 <= status < 300:
        return found
    code, title = found.get("code"), found.get("title")
    said = title if isinstance(title, str) else f"status {status}"
    if status >= 500:
        raise HubUnavailable(f"hub: {_printable(said)}")
    raise HubRefused(
        f"hub: {_printable(said)} [{_printable(str(code))}]", reason=_printable(str(code))
    )


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else " " for each in text[:_TITLE_MAX])


def _subject_of(token: str) -> str:
    """Return the resident's pseudonym at the hub; the hub checks its own signature, not we."""
    parts = token.split(".")
    try:
        claims = decode_json(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        subject = claims["sub"] if is_object(claims) else None
    except (ValueError, KeyError, IndexError, MalformedMessage) as error:
        raise MalformedHubAnswer("hub: the token names no resident") from error
    if not isinstance(subject, str) or not subject.isalnum() or len(subject) > 128:
        raise MalformedHubAnswer("hub: the token names no resident")
    return subject


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = await read_bounded(response, ANSWER_SIZE_MAX)
    if body is None:
        raise MalformedHubAnswer(f"hub: answer of over {ANSWER_SIZE_MAX} bytes")
    return body
