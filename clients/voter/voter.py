"""One device's way through an election: each step saves before it sends, so any of them may repeat.

A ballot is kept before the first relay sees it; when no relay answers it waits on the device and
goes out later, the same bytes. A voter may use any relay of the manifest and several for one
ballot. The record is saved through the ``save`` given, the box read through the light client.

Spec: VOTE-RELAYS, VOTE-RECORD, VOTE-TRACK, VOTE-ROLL, BALLOT-WITHDRAW.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import aiohttp

from clients.card.card import CardSignature
from clients.core.light_client import LightClient
from clients.core.state import read_proven
from clients.voter.box import Frozen, Standing, read_frozen, read_key_standing
from clients.voter.checking import PreparedBallot, prepare_ballot
from clients.voter.enrolment import Enrolment, begin_enrolment, finish_enrolment
from clients.voter.network import ElectionService, ServiceAway, ServiceRefused
from clients.voter.record import (
    BallotReceipt,
    DeviceRecord,
    SentBallot,
    check_ballot_receipt,
    sent_ballot_of,
)
from clients.voter.tracking import Progress, Tracking, track
from clients.voting.ballot import withdrawal_hash
from clients.voting.encoding import tagged_hash
from clients.voting.group import Point, decode_point_xy
from clients.voting.manifest import Manifest, decode_manifest
from clients.voting.randomness import NonceSource
from clients.voting.receipts import V_OFFSET
from contracts.artifact import load_artifact
from node.primitives.crypto import PrivateKey, keccak256, sha256
from node.primitives.errors import InvalidInput, LedgerError, Unavailable
from node.primitives.merkle import compute_root
from node.primitives.types import Address, Hash32, TransactionHash

COMMITMENT_SIZE: Final = 32

BALLOT_CAST: Final = keccak256(b"BallotCast(bytes32,bytes32,bytes32,uint256,bytes)")
"""Topic of the box's event for a recorded ballot."""

SignText = Callable[[bytes], CardSignature]
"""Has the voter's card sign a text, byte for byte."""


class NotEnrolled(InvalidInput):
    """The step needs an accepted enrolment."""

    code = "voter.not_enrolled"


class NoRelay(Unavailable):
    """No relay took the ballot; it is kept and can be sent again."""

    code = "voter.no_relay"


class WrongContract(InvalidInput):
    """The address named for a contract holds other code, or one for another registry."""

    code = "voter.wrong_contract"


class NotOnRoll(InvalidInput):
    """The frozen roll does not hold this device's entry; complain with the roll receipt."""

    code = "voter.not_on_roll"


class NotInBox(InvalidInput):
    """The transaction named does not hold the ballot."""

    code = "voter.not_in_box"


@dataclass(frozen=True, slots=True)
class DeviceNonces:
    """A ``NonceSource`` over the operating system's randomness."""

    source: Callable[[int], bytes]
    """As ``secrets.token_bytes``."""

    def draw(self, size: int) -> bytes:
        """Return ``size`` fresh bytes."""
        return self.source(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """Where an election's contracts are; proven before they are relied on."""

    box: Address
    """BallotBox."""
    credentials: Address
    """Credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """A ballot, proven to be in the box."""

    height: int
    """Its block."""
    index: int
    """Its place in the box."""
    time_s: int
    """Time of the block."""
    transaction: bytes
    """Hash of the transaction that carried it."""


class Voter:
    """A device that takes part in one election."""

    def __init__(
        self,
        manifest: Manifest,
        record: DeviceRecord,
        *,
        key: PrivateKey,
        source: NonceSource,
        save: Callable[[DeviceRecord], None],
        now_s: Callable[[], int],
    ) -> None:
        """Hold what the device has.

        Args:
            manifest: The election, checked against its id.
            record: What the device kept of it.
            key: The ballot key of the wallet's seed.
            source: Randomness.
            save: Keeps the record; called before anything is sent.
            now_s: The device's time.
        """
        self.manifest = manifest
        self.record = record
        self._key = key
        self._source = source
        self._save = save
        self._now_s = now_s

    @property
    def point(self) -> Point:
        """Return K."""
        return decode_point_xy(self._key.public_key[1:])

    async def enrol(
        self, commission: ElectionService, session: str, sign_text: SignText
    ) -> Enrolment:
        """Enrol with an open session and the card, or finish what was begun.

        Raises:
            EnrolmentRefused: What the commission sent does not fit the manifest.
            ServiceRefused: The commission refused the entry.
            ServiceAway: It does not answer; the entry is kept for the next try.

        Spec: ENROL-DEVICE, VOTE-RECORD.
        """
        eid = self.manifest.eid
        if self.record.pending is None or not self.record.card_signature:
            invitation = await commission.begin(eid, session)
            begun = begin_enrolment(self.manifest, invitation, self.point, self._source)
            signed = sign_text(begun.entry.card_text)
            self._keep(
                replace(
                    self.record,
                    pending=begun,
                    card_signature=signed.signature,
                    certificate=signed.certificate.der,
                )
            )
        pending = self.record.pending
        assert pending is not None
        try:
            accepted = await commission.enrol(
                eid,
                session,
                pending,
                signature=self.record.card_signature,
                certificate=self.record.certificate,
            )
        except ServiceRefused:
            self._keep(replace(self.record, pending=None, card_signature=b"", certificate=b""))
            raise
        enrolment = finish_enrolment(
            self.manifest, pending, self.point, accepted.receipt, accepted.token_signature
        )
        self._keep(
            replace(
                self.record, enrolment=enrolment, pending=None, card_signature=b"", certificate=b""
            )
        )
        return enrolment

    def prepare(self, choices: Mapping[int, int], tracking: Tracking) -> PreparedBallot:
        """Encrypt choices as the key's next ballot.

        Raises:
            NotEnrolled: There is no accepted enrolment.
            InvalidChoice: The choices are not those of the ballot.

        Spec: VOTE-CHOICES, VOTE-TRACK.
        """
        if self.record.enrolment is None:
            raise NotEnrolled("enrol first", rule="VOTE-CHOICES")
        return prepare_ballot(
            self.manifest,
            style=self.record.enrolment.style,
            key=self._key,
            sequence=tracking.next_sequence,
            choices=choices,
            source=self._source,
        )

    def seal(self, prepared: PreparedBallot) -> SentBallot:
        """Decide to send: sign, forget what opens the ballot, keep it.

        Raises:
            BallotSpent: It was checked or sent already.

        Spec: BALLOT-CHECK, VOTE-RECORD.
        """
        sent = sent_ballot_of(prepared.seal(self._key), at_s=self._now_s())
        self._keep(self.record.with_ballot(sent))
        return sent

    async def deliver(
        self, sent: SentBallot, session: aiohttp.ClientSession, *, relays: Sequence[str] = ()
    ) -> BallotReceipt:
        """Hand a kept ballot to the first relay that takes it, and keep its receipt.

        Args:
            sent: The ballot, the same bytes as before.
            session: Opens connections.
            relays: Municipalities to try first, by name; the others follow.

        Raises:
            NoRelay: None took it.

        Spec: VOTE-RELAYS, RECEIPT-BALLOT.
        """
        enrolment = self.record.enrolment
        token = None if enrolment is None or sent.sequence > 1 else enrolment.token
        ordered = sorted(
            self.manifest.relays,
            key=lambda relay: (
                relays.index(relay.municipality) if relay.municipality in relays else len(relays)
            ),
        )
        told = []
        for relay in ordered:
            service = ElectionService(relay.url, session)
            try:
                receipt = await service.cast(self.manifest.eid, sent, token)
                check_ballot_receipt(self.manifest, sent.hash, receipt)
            except LedgerError as error:
                told.append(f"{relay.municipality}: {error.message}")
                continue
            kept = self.record.find(sent.sequence) or sent
            if receipt not in kept.receipts:
                kept = replace(kept, receipts=(*kept.receipts, receipt))
                self._keep(self.record.with_ballot(kept))
            return receipt
        raise NoRelay(f"no relay took the ballot ({'; '.join(told)})", rule="VOTE-RELAYS")

    async def resubmit(
        self, tracking: Tracking, session: aiohttp.ClientSession, *, relays: Sequence[str] = ()
    ) -> tuple[SentBallot, ...]:
        """Send again, byte for byte, whatever the box does not hold yet.

        Raises:
            NoRelay: None took one of them.

        Spec: VOTE-RELAYS.
        """
        open_states = (Progress.WAITING, Progress.SUPPRESSED)
        waiting = [each.ballot for each in tracking.ballots if each.progress in open_states]
        for sent in waiting:
            await self.deliver(sent, session, relays=relays)
        return tuple(waiting)

    async def withdraw(
        self,
        tracking: Tracking,
        session: aiohttp.ClientSession,
        *,
        relays: Sequence[str] = (),
    ) -> str:
        """Ask the first relay that answers to take the key out; return whose it is.

        Raises:
            NoRelay: None took it.

        Spec: BALLOT-WITHDRAW, VOTE-RELAYS.
        """
        digest = withdrawal_hash(self.manifest.eid, self.point, tracking.next_sequence)
        signature = self._key.sign(digest)
        signed = signature[:64] + bytes([signature[64] + V_OFFSET])
        self._keep(replace(self.record, is_withdrawn=True))
        told = []
        for relay in sorted(
            self.manifest.relays, key=lambda relay: relay.municipality not in relays
        ):
            service = ElectionService(relay.url, session)
            try:
                await service.withdraw(self.manifest.eid, self.point.encode_xy(), signed)
            except (ServiceAway, ServiceRefused) as error:
                told.append(f"{relay.municipality}: {error.message}")
                continue
            return relay.municipality
        raise NoRelay(f"no relay took the withdrawal ({'; '.join(told)})", rule="VOTE-RELAYS")

    async def standing(
        self, client: LightClient, contracts: Contracts, *, key: Point | None = None
    ) -> tuple[Standing, int]:
        """Return a key's standing, this device's own unless told, and the height of its proof.

        Raises:
            NoVerifiedAnswer: No node proved it.

        Spec: VOTE-TRACK.
        """
        found = await read_proven(
            client,
            lambda view: read_key_standing(
                view, contracts.box, self.manifest.eid, key or self.point
            ),
        )
        return found.value, found.header.height

    async def track(self, client: LightClient, contracts: Contracts) -> Tracking:
        """Return where this device's ballots stand.

        Spec: VOTE-TRACK, VOTE-FOREIGN.
        """
        standing, height = await self.standing(client, contracts)
        return track(self.record, standing, height=height)

    async def prove_inclusion(
        self, client: LightClient, contracts: Contracts, ballot_hash: bytes, transaction: bytes
    ) -> Inclusion:
        """Prove by the sealed receipt of ``transaction`` that the box recorded a ballot.

        Raises:
            NotInBox: The transaction did not record it.
            NoVerifiedAnswer: No node proved the transaction.

        Spec: VOTE-TRACK, LIGHT-RECEIPT.
        """
        found = await client.receipt(TransactionHash(Hash32(transaction)))
        for log in found.value.receipt.logs:
            is_ours = log.address == contracts.box and list(log.topics[:2]) == [
                BALLOT_CAST,
                self.manifest.eid,
            ]
            if is_ours and log.topics[3] == ballot_hash:
                return Inclusion(
                    height=found.header.height,
                    index=int.from_bytes(log.data[:32], "big"),
                    time_s=found.header.timestamp_s,
                    transaction=transaction,
                )
        raise NotInBox("the transaction does not record this ballot", rule="VOTE-TRACK")

    async def check_on_roll(
        self, client: LightClient, contracts: Contracts, services: Sequence[ElectionService]
    ) -> Frozen | None:
        """Check that the frozen roll holds this device's entry; None before the freeze.

        Raises:
            NotOnRoll: It does not: complain with the roll receipt.
            ServiceAway: No service gave the file that the ledger names.

        Spec: VOTE-ROLL.
        """
        enrolment = self.record.enrolment
        if enrolment is None:
            raise NotEnrolled("enrol first", rule="VOTE-ROLL")
        found = await read_proven(
            client,
            lambda view: read_frozen(
                view, contracts.credentials, self.manifest.eid, enrolment.style
            ),
        )
        frozen = found.value
        if frozen.frozen_at == 0:
            return None
        file = await self._fetch(services, frozen.file_digest) if frozen.count else b""
        check_active_file(file, frozen)
        commitments = {
            file[at : at + COMMITMENT_SIZE] for at in range(0, len(file), COMMITMENT_SIZE)
        }
        if enrolment.commitment not in commitments:
            raise NotOnRoll(
                "the frozen roll does not hold this entry; complain with the roll receipt",
                rule="VOTE-ROLL",
            )
        return frozen

    async def _fetch(self, services: Sequence[ElectionService], digest: bytes) -> bytes:
        told = []
        for service in services:
            try:
                data = await service.file(self.manifest.eid, digest)
            except (ServiceAway, ServiceRefused) as error:
                told.append(error.message)
                continue
            if sha256(data) == digest:
                return data
            told.append(f"{service.url}: another file")
        raise ServiceAway(f"no service has the file ({'; '.join(told)})", rule="VOTE-ROLL")

    def _keep(self, record: DeviceRecord) -> None:
        self._save(record)
        self.record = record


def check_active_file(file: bytes, frozen: Frozen) -> None:
    """Check that an active file is the frozen one: length, order, root.

    Raises:
        NotOnRoll: It is not.

    Spec: VOTE-ROLL.
    """
    rows = [file[at : at + COMMITMENT_SIZE] for at in range(0, len(file), COMMITMENT_SIZE)]
    is_sorted = all(a < b for a, b in pairwise(rows))
    if len(file) != COMMITMENT_SIZE * frozen.count or not is_sorted:
        raise NotOnRoll("active file: not as many rows as frozen, or unsorted", rule="VOTE-ROLL")
    if compute_root(rows) != frozen.root:
        raise NotOnRoll("active file: not under the frozen root", rule="VOTE-ROLL")


async def fetch_manifest(services: Sequence[ElectionService], eid: bytes) -> Manifest:
    """Fetch the manifest of an election from whoever has it, and check that it is the one.

    Raises:
        ServiceAway: No service gave it.

    Spec: ELECTION-ID.
    """
    told = []
    for service in services:
        try:
            data = await service.file(eid, eid)
        except (ServiceAway, ServiceRefused) as error:
            told.append(error.message)
            continue
        if tagged_hash("JMEV1/eid", data) == eid:
            return decode_manifest(data)
        told.append(f"{service.url}: another manifest")
    raise ServiceAway(f"no service has the manifest ({'; '.join(told)})", rule="ELECTION-ID")


async def check_contracts(client: LightClient, manifest: Manifest, contracts: Contracts) -> None:
    """Prove that box and roll are the contracts we know, for the manifest's registry.

    Raises:
        WrongContract: The code is another, or it is bound to another registry.

    Spec: VOTE-TRACK, LIGHT-PROOF.
    """
    registry = bytes.fromhex(manifest.registry.removeprefix("0x")).rjust(32, b"\x00")
    for name, address in (("BallotBox", contracts.box), ("Credentials", contracts.credentials)):
        code = (await client.code(address)).value
        if code != load_artifact(name).runtime + registry:
            raise WrongContract(
                f"0x{address.hex()} is not {name} of this election's registry", rule="VOTE-TRACK"
            )
