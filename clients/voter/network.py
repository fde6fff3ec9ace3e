"""HTTP to the services of an election; no other module of the voter's client opens connections.

What a service says is believed nowhere: files are held against their digests, receipts against the
manifest's keys, the box is read by the light client. Answers are bounded in size and time.

Spec: VOTE-RELAYS.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import aiohttp

from clients.core.bodies import read_bounded
from clients.voter.enrolment import Invitation, PendingEnrolment, RollReceipt
from clients.voter.record import BallotReceipt, SentBallot
from node.primitives.errors import InvalidInput, MalformedMessage, Unavailable
from node.primitives.json_text import decode_json

ANSWER_SIZE_MAX: Final = 32 * 1024 * 1024
"""Longest answer read, in bytes; the active file of a large style is the longest."""

TIMEOUT_S: Final = 30.0


class ServiceAway(Unavailable):
    """A service that does not answer, or says that it cannot now."""

    code = "voter.service_away"


class ServiceRefused(InvalidInput):
    """A service refused; ``values`` carry its code."""

    code = "voter.service_refused"


class AnswerMalformed(InvalidInput):
    """An answer without what the operation promises."""

    code = "voter.answer_malformed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What the commission answers to an entry."""

    receipt: RollReceipt
    """Its promise."""
    token_signature: bytes
    """The blinded token, signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What a relay says of a ballot; a hint where to look, no proof."""

    state: str
    """pending, accepted or refused."""
    height: int | None
    """Block that holds it."""
    transaction: bytes | None
    """Hash of the transaction that carried it."""
    reason: str | None
    """Why the box refused it."""


class ElectionService:
    """One municipality's election service."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        """Keep the address; nothing is opened yet."""
        self.url = url.rstrip("/")
        self._session = session

    async def file(self, eid: bytes, digest: bytes) -> bytes:
        """Return a public file; the caller checks its digest.

        Raises:
            ServiceAway: No answer.
            ServiceRefused: The service has no such file.
        """
        return await self._ask("GET", f"/elections/{eid.hex()}/files/{digest.hex()}")

    async def elections(self) -> list[Mapping[str, Any]]:
        """Return what the service lists."""
        answer = await self.ask("GET", "/elections")
        listed: list[Mapping[str, Any]] = answer.get("elections", [])
        return listed

    async def election(self, eid: bytes) -> Mapping[str, Any]:
        """Return the state of an election as the service shows it."""
        return await self.ask("GET", f"/elections/{eid.hex()}")

    async def box(self, eid: bytes) -> tuple[bytes, bytes]:
        """Return the addresses of box and roll; the caller proves their code."""
        answer = await self.ask("GET", f"/elections/{eid.hex()}/box")
        return _hex(answer, "ballot_box", 20), _hex(answer, "credentials", 20)

    async def open_session(self, eid: bytes, code: str) -> str:
        """Log in with the invitation code; return the session.

        Raises:
            ServiceRefused: The code is unknown, revoked or spent, or there were too many guesses.
        """
        answer = await self.ask(
            "POST", f"/elections/{eid.hex()}/codes/open", {"code": code.strip()}
        )
        return _text(answer, "session")

    async def begin(self, eid: bytes, session: str) -> Invitation:
        """Begin an enrolment."""
        answer = await self.ask("POST", f"/elections/{eid.hex()}/enrolments", {"session": session})
        return Invitation(
            enrolment=_text(answer, "enrolment"),
            slot=_hex(answer, "slot", 32),
            style=_number(answer, "style"),
            version=_number(answer, "version"),
            nonce=_hex(answer, "nonce", 32),
            leaf_index=_number(answer, "leaf_index"),
            leaf_proof=tuple(_bytes(each, "leaf_proof", 32) for each in _list(answer)),
        )

    async def enrol(
        self,
        eid: bytes,
        session: str,
        pending: PendingEnrolment,
        *,
        signature: bytes,
        certificate: bytes,
    ) -> Accepted:
        """Hand in a card-signed entry; the same bytes again get the same answer.

        Raises:
            ServiceRefused: The entry does not hold; ``values`` tell the code.
        """
        path = f"/elections/{eid.hex()}/enrolments/{pending.invitation.enrolment}"
        body = {
            "session": session,
            "entry": pending.entry.encode().hex(),
            "signature": signature.hex(),
            "certificate": certificate.hex(),
            "salt": pending.salt.hex(),
            "blinded_token": pending.blinded.message.hex(),
        }
        answer = await self.ask("PUT", path, body)
        return Accepted(
            receipt=RollReceipt(
                batch=_number(answer, "batch"),
                time_s=_number(answer, "time"),
                registrar=_hex(answer, "registrar_signature", 65),
                attestor=_hex(answer, "attestor_signature", 65),
            ),
            token_signature=_hex(answer, "token_signature"),
        )

    async def cast(self, eid: bytes, sent: SentBallot, token: bytes | None) -> BallotReceipt:
        """Hand a ballot to this relay; the caller checks the receipt.

        Raises:
            ServiceAway: No answer, or the relay is full.
            ServiceRefused: The relay does not take the ballot.
        """
        body = {"core": sent.core.hex(), "signature": sent.signature.hex()}
        if token is not None:
            body["token"] = token.hex()
        answer = await self.ask("POST", f"/elections/{eid.hex()}/ballots", body)
        return BallotReceipt(
            relay=_text(answer, "relay"),
            deadline=_number(answer, "deadline"),
            signature=_hex(answer, "signature", 65),
        )

    async def withdraw(self, eid: bytes, key: bytes, signature: bytes) -> None:
        """Ask this relay to take a key out of the count."""
        path = f"/elections/{eid.hex()}/withdrawals"
        await self._ask("POST", path, {"key": key.hex(), "signature": signature.hex()})

    async def place_of(self, eid: bytes, ballot_hash: bytes) -> Placed:
        """Ask where a ballot stands."""
        answer = await self.ask("GET", f"/elections/{eid.hex()}/ballots/{ballot_hash.hex()}")
        told, height = answer.get("transaction"), answer.get("height")
        return Placed(
            state=_text(answer, "state"),
            height=height if isinstance(height, int) else None,
            transaction=_bytes(told, "transaction", 32) if told else None,
            reason=answer.get("reason"),
        )

    async def ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Mapping[str, Any]:
        """Return the answer to an operation of the service.

        Raises:
            ServiceAway: No answer.
            ServiceRefused: The service does not do it; ``values`` tell the code.
            AnswerMalformed: The answer is no JSON object.
        """
        data = await self._ask(method, path, body)
        try:
            answer = decode_json(data)
        except MalformedMessage as error:
            raise AnswerMalformed(f"{self.url}: {error.message}") from error
        if not isinstance(answer, dict):
            raise AnswerMalformed(f"{self.url}: expected an object")
        return answer

    async def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                method,
                self.url + path,
                data=None if body is None else json.dumps(body).encode(),
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                allow_redirects=False,
            ) as response:
                data = await _read_bounded(response)
                status = response.status
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            raise ServiceAway(f"{self.url} does not answer: {type(error).__name__}") from error
        if status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(self.url, status, data)
        return data


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    body = await read_bounded(response, ANSWER_SIZE_MAX)
    if body is None:
        raise AnswerMalformed(f"answer of over {ANSWER_SIZE_MAX} bytes")
    return body


def _refusal(url: str, status: int, data: bytes) -> ServiceAway | ServiceRefused:
    try:
        problem = decode_json(data[:65_536])
        code = str(problem.get("code", "")) if isinstance(problem, dict) else ""
        fault = str(problem.get("fault", "")) if isinstance(problem, dict) else ""
    except MalformedMessage:
        code, fault = "", ""
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
        return ServiceAway(f"{url} answers {status} {code[:100]}")
    return ServiceRefused(
        f"{url} answers {status} {code[:100]} {fault[:40]}".rstrip(), problem=code[:100]
    )


def _list(answer: Mapping[str, Any]) -> list[Any]:
    value = answer.get("leaf_proof")
    if not isinstance(value, list) or len(value) > 64:
        raise AnswerMalformed("leaf_proof: expected a list")
    return value


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    if not isinstance(value, str) or len(value) > 500:
        raise AnswerMalformed(f"{name}: expected text")
    return value


def _number(answer: Mapping[str, Any], name: str) -> int:
    value = answer.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise AnswerMalformed(f"{name}: expected a number")
    return value


def _hex(answer: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    return _bytes(answer.get(name), name, size)


def _bytes(value: object, name: str, size: int | None = None) -> bytes:
    try:
        data = bytes.fromhex(value.removeprefix("0x") if isinstance(value, str) else "-")
    except ValueError as error:
        raise AnswerMalformed(f"{name}: expected hexadecimal digits") from error
    if size is not None and len(data) != size:
        raise AnswerMalformed(f"{name}: expected {size} bytes")
    return data
