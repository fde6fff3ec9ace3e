"""An election with real keys held in one place, for tests of voters and relays.

Four municipalities; the ballot key is one scalar, because nothing here depends on sharing it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voter.checking import prepare_ballot
from clients.voter.enrolment import Invitation, PendingEnrolment, RollReceipt
from clients.voting.ballot import Ballot
from clients.voting.blind_signature import ADMISSION, blind, finalize, sign_blinded, token_message
from clients.voting.group import Point, decode_point_xy, generator_multiple
from clients.voting.manifest import Manifest
from clients.voting.receipts import V_OFFSET, roll_receipt_hash, sign_receipt
from clients.voting.roll import compute_leaf, compute_slot
from node.primitives.crypto import PrivateKey, sha256
from node.primitives.merkle import build_proof, compute_root
from tests.support.ledger import key_of
from tests.support.voting import SeededNonces

OPENS_AT: Final = 1_800_000_000
CLOSES_AT: Final = OPENS_AT + 3_600
BALLOT_SECRET: Final = 7_777_777
ROLL_SECRET: Final = 8_888_888
DRAFT_ID: Final = b"\xd2" * 32
TOWNS: Final = ("つくば市", "五霞町", "境町", "茨城県")
RACES: Final = {1: ("市長", ("青木", "馬場", "千葉")), 2: ("庁舎移転", ("賛成", "反対"))}
STYLES: Final = {7: (1, 2), 8: (1,)}
ELECTORS: Final = 12


@cache
def token_key() -> rsa.RSAPrivateKey:
    """Return the commission's token key; made once, because it takes long."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def receipt_key(town: int) -> PrivateKey:
    """Return the key with which a town's relay signs receipts."""
    return key_of(f"receipts of town {town}")


def account_of(town: int) -> str:
    """Return the account of a town's relay."""
    return "0x" + key_of(f"relay of town {town}").address.hex()


REGISTRAR: Final = key_of("registrar's receipts")
ATTESTOR: Final = key_of("attestor's receipts")


def slot_of(elector: int) -> bytes:
    """Return an elector's slot."""
    return compute_slot(b"slot key", DRAFT_ID, str(elector).encode())


def style_of(elector: int) -> int:
    """Return an elector's style."""
    return 7 if elector % 3 else 8


def leaves() -> list[bytes]:
    """Return the eligible list."""
    return sorted(compute_leaf(slot_of(at), style_of(at)) for at in range(ELECTORS))


def _hex_point(key: PrivateKey) -> str:
    return decode_point_xy(key.public_key[1:]).encode().hex()


def make_manifest(**changes: Any) -> Manifest:
    """Return the manifest, with fields changed."""
    point = generator_multiple(1).encode().hex()
    fields: dict[str, Any] = {
        "version": 1,
        "chain_id": 8100,
        "registry": "0x" + "11" * 20,
        "draft_id": DRAFT_ID.hex(),
        "is_mock": True,
        "title": "模擬投票",
        "opens_at": OPENS_AT,
        "closes_at": CLOSES_AT,
        "freezes_at": CLOSES_AT + 600,
        "styles": [
            {"style": style, "name": f"様式{style}", "races": list(races)}
            for style, races in STYLES.items()
        ],
        "races": [
            {
                "race": race,
                "name": name,
                "candidates": [
                    {"number": at, "name": candidate} for at, candidate in enumerate(candidates, 1)
                ],
            }
            for race, (name, candidates) in RACES.items()
        ],
        "threshold": 3,
        "trustees": [
            {
                "municipality": name,
                "municipality_id": at,
                "account": account_of(at),
                "node": _hex_point(key_of(f"node {at}")),
                "encryption_key": point,
                "ballot_share": point,
                "roll_share": point,
                "url": f"https://{at}.example.lg.jp",
            }
            for at, name in enumerate(TOWNS, 1)
        ],
        "ballot_key": generator_multiple(BALLOT_SECRET).encode().hex(),
        "roll_key": generator_multiple(ROLL_SECRET).encode().hex(),
        "ballot_transcript": "33" * 32,
        "roll_transcript": "44" * 32,
        "registrars": [
            {
                "municipality": name,
                "account": account_of(at),
                "receipt_key": _hex_point(REGISTRAR if at == 1 else receipt_key(at)),
                "attestor_key": _hex_point(ATTESTOR) if at == 1 else "",
            }
            for at, name in enumerate(TOWNS, 1)
        ],
        "attestations": 2,
        "relays": [
            {
                "municipality": name,
                "account": account_of(at),
                "receipt_key": _hex_point(receipt_key(at)),
                "url": f"https://{at}.example.lg.jp",
            }
            for at, name in enumerate(TOWNS, 1)
        ],
        "token_modulus": f"{token_key().public_key().public_numbers().n:0512x}",
        "limits": {
            "max_sequence": 5,
            "min_interval_s": 10,
            "max_rekey": 3,
            "mix_time_s": 600,
            "cast_blocks": 50,
        },
        "eligible": {
            "root": compute_root(leaves()).hex(),
            "size": ELECTORS,
            "file_digest": sha256(b"".join(leaves())).hex(),
        },
        "mixers": [1, 2, 3, 4],
        "min_mixes": 3,
        "profile": "P",
    }
    return Manifest.model_validate(fields | changes)


def invite(elector: int, *, version: int = 1, slot: bytes | None = None) -> Invitation:
    """Return the commission's invitation to an elector."""
    all_leaves = leaves()
    at = all_leaves.index(compute_leaf(slot_of(elector), style_of(elector)))
    return Invitation(
        enrolment=f"enrolment-{elector}-{version}",
        slot=slot or slot_of(elector),
        style=style_of(elector),
        version=version,
        nonce=sha256(f"nonce {elector} {version}".encode()),
        leaf_index=at,
        leaf_proof=build_proof(all_leaves, at),
    )


def accept(
    manifest: Manifest, pending: PendingEnrolment, *, batch: int = 0, time_s: int = OPENS_AT
) -> tuple[RollReceipt, bytes]:
    """Answer an entry as the commission does: both signatures, and the blind one."""
    digest = roll_receipt_hash(manifest.eid, pending.commitment, batch, time_s)
    receipt = RollReceipt(
        batch=batch,
        time_s=time_s,
        registrar=sign_receipt(digest, REGISTRAR),
        attestor=sign_receipt(digest, ATTESTOR),
    )
    return receipt, sign_blinded(token_key(), pending.blinded.message)


def issue_token(manifest: Manifest, key: Point, signer: rsa.RSAPrivateKey | None = None) -> bytes:
    """Return the admission token of a ballot key."""
    signer = signer or token_key()
    message = token_message(manifest.eid, key)
    source = SeededNonces("token")
    blinded = blind(signer.public_key(), message, ADMISSION, source)
    signed = sign_blinded(signer, blinded.message)
    return finalize(signer.public_key(), message, blinded, signed, ADMISSION)


@dataclass
class Device:
    """A ballot key and its ballots."""

    name: str
    style: int = 7
    source: SeededNonces = field(init=False)
    key: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        """Make the key."""
        self.source = SeededNonces(f"device {self.name}")
        self.key = key_of(f"device {self.name}")

    @property
    def point(self) -> Point:
        """Return K."""
        return decode_point_xy(self.key.public_key[1:])

    def ballot(
        self, manifest: Manifest, sequence: int = 1, choices: Mapping[int, int] | None = None
    ) -> Ballot:
        """Return a sealed ballot."""
        prepared = prepare_ballot(
            manifest,
            style=self.style,
            key=self.key,
            sequence=sequence,
            choices=choices or dict.fromkeys(STYLES[self.style], 1),
            source=self.source,
        )
        return prepared.seal(self.key)


def signature_of(ballot: Ballot) -> bytes:
    """Return a ballot's signature as it is sent."""
    return ballot.signature[:64] + bytes([ballot.signature[64] + V_OFFSET])
