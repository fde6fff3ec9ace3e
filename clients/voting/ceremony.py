"""What trustees say to each other while they make a key, in bytes, and the record of it all.

Each message is a canonical JSON file whose digest stands on the bulletin. ``Transcript`` puts the
messages of a finished run together; ``check_transcript`` goes through all of it again and returns
the key.

Spec: DKG-BULLETIN, DKG-COMMIT, DKG-SHARE, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from clients.voting.decryption import DecryptionShare
from clients.voting.dkg import (
    Complaint,
    EncryptedShare,
    InvalidDealing,
    KeyGeneration,
    KeyPurpose,
    Reveal,
    Trustee,
    check_reveal,
    derive_public,
    is_confirmed,
    is_encryption_key_proven,
    judge_complaint,
)
from clients.voting.encoding import decode_scalar, encode_scalar
from clients.voting.group import Point, decode_point, vector_of
from clients.voting.manifest import encode_canonical
from clients.voting.rehearsal import (
    check_rehearsal,
    rehearsal_message,
    rehearsal_rows,
    rehearsal_subsets,
)
from clients.voting.schnorr import EqualityProof, KnowledgeProof
from node.primitives.canonical import INTEGER_MAX

MESSAGE_SIZE_MAX: Final = 65_536
"""Longest message of one trustee."""

TRANSCRIPT_SIZE_MAX: Final = 4_194_304
"""Longest transcript."""

REGISTER: Final = 1
"""Step of the encryption key."""

COMMIT: Final = 2
REVEAL: Final = 3
SHARES: Final = 4
COMPLAINTS: Final = 5
CONFIRM: Final = 6
REHEARSE: Final = 7
"""Steps of one key generation."""

PLACES: Final = {KeyPurpose.BALLOTS: 1, KeyPurpose.ROLL: 2}
"""p of each key in the steps' numbers."""


def step_number(step: int, purpose: KeyPurpose) -> int:
    """Return the bulletin's number of a step of a key generation.

    Spec: DKG-BULLETIN.
    """
    return step + 10 * PLACES[purpose]


class MessagePart(BaseModel):
    """Base of everything trustees say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


PointText = Annotated[str, StringConstraints(pattern=r"^0[23][0-9a-f]{64}$")]
Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Number = Annotated[int, Field(ge=1, le=64)]


class KnowledgeText(MessagePart):
    """A proof of knowledge."""

    w: PointText
    z: Hex32

    @classmethod
    def of(cls, proof: KnowledgeProof) -> "KnowledgeText":
        """Write a proof."""
        return cls(w=_point_text(proof.w), z=_scalar_text(proof.z))

    def proof(self) -> KnowledgeProof:
        """Read it."""
        return KnowledgeProof(w=_point(self.w), z=_scalar(self.z))


class RegisterMessage(MessagePart):
    """Step 1: an encryption key and that its owner has it."""

    encryption_key: PointText
    node: PointText
    proof: KnowledgeText

    def check(self, *, chain_id: int, registry: bytes) -> None:
        """Check that the sender has the key.

        Raises:
            InvalidDealing: It does not.
        """
        is_proven = is_encryption_key_proven(
            _point(self.encryption_key),
            self.proof.proof(),
            chain_id=chain_id,
            registry=registry,
            node=_point(self.node),
        )
        if not is_proven:
            raise InvalidDealing("an encryption key whose owner does not have it")

    def trustee(self) -> Trustee:
        """Return the keys as the key generation takes them."""
        return Trustee(node=_point(self.node), encryption=_point(self.encryption_key))


class RevealMessage(MessagePart):
    """Step 3: a dealer's commitments, opened."""

    coefficients: list[PointText] = Field(min_length=1, max_length=64)
    w: PointText
    z: Hex32

    @classmethod
    def of(cls, reveal: Reveal) -> "RevealMessage":
        """Write a reveal."""
        proof = KnowledgeText.of(reveal.proof)
        points = [_point_text(point) for point in reveal.commitments]
        return cls(coefficients=points, w=proof.w, z=proof.z)

    def reveal(self) -> Reveal:
        """Read it."""
        return Reveal(
            commitments=tuple(map(_point, self.coefficients)),
            proof=KnowledgeProof(w=_point(self.w), z=_scalar(self.z)),
        )


class ShareText(MessagePart):
    """A share, encrypted to one trustee."""

    e: PointText
    ciphertext: Hex32

    @classmethod
    def of(cls, share: EncryptedShare) -> "ShareText":
        """Write a share."""
        return cls(e=_point_text(share.ephemeral), ciphertext=share.ciphertext.hex())

    def share(self) -> EncryptedShare:
        """Read it."""
        return EncryptedShare(ephemeral=_point(self.e), ciphertext=bytes.fromhex(self.ciphertext))


class SharesMessage(MessagePart):
    """Step 4: a dealer's shares for every other trustee, in order; null for itself."""

    shares: list[ShareText | None] = Field(min_length=1, max_length=64)


class ComplaintText(MessagePart):
    """One share that is not right, opened to everyone."""

    dealer: Number
    shared: PointText
    t1: PointText
    t2: PointText
    z: Hex32

    @classmethod
    def of(cls, dealer: int, complaint: Complaint) -> "ComplaintText":
        """Write a complaint."""
        proof = complaint.proof
        return cls(
            dealer=dealer,
            shared=_point_text(complaint.shared),
            t1=_point_text(proof.t1),
            t2=_point_text(proof.t2),
            z=_scalar_text(proof.z),
        )

    def complaint(self) -> Complaint:
        """Read it."""
        proof = EqualityProof(t1=_point(self.t1), t2=_point(self.t2), z=_scalar(self.z))
        return Complaint(shared=_point(self.shared), proof=proof)


class ComplaintsMessage(MessagePart):
    """Step 5: what a trustee complains about; mostly nothing."""

    complaints: list[ComplaintText] = Field(max_length=64)


class ConfirmMessage(KnowledgeText):
    """Step 6: the sender holds its share of the derived key."""


class RehearsalMessage(MessagePart):
    """Step 7: the sender's share of the rehearsal."""

    d: PointText
    t1: PointText
    t2: PointText
    z: Hex32

    @classmethod
    def of(cls, share: DecryptionShare) -> "RehearsalMessage":
        """Write a share."""
        proof = share.proof
        return cls(
            d=_point_text(share.shares[0]),
            t1=_point_text(proof.t1),
            t2=_point_text(proof.t2),
            z=_scalar_text(proof.z),
        )

    def share(self) -> DecryptionShare:
        """Read it."""
        proof = EqualityProof(t1=_point(self.t1), t2=_point(self.t2), z=_scalar(self.z))
        return DecryptionShare(shares=vector_of([_point(self.d)]), proof=proof)


class TranscriptTrustee(MessagePart):
    """A trustee of a transcript."""

    municipality_id: int = Field(ge=1, le=255)
    node: PointText
    encryption_key: PointText
    proof: KnowledgeText


class TranscriptComplaint(ComplaintText):
    """A complaint with its author."""

    recipient: Number


class TranscriptShare(RehearsalMessage):
    """A rehearsal's share with its author."""

    trustee: Number


class TranscriptRehearsal(MessagePart):
    """What one set of trustees found."""

    subset: list[Number] = Field(min_length=1, max_length=64)
    a: PointText
    b: PointText
    message: PointText
    shares: list[TranscriptShare] = Field(min_length=1, max_length=64)


class Transcript(MessagePart):
    """A whole key generation, as it is published."""

    version: int = Field(ge=1, le=1)
    draft_id: Hex32
    purpose: str = Field(pattern=r"^[BR]$")
    chain_id: int = Field(ge=1, le=INTEGER_MAX)
    registry: str = Field(pattern=r"^0x[0-9a-f]{40}$")
    threshold: Number
    trustees: list[TranscriptTrustee] = Field(min_length=1, max_length=64)
    commitments: list[Hex32] = Field(max_length=64)
    reveals: list[RevealMessage] = Field(max_length=64)
    shares: list[list[ShareText | None]] = Field(max_length=64)
    complaints: list[TranscriptComplaint] = Field(max_length=4_096)
    confirmations: list[ConfirmMessage] = Field(max_length=64)
    public_key: PointText
    share_keys: list[PointText] = Field(max_length=64)
    rehearsal: list[TranscriptRehearsal] = Field(max_length=2)

    def encode(self) -> bytes:
        """Return the transcript's canonical JSON."""
        return encode_message(self)

    def run(self) -> KeyGeneration:
        """Return the parameters of the run."""
        return KeyGeneration(
            chain_id=self.chain_id,
            registry=bytes.fromhex(self.registry[2:]),
            draft_id=bytes.fromhex(self.draft_id),
            purpose=KeyPurpose(self.purpose.encode()),
            threshold=self.threshold,
            trustees=tuple(
                Trustee(node=_point(each.node), encryption=_point(each.encryption_key))
                for each in self.trustees
            ),
        )


Message = TypeVar("Message", bound=MessagePart)


def encode_message(message: BaseModel) -> bytes:
    """Return a message's canonical JSON."""
    return encode_canonical(message.model_dump(mode="json"))


def decode_message(kind: type[Message], data: bytes, size_max: int = MESSAGE_SIZE_MAX) -> Message:
    """Decode a message that must be in canonical form.

    Raises:
        InvalidDealing: Too long, of another form, or not canonical.
    """
    if len(data) > size_max:
        raise InvalidDealing(f"message of {len(data)} bytes")
    try:
        message = kind.model_validate_json(data)
    except (ValidationError, RecursionError):
        raise InvalidDealing("message of another form") from None
    if encode_message(message) != data:
        raise InvalidDealing("message not in canonical form")
    return message


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """What every trustee said in one run; by trustee, from 1."""

    run: KeyGeneration
    """The parameters."""
    municipality_ids: Sequence[int]
    """The trustees' municipalities, in order."""
    registrations: Mapping[int, RegisterMessage]
    """Step 1."""
    commitments: Mapping[int, bytes]
    """Step 2."""
    reveals: Mapping[int, RevealMessage]
    """Step 3."""
    shares: Mapping[int, SharesMessage]
    """Step 4."""
    complaints: Mapping[int, ComplaintsMessage]
    """Step 5."""
    confirmations: Mapping[int, ConfirmMessage]
    """Step 6."""
    rehearsals: Mapping[int, RehearsalMessage]
    """Step 7."""


def build_transcript(messages: Messages) -> Transcript:
    """Put the messages of a run together: finished, or ended by a complaint."""
    run = messages.run
    numbers = range(1, len(run.trustees) + 1)
    key, share_keys = derive_public(
        {at: messages.reveals[at].reveal() for at in numbers}, len(run.trustees)
    )
    (column,) = rehearsal_rows(run, key).columns
    return Transcript(
        version=1,
        draft_id=run.draft_id.hex(),
        purpose=run.purpose.value.decode(),
        chain_id=run.chain_id,
        registry="0x" + run.registry.hex(),
        threshold=run.threshold,
        trustees=[
            TranscriptTrustee(
                municipality_id=messages.municipality_ids[at - 1],
                **messages.registrations[at].model_dump(include={"node", "encryption_key"}),
                proof=messages.registrations[at].proof,
            )
            for at in numbers
        ],
        commitments=[messages.commitments[at].hex() for at in numbers],
        reveals=[messages.reveals[at] for at in numbers],
        shares=[messages.shares[at].shares for at in numbers],
        complaints=[
            TranscriptComplaint(recipient=at, **each.model_dump())
            for at in numbers
            for each in messages.complaints[at].complaints
        ],
        confirmations=[
            messages.confirmations[at] for at in numbers if at in messages.confirmations
        ],
        public_key=_point_text(key),
        share_keys=[_point_text(each) for each in share_keys],
        rehearsal=[
            TranscriptRehearsal(
                subset=list(subset),
                a=_point_text(column.a[0]),
                b=_point_text(column.b[0]),
                message=_point_text(rehearsal_message(run)),
                shares=[
                    TranscriptShare(trustee=at, **messages.rehearsals[at].model_dump())
                    for at in subset
                ],
            )
            for subset in rehearsal_subsets(len(run.trustees), run.threshold)
            if messages.rehearsals
        ],
    )


def check_transcript(data: bytes) -> Transcript:
    """Go through a finished run again: proofs, commitments, complaints, keys, rehearsal.

    Raises:
        InvalidDealing: Something does not hold; the message says what and whose.

    Spec: DKG-COMMIT, DKG-COMPLAINT, DKG-DERIVE, DKG-REHEARSAL.
    """
    transcript = decode_message(Transcript, data, TRANSCRIPT_SIZE_MAX)
    run = transcript.run()
    count = len(run.trustees)
    parts = (transcript.commitments, transcript.reveals, transcript.shares)
    if any(len(part) != count for part in (*parts, transcript.confirmations)):
        raise InvalidDealing("transcript: not one message of each trustee")
    for each in transcript.trustees:
        message = RegisterMessage(
            encryption_key=each.encryption_key, node=each.node, proof=each.proof
        )
        message.check(chain_id=run.chain_id, registry=run.registry)
    reveals = {at: each.reveal() for at, each in enumerate(transcript.reveals, 1)}
    for dealer, reveal in reveals.items():
        check_reveal(run, dealer, reveal, bytes.fromhex(transcript.commitments[dealer - 1]))
        check_addressees(dealer, transcript.shares[dealer - 1], count)
    if transcript.complaints:
        first = transcript.complaints[0]
        guilty = find_guilty(transcript, first.dealer, first.recipient, first)
        raise InvalidDealing(f"trustee {guilty}: at fault in a complaint", dealer=guilty)
    key, share_keys = derive_public(reveals, count)
    found = [transcript.public_key, *transcript.share_keys]
    if found != [_point_text(key), *map(_point_text, share_keys)]:
        raise InvalidDealing("transcript: another key than the reveals give", rule="DKG-DERIVE")
    for at, confirmation in enumerate(transcript.confirmations, 1):
        if not is_confirmed(run, at, confirmation.proof(), key, share_keys):
            raise InvalidDealing(
                f"trustee {at}: did not confirm its share", rule="DKG-DERIVE", dealer=at
            )
    _check_rehearsals(transcript, run, key, share_keys)
    return transcript


def check_addressees(dealer: int, shares: Sequence[object | None], count: int) -> None:
    """Check that a dealer has a share for everyone else and none for itself.

    Raises:
        InvalidDealing: It has not.

    Spec: DKG-SHARE.
    """
    expected = [at != dealer for at in range(1, count + 1)]
    if [share is not None for share in shares] != expected:
        raise InvalidDealing(
            f"dealer {dealer}: not one share for every other", rule="DKG-SHARE", dealer=dealer
        )


def find_guilty(
    transcript: Transcript, dealer: int, recipient: int, complaint: ComplaintText
) -> int:
    """Return who is at fault, the dealer or whoever complains.

    Spec: DKG-COMPLAINT.
    """
    count = len(transcript.trustees)
    if not (dealer <= count and recipient <= count) or dealer == recipient:
        return recipient
    share = transcript.shares[dealer - 1][recipient - 1]
    assert share is not None
    verdict = judge_complaint(
        transcript.run(),
        dealer,
        recipient,
        share.share(),
        complaint.complaint(),
        transcript.reveals[dealer - 1].reveal().commitments,
    )
    return dealer if verdict.value == "dealer" else recipient


def _check_rehearsals(
    transcript: Transcript, run: KeyGeneration, key: Point, share_keys: tuple[Point, ...]
) -> None:
    (column,) = rehearsal_rows(run, key).columns
    subsets = rehearsal_subsets(len(share_keys), run.threshold)
    shares: dict[int, DecryptionShare] = {}
    expected = [
        (list(subset), column.a[0], column.b[0], rehearsal_message(run), list(subset))
        for subset in subsets
    ]
    found = [
        (each.subset, _point(each.a), _point(each.b), _point(each.message),
         [share.trustee for share in each.shares])
        for each in transcript.rehearsal
    ]  # fmt: skip
    if found != expected:
        raise InvalidDealing("transcript: another rehearsal", rule="DKG-REHEARSAL")
    for each in transcript.rehearsal:
        for share in each.shares:
            if shares.setdefault(share.trustee, share.share()).proof != share.share().proof:
                raise InvalidDealing(
                    f"trustee {share.trustee}: two shares of one rehearsal", rule="DKG-REHEARSAL"
                )
    check_rehearsal(run, key, share_keys, shares)


def _point_text(point: Point) -> str:
    return point.encode().hex()


def _scalar_text(value: int) -> str:
    return encode_scalar(value).hex()


def _point(text: str) -> Point:
    return decode_point(bytes.fromhex(text))


def _scalar(text: str) -> int:
    return decode_scalar(bytes.fromhex(text))
