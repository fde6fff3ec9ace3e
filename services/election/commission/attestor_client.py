"""The registrar's end of the attestor's socket.

What comes back is checked: a signature must be by the key the manifest names, so a confused
attestor delays an enrolment and never gives a voter a receipt that does not hold.

Spec: ROLL-ATTESTOR.
"""

import asyncio
from pathlib import Path
from typing import Protocol

from clients.voting.group import Point
from clients.voting.roll_files import CancelRecord, InvalidReceipt, RollReceipt, check_signer
from node.primitives.errors import InvalidInput, Unavailable
from services.election.commission.attestor import AttestorRefusal, AttestorRefused
from services.election.commission.attestor_wire import (
    ANSWER_TIMEOUT_S,
    FRAME_BYTES_MAX,
    ROWS_MAX,
    Ask,
    AskCancel,
    AskEntry,
    AskForget,
    AskManifest,
    AskRollPage,
    AttestorAnswer,
    ElectorBody,
    RollRow,
    decode_answer,
    encode_ask,
)
from services.election.commission.checking import EntryEvidence, EntryFault
from services.election.commission.matching import MatchedAttributes
from services.kit.sockets import receive_frame, send_frame


class AttestorDown(Unavailable):
    """The attestor does not answer, or answers nonsense."""

    code = "election.attestor_down"


class AttestorLine(Protocol):
    """A way to an attestor."""

    async def ask(self, ask: Ask) -> AttestorAnswer:
        """Return its answer.

        Raises:
            AttestorDown: There is none.
        """
        ...


class SocketLine:
    """Reaches an attestor through its Unix socket."""

    def __init__(self, path: Path) -> None:
        """Hold where it is."""
        self._path = path

    async def ask(self, ask: Ask) -> AttestorAnswer:
        """Return its answer.

        Raises:
            AttestorDown: There is none.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    await send_frame(writer, encode_ask(ask))
                    return decode_answer(
                        await receive_frame(reader, size_max=FRAME_BYTES_MAX, what="attestor frame")
                    )
                finally:
                    writer.close()
        except (OSError, InvalidInput) as error:
            raise AttestorDown(f"{self._path}: no answer; see that the attestor runs") from error


class AttestorClient:
    """Asks the attestor and checks what it signed."""

    def __init__(self, line: AttestorLine) -> None:
        """Hold the line."""
        self._line = line

    async def hand_over_roll(self, draft: bytes, rows: list[RollRow], root: bytes) -> None:
        """Hand the fixed roll over; again, if it was cut short.

        Raises:
            AttestorRefused: It has another roll of this draft.
            AttestorDown: It does not answer.
        """
        pages = [rows[at : at + ROWS_MAX] for at in range(0, len(rows), ROWS_MAX)]
        for at, page in enumerate(pages):
            is_last = at == len(pages) - 1
            await self._ask(
                AskRollPage(draft=draft.hex(), rows=page, root=root.hex() if is_last else None)
            )

    async def hand_over_manifest(self, manifest: bytes) -> None:
        """Hand the announced manifest over.

        Raises:
            AttestorRefused: It is not of a roll the attestor has.
            AttestorDown: It does not answer.
        """
        await self._ask(AskManifest(manifest=manifest.hex()))

    async def sign_entry(
        self,
        receipt: RollReceipt,
        evidence: EntryEvidence,
        elector: MatchedAttributes,
        signer: Point,
    ) -> bytes:
        """Have an entry checked again and its receipt signed.

        Raises:
            AttestorRefused: The attestor does not sign it.
            AttestorDown: It does not answer, or with another key's signature.

        Spec: ROLL-ATTESTOR.
        """
        ask = AskEntry(
            eid=receipt.eid.hex(),
            entry=evidence.entry.hex(),
            signature=evidence.signature.hex(),
            certificate=evidence.certificate.hex(),
            salt=evidence.salt.hex(),
            elector=ElectorBody(
                name=elector.name,
                address=elector.address,
                birth_date=elector.birth_date,
                sex=elector.sex,
            ),
            batch=receipt.batch,
            time=receipt.time_s,
        )
        return self._check(receipt.digest, await self._ask(ask), signer)

    async def sign_cancel(self, record: CancelRecord, signer: Point) -> bytes:
        """Have a cancel record signed.

        Raises:
            AttestorRefused: The attestor does not sign it.
            AttestorDown: It does not answer, or with another key's signature.

        Spec: ROLL-CANCEL.
        """
        ask = AskCancel(
            eid=record.eid.hex(),
            slot=record.slot.hex(),
            reason=record.reason,
            evidence=record.evidence.hex(),
            time=record.time_s,
        )
        return self._check(record.digest, await self._ask(ask), signer)

    async def forget(self, draft: bytes) -> None:
        """Have it forget who the electors of a roll were.

        Raises:
            AttestorDown: It does not answer.
        """
        await self._ask(AskForget(draft=draft.hex()))

    def _check(self, digest: bytes, answer: AttestorAnswer, signer: Point) -> bytes:
        try:
            signature = bytes.fromhex(answer.signature)
            check_signer(digest, signature, signer)
        except (ValueError, InvalidReceipt) as error:
            raise AttestorDown("attestor: another key's signature; see the manifest") from error
        return signature

    async def _ask(self, ask: Ask) -> AttestorAnswer:
        answer = await self._line.ask(ask)
        if answer.refusal == AttestorRefusal.WORLD:
            raise AttestorDown("attestor: cannot reach the authorities now")
        if answer.refusal:
            known = {*EntryFault, *AttestorRefusal}
            why = answer.refusal if answer.refusal in known else AttestorRefusal.MALFORMED
            is_fault = why in set(EntryFault)
            raise AttestorRefused(EntryFault(why) if is_fault else AttestorRefusal(why))
        return answer
