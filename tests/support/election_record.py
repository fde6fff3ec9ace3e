"""A small election held in process by the producers, and its published record on disk.

Four trustees, threshold three; two styles, two races; re-votes, a withdrawal, a voter whose
enrolment was replaced, a cancelled one, a mixer whose mix was rightly left out. ``hold_election``
is the honest run; ``write_record`` lays it out as ``docs/election-records.md`` says. Tests bend
what was held, or the files.
"""

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from clients.voting.ballot import (
    Ballot,
    build_core,
    candidate_point,
    decode_core,
    sign_core,
    withdrawal_hash,
)
from clients.voting.ciphertexts import (
    CiphertextList,
    Column,
    ListContext,
    ListKind,
    compute_list_digest,
    encrypt,
)
from clients.voting.decryption import (
    DecryptionShare,
    DecryptionStatement,
    build_share,
    combine_shares,
)
from clients.voting.dkg import (
    KeyPurpose,
    compute_commitment,
    confirm,
    deal,
    derive_public,
    derive_share,
    encrypt_share,
    prove_encryption_key,
)
from clients.voting.encoding import (
    encode_i2,
    encode_i4,
    encode_i8,
    encode_scalar,
    tagged_hash,
)
from clients.voting.group import Point, decode_point_xy, vector_of
from clients.voting.manifest import encode_canonical
from clients.voting.randomness import draw_scalar
from clients.voting.roll import (
    RollEntry,
    build_entry,
    compute_leaf,
    compute_slot,
    derive_ballot_key,
)
from clients.voting.roll import compute_commitment as compute_roll_commitment
from clients.voting.roll_files import CancelReason, CancelRecord
from clients.voting.shuffle import prove_shuffle, shuffle
from clients.voting.shuffle_proof import ShuffleProof, ShuffleStatement
from clients.voting.tally import (
    RaceResult,
    build_race_list,
    cleanse,
    compute_result_hash,
    count_race,
)
from node.primitives.crypto import PrivateKey
from node.primitives.merkle import compute_root
from tests.support.voting import SeededNonces, Trustees, key_generation
from tests.support.voting_vectors import hexed, manifest_fields

SLOT_KEY = b"\x5a" * 32
STYLES = {7: (1, 4), 8: (1,)}
CANDIDATES = {1: 3, 4: 2}
SIGNER_KEYS = {
    name: PrivateKey(sha256(f"signer {name}".encode()).digest())
    for name in ("registrar", "attestor", "witness 2", "witness 3", "relay")
}
ENROLS_AT = 1_799_900_000
RELAY_ACCOUNT = "0x" + "0a" * 20
CONTRACTS = {
    name: "0x" + f"{at:02x}" * 20
    for at, name in enumerate(("Credentials", "BallotBox", "TallyBoard", "Bulletin"), 0xC1)
}


def point_of(key: PrivateKey) -> Point:
    """Return a key's point."""
    return decode_point_xy(key.public_key[1:])


def sign65(key: PrivateKey, digest: bytes) -> bytes:
    """Return r, s and v of 27 or 28."""
    signature = key.sign(digest)
    return signature[:64] + bytes([27 + signature[64]])


@dataclass(frozen=True, kw_only=True)
class Enrolment:
    """One roll entry and what belongs to it."""

    elector: bytes
    entry: RollEntry
    salt: bytes
    batch: int
    time_s: int

    @property
    def commitment(self) -> bytes:
        """Return cm."""
        return compute_roll_commitment(self.entry.digest, self.salt)


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A cancel record and what belongs to it."""

    record: CancelRecord
    salt: bytes
    batch: int

    @property
    def commitment(self) -> bytes:
        """Return what the batch has."""
        return self.record.compute_commitment(self.salt)


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """A ballot as the box recorded it."""

    core: bytes
    signature: bytes
    height: int
    time_s: int

    @property
    def digest(self) -> bytes:
        """Return d."""
        return tagged_hash("JMEV1/ballot-sig", self.core)


@dataclass(kw_only=True)
class Round:
    """A mixer's turn."""

    mixer: int
    outputs: CiphertextList | None = None
    proof: ShuffleProof | None = None
    is_valid: bool | None = None


@dataclass(kw_only=True)
class HeldList:
    """A list from start to decryption."""

    kind: ListKind
    number: int
    start: CiphertextList
    rounds: list[Round] = field(default_factory=list)
    shares: dict[int, DecryptionShare] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Return how its files are called."""
        return f"{'roll' if self.kind is ListKind.ROLL else 'ballots'}-{self.number}"

    @property
    def final(self) -> CiphertextList:
        """Return the last valid list."""
        valid = [each.outputs for each in self.rounds if each.is_valid and each.outputs is not None]
        return valid[-1] if valid else self.start


@dataclass(kw_only=True)
class HeldElection:
    """Everything an election left behind, before it is written."""

    manifest: dict[str, Any]
    transcripts: dict[str, dict[str, Any]]
    enrolments: list[Enrolment]
    active: dict[int, list[Enrolment]]
    cancels: list[Ended]
    ballots: list[Recorded]
    withdrawals: list[bytes]
    lists: list[HeldList]
    results: list[RaceResult]
    receipts: list[dict[str, Any]]

    @property
    def manifest_bytes(self) -> bytes:
        """Return the manifest."""
        return encode_canonical(self.manifest)

    @property
    def eid(self) -> bytes:
        """Return the election's id."""
        return tagged_hash("JMEV1/eid", self.manifest_bytes)


def build_transcript(setup: Trustees, purpose: KeyPurpose) -> dict[str, Any]:
    """Return a key generation's public record."""
    run, source = setup.run, SeededNonces(f"record {purpose.name}")
    count = len(run.trustees)
    trustees = []
    for at, (keys, secret) in enumerate(
        zip(run.trustees, setup.encryption_secrets, strict=True), 1
    ):
        proof = prove_encryption_key(
            secret, chain_id=run.chain_id, registry=run.registry, node=keys.node, source=source
        )
        trustees.append(
            {
                "municipality_id": at,
                "node": hexed(keys.node),
                "encryption_key": hexed(keys.encryption),
                "proof": {"w": hexed(proof.w), "z": hexed(proof.z)},
            }
        )
    shares = []
    for dealer, (secret_polynomial, _) in setup.dealings.items():
        row: list[dict[str, str] | None] = []
        for other in range(1, count + 1):
            sent = encrypt_share(run, dealer, other, secret_polynomial, source)
            row.append(
                None
                if other == dealer
                else {"e": hexed(sent.ephemeral), "ciphertext": hexed(sent.ciphertext)}
            )
        shares.append(row)
    confirmations = [
        confirm(run, at, share, setup.key, setup.share_keys, source)
        for at, share in enumerate(setup.shares, 1)
    ]
    reveals = [reveal for _, reveal in setup.dealings.values()]
    return {
        "version": 1,
        "draft_id": hexed(run.draft_id),
        "purpose": purpose.value.decode(),
        "chain_id": run.chain_id,
        "registry": "0x" + run.registry.hex(),
        "threshold": run.threshold,
        "trustees": trustees,
        "commitments": [
            hexed(compute_commitment(run, dealer, reveal))
            for dealer, (_, reveal) in setup.dealings.items()
        ],
        "reveals": [
            {
                "coefficients": [hexed(each) for each in reveal.commitments],
                "w": hexed(reveal.proof.w),
                "z": hexed(reveal.proof.z),
            }
            for reveal in reveals
        ],
        "shares": shares,
        "complaints": [],
        "confirmations": [{"w": hexed(each.w), "z": hexed(each.z)} for each in confirmations],
        "public_key": hexed(setup.key),
        "share_keys": [hexed(each) for each in setup.share_keys],
        "rehearsal": [_rehearse(setup, subset, source) for subset in ((1, 2, 3), (2, 3, 4))],
    }


def _rehearse(setup: Trustees, subset: tuple[int, ...], source: SeededNonces) -> dict[str, Any]:
    message = candidate_point(setup.run.draft_id, 0, 0)
    a, b = encrypt(message, setup.key, draw_scalar(source))
    rows = CiphertextList((Column(a=vector_of([a]), b=vector_of([b])),))
    context = ListContext(eid=setup.run.did, kind=ListKind.BALLOTS, list_id=0, round=0)
    shares = []
    for at in subset:
        statement = DecryptionStatement(
            context=context, rows=rows, column=0, trustee=at, share_key=setup.share_keys[at - 1]
        )
        share = build_share(statement, setup.shares[at - 1], source)
        shares.append(
            {
                "trustee": at,
                "d": hexed(share.shares[0]),
                "t1": hexed(share.proof.t1),
                "t2": hexed(share.proof.t2),
                "z": hexed(share.proof.z),
            }
        )
    return {
        "subset": list(subset),
        "a": hexed(a),
        "b": hexed(b),
        "message": hexed(message),
        "shares": shares,
    }


class Commission:
    """Enrols electors."""

    def __init__(self, eid: bytes, draft_id: bytes, roll_key: Point) -> None:
        self.eid, self.draft_id, self.roll_key = eid, draft_id, roll_key
        self.source = SeededNonces("commission")
        self.enrolments: list[Enrolment] = []

    def enrol(self, elector: int, style: int, key: Point, batch: int = 0) -> Enrolment:
        """Enrol an elector's key, over an older enrolment if there is one."""
        slot = compute_slot(SLOT_KEY, self.draft_id, str(elector).encode())
        older = [each for each in self.enrolments if each.entry.slot == slot]
        entry = build_entry(
            eid=self.eid,
            slot=slot,
            style=style,
            version=len(older) + 1,
            nonce=self.source.draw(32),
            key=key,
            roll_key=self.roll_key,
            source=self.source,
        )
        made = Enrolment(
            elector=str(elector).encode(),
            entry=entry,
            salt=self.source.draw(32),
            batch=batch,
            time_s=ENROLS_AT + 60 * len(self.enrolments),
        )
        self.enrolments.append(made)
        return made


class Device:
    """A voter's device."""

    def __init__(self, eid: bytes, name: str) -> None:
        self.eid, self.source = eid, SeededNonces(f"device {name}")
        self.secret = PrivateKey(encode_scalar(derive_ballot_key(self.source.draw(16), eid)))
        self.key = point_of(self.secret)
        self.sequence = 0

    def vote(self, style: int, choices: list[int], election_key: Point) -> Ballot:
        """Make the next ballot."""
        self.sequence += 1
        core, _ = build_core(
            eid=self.eid,
            style=style,
            key=self.key,
            sequence=self.sequence,
            choices=list(zip(STYLES[style], choices, strict=True)),
            election_key=election_key,
            source=self.source,
        )
        return sign_core(core, self.secret)


def record_ballot(ballot: Ballot, height: int, time_s: int) -> Recorded:
    """Return a ballot as the box records it."""
    signature = ballot.signature[:64] + bytes([27 + ballot.signature[64]])
    return Recorded(core=ballot.core.encode(), signature=signature, height=height, time_s=time_s)


def build_manifest(
    ballot: Trustees, roll_setup: Trustees, transcripts: dict[str, dict[str, Any]], eligible: bytes
) -> dict[str, Any]:
    """Return the election's manifest."""
    fields = manifest_fields(ballot, roll_setup)
    leaves = [eligible[at : at + 32] for at in range(0, len(eligible), 32)]
    fields |= {
        "chain_id": ballot.run.chain_id,
        "registry": "0x" + ballot.run.registry.hex(),
        "draft_id": ballot.run.draft_id.hex(),
        "ballot_transcript": sha256(encode_canonical(transcripts["ballot"])).hexdigest(),
        "roll_transcript": sha256(encode_canonical(transcripts["roll"])).hexdigest(),
        "eligible": {
            "root": compute_root(leaves).hex(),
            "size": len(leaves),
            "file_digest": sha256(eligible).hexdigest(),
        },
        "registrars": [
            {
                "municipality": f"municipality {at}",
                "account": "0x" + f"a{at}" * 20,
                "receipt_key": hexed(point_of(SIGNER_KEYS[name])),
                "attestor_key": hexed(point_of(SIGNER_KEYS["attestor"])) if at == 1 else "",
            }
            for at, name in enumerate(("registrar", "witness 2", "witness 3"), 1)
        ],
        "relays": [
            {
                "municipality": "municipality 2",
                "account": RELAY_ACCOUNT,
                "receipt_key": hexed(point_of(SIGNER_KEYS["relay"])),
                "url": "https://2.example",
            }
        ],
    }
    return fields


@lru_cache(maxsize=4)
def hold_election(voters: int = 6, seed: str = "held") -> HeldElection:
    """Hold an honest election of that many voters, half of them in each style."""
    setups = {
        "ballot": key_generation(),
        "roll": key_generation(purpose=KeyPurpose.ROLL),
    }
    setups["roll"] = _with_encryption_keys_of(setups["ballot"], setups["roll"])
    transcripts = {
        "ballot": build_transcript(setups["ballot"], KeyPurpose.BALLOTS),
        "roll": build_transcript(setups["roll"], KeyPurpose.ROLL),
    }
    draft_id = setups["ballot"].run.draft_id
    electors = {at: (7 if at % 2 == 0 else 8) for at in range(voters + 2)}
    leaves = sorted(
        compute_leaf(compute_slot(SLOT_KEY, draft_id, str(at).encode()), style)
        for at, style in electors.items()
    )
    manifest = build_manifest(setups["ballot"], setups["roll"], transcripts, b"".join(leaves))
    eid = tagged_hash("JMEV1/eid", encode_canonical(manifest))
    commission = Commission(eid, draft_id, setups["roll"].key)
    return _Day(
        seed=seed,
        voters=voters,
        electors=electors,
        manifest=manifest,
        transcripts=transcripts,
        commission=commission,
        setups=setups,
    ).hold()


def _with_encryption_keys_of(first: Trustees, second: Trustees) -> Trustees:
    """Return the second key generation run among the very trustees of the first."""
    run = replace(second.run, trustees=first.run.trustees)
    source = SeededNonces("second key")
    count = len(run.trustees)
    dealings = {dealer: deal(run, dealer, source) for dealer in range(1, count + 1)}
    key, share_keys = derive_public({at: reveal for at, (_, reveal) in dealings.items()}, count)
    shares = tuple(
        derive_share({at: secret.share_for(j) for at, (secret, _) in dealings.items()})
        for j in range(1, count + 1)
    )
    return Trustees(
        run=run,
        encryption_secrets=first.encryption_secrets,
        dealings=dealings,
        key=key,
        share_keys=share_keys,
        shares=shares,
    )


@dataclass(kw_only=True)
class _Day:
    """The election from enrolment to result."""

    seed: str
    voters: int
    electors: dict[int, int]
    manifest: dict[str, Any]
    transcripts: dict[str, dict[str, Any]]
    commission: Commission
    setups: dict[str, Trustees]

    def hold(self) -> HeldElection:
        """Run it."""
        eid, commission = self.commission.eid, self.commission
        devices = {at: Device(eid, f"{self.seed} {at}") for at in self.electors}
        lost = Device(eid, f"{self.seed} lost")
        # Elector 0 enrols a device that is lost, then another; the last elector votes on paper.
        commission.enrol(0, self.electors[0], lost.key)
        for at in range(self.voters + 2):
            if at != self.voters:
                commission.enrol(at, self.electors[at], devices[at].key, batch=at % 2)
        paper = self.voters + 1
        active = self._active(cancelled={paper})
        ballots = self._vote(devices, lost)
        withdrawing = devices[1]
        digest = withdrawal_hash(eid, withdrawing.key, withdrawing.sequence + 1)
        withdrawals = [
            withdrawing.key.encode_xy() + encode_i8(150) + sign65(withdrawing.secret, digest)
        ]
        source = SeededNonces(f"{self.seed} tally")
        lists, opened = [], {}
        for style, entries in active.items():
            if not entries:
                opened[style] = []
                continue
            rows = self._roll_rows(entries)
            held = self._mix(ListKind.ROLL, style, rows, source)
            lists.append(held)
            opened[style] = self._decrypt(held, source)
        cleansing = cleanse([decode_core(each.core) for each in ballots], {withdrawing.key}, opened)
        results = []
        for race, candidates in CANDIDATES.items():
            if not any(choice.race == race for core in cleansing.kept for choice in core.choices):
                continue
            held = self._mix(ListKind.BALLOTS, race, build_race_list(cleansing.kept, race), source)
            lists.append(held)
            results.append(count_race(eid, race, candidates, self._decrypt(held, source)))
        return HeldElection(
            manifest=self.manifest,
            transcripts=self.transcripts,
            enrolments=commission.enrolments,
            active=active,
            cancels=[self._end(paper)],
            ballots=ballots,
            withdrawals=withdrawals,
            lists=lists,
            results=results,
            receipts=self._receipts(active, ballots),
        )

    def _end(self, elector: int) -> Ended:
        """Return the record by which an elector votes on paper."""
        slot = compute_slot(SLOT_KEY, self.commission.draft_id, str(elector).encode())
        record = CancelRecord(
            eid=self.commission.eid,
            slot=slot,
            reason=CancelReason.PAPER,
            evidence=sha256(b"paper").digest(),
            time_s=ENROLS_AT + 86_400,
        )
        return Ended(record=record, salt=sha256(b"salt of the cancel record").digest(), batch=1)

    def _active(self, cancelled: set[int]) -> dict[int, list[Enrolment]]:
        last: dict[bytes, Enrolment] = {}
        for each in self.commission.enrolments:
            if int(each.elector) not in cancelled:
                last[each.entry.slot] = each
        return {
            style: sorted(
                (each for each in last.values() if each.entry.style == style),
                key=lambda each: each.commitment,
            )
            for style in STYLES
        }

    def _roll_rows(self, entries: list[Enrolment]) -> CiphertextList:
        a, b = (vector_of(getattr(each.entry, part) for each in entries) for part in ("a", "b"))
        return CiphertextList((Column(a=a, b=b),))

    def _vote(self, devices: dict[int, Device], lost: Device) -> list[Recorded]:
        opens_at, key = self.manifest["opens_at"], self.setups["ballot"].key
        plan: list[tuple[Device, int, list[int]]] = [(lost, self.electors[0], [3, 2])]
        plan += [
            (devices[at], self.electors[at], [at % 4, at % 3][: len(STYLES[self.electors[at]])])
            for at in range(self.voters)
        ]
        # Elector 2 votes again.
        plan.append((devices[2], self.electors[2], [2, 0]))
        return [
            record_ballot(
                device.vote(style, choices, key), 100 + at // 3, opens_at + 100 * (at // 3)
            )
            for at, (device, style, choices) in enumerate(plan)
        ]

    def _mix(
        self, kind: ListKind, number: int, rows: CiphertextList, source: SeededNonces
    ) -> HeldList:
        """Let every mixer mix; the second of the first ballot list cheats and is left out."""
        held = HeldList(kind=kind, number=number, start=rows)
        name = "roll" if kind is ListKind.ROLL else "ballot"
        key = self.setups[name].key
        for place, mixer in enumerate(self.manifest["mixers"], 1):
            outputs, secret = shuffle(held.final, (key,), source)
            statement = ShuffleStatement(
                context=self._context(kind, number, place),
                keys=(key,),
                inputs=held.final,
                outputs=outputs,
            )
            proof = prove_shuffle(statement, secret, source)
            is_valid = not (kind is ListKind.BALLOTS and number == 1 and place == 2)
            if not is_valid:
                proof = replace(proof, z1=(proof.z1 + 1))
            held.rounds.append(Round(mixer=mixer, outputs=outputs, proof=proof, is_valid=is_valid))
        return held

    def _decrypt(self, held: HeldList, source: SeededNonces) -> list[Point]:
        """Let all trustees but the third of the roll give their shares."""
        setup = self.setups["roll" if held.kind is ListKind.ROLL else "ballot"]
        for at, share in enumerate(setup.shares, 1):
            if held.kind is ListKind.ROLL and at == 3:
                continue
            statement = DecryptionStatement(
                context=self._context(held.kind, held.number, 0),
                rows=held.final,
                column=0,
                trustee=at,
                share_key=setup.share_keys[at - 1],
            )
            held.shares[at] = build_share(statement, share, source)
        vectors = {at: share.shares for at, share in held.shares.items()}
        return combine_shares(held.final, 0, vectors, setup.run.threshold)

    def _context(self, kind: ListKind, number: int, place: int) -> ListContext:
        return ListContext(eid=self.commission.eid, kind=kind, list_id=number, round=place)

    def _receipts(
        self, active: dict[int, list[Enrolment]], ballots: list[Recorded]
    ) -> list[dict[str, Any]]:
        entry, ballot = active[7][0], ballots[1]
        return [
            roll_receipt(self.commission.eid, entry.commitment, entry.batch),
            ballot_receipt(self.commission.eid, ballot.digest, ballot.height + 5),
        ]


def roll_receipt(eid: bytes, commitment: bytes, batch: int) -> dict[str, Any]:
    """Return the commission's receipt of an enrolment."""
    time_s = 1_800_000_000
    digest = tagged_hash(
        "JMEV1/roll-receipt", eid + commitment + encode_i4(batch) + encode_i8(time_s)
    )
    return {
        "kind": "roll",
        "commitment": hexed(commitment),
        "batch": batch,
        "time": time_s,
        "registrar_signature": hexed(sign65(SIGNER_KEYS["registrar"], digest)),
        "attestor_signature": hexed(sign65(SIGNER_KEYS["attestor"], digest)),
    }


def ballot_receipt(eid: bytes, digest: bytes, deadline: int) -> dict[str, Any]:
    """Return the relay's receipt of a ballot."""
    signed = tagged_hash("JMEV1/ballot-receipt", eid + digest + encode_i8(deadline))
    return {
        "kind": "ballot",
        "ballot_hash": hexed(digest),
        "deadline": deadline,
        "relay": RELAY_ACCOUNT,
        "signature": hexed(sign65(SIGNER_KEYS["relay"], signed)),
    }


INCIDENTS = {
    (town, number): encode_canonical(
        {"number": number, "severity": "warning", "text": f"event {town}-{number}", "time": 5_000}
    )
    for town, number in ((1, 1), (3, 1), (3, 2))
}
"""Incidents of two municipalities."""


def record_files(held: HeldElection, *, is_accredited: bool = False) -> dict[str, bytes]:
    """Return the record's files by path, all but the list of them."""
    eid = held.eid
    draft_id = bytes.fromhex(held.manifest["draft_id"])
    electors = {int(each.elector): each.entry.style for each in held.enrolments}
    every = range(held.manifest["eligible"]["size"])
    leaves = sorted(
        compute_leaf(
            compute_slot(SLOT_KEY, draft_id, str(at).encode()),
            electors.get(at, 7 if at % 2 == 0 else 8),
        )
        for at in every
    )
    files = {
        "manifest.json": held.manifest_bytes,
        "eligible.bin": b"".join(leaves),
        "dkg/ballot.json": encode_canonical(held.transcripts["ballot"]),
        "dkg/roll.json": encode_canonical(held.transcripts["roll"]),
        "ballots.bin": encode_ballots(held.ballots),
        "withdrawals.bin": b"".join(held.withdrawals),
        "chain.json": encode_canonical(chain_record(held)),
    }
    for style, entries in held.active.items():
        if entries:
            files[f"roll/active-{style}.bin"] = b"".join(each.commitment for each in entries)
    for each in held.lists:
        files |= _list_files(each, eid, is_accredited=is_accredited)
    files |= {f"incidents/{town}-{at}.json": data for (town, at), data in INCIDENTS.items()}
    for at, receipt in enumerate(held.receipts):
        files[f"receipts/{at}.json"] = encode_canonical(receipt)
    return files


def _list_files(held: HeldList, eid: bytes, *, is_accredited: bool) -> dict[str, bytes]:
    files = {}
    if held.kind is ListKind.BALLOTS or is_accredited:
        files[f"lists/{held.label}-0.bin"] = held.start.encode()
    for at, each in enumerate(held.rounds, 1):
        if each.outputs is not None and each.proof is not None:
            files[f"lists/{held.label}-{at}.bin"] = each.outputs.encode()
            files[f"mixes/{held.label}-{at}.bin"] = each.proof.encode()
    for at, share in held.shares.items():
        files[f"shares/{held.label}-{at}.bin"] = share.shares.encode()
        files[f"shares/{held.label}-{at}.proof"] = encode_share_proof(share)
    return files


def encode_share_proof(share: DecryptionShare) -> bytes:
    """Return a share's proof file."""
    proof = share.proof
    return proof.t1.encode() + proof.t2.encode() + encode_scalar(proof.z)


def encode_ballots(ballots: list[Recorded]) -> bytes:
    """Return the file of recorded ballots."""
    return b"".join(
        encode_i8(at)
        + encode_i8(each.height)
        + encode_i8(each.time_s)
        + encode_i2(len(each.core))
        + each.core
        + each.signature
        for at, each in enumerate(ballots)
    )


def box_value(eid: bytes, ballots: list[Recorded]) -> bytes:
    """Return the closed box's value."""
    value = eid
    for at, each in enumerate(ballots):
        value = sha256(value + each.digest + encode_i8(at)).digest()
    return value


def chain_record(held: HeldElection) -> dict[str, Any]:
    """Return what the contracts say of the election."""
    manifest = held.manifest
    limits = manifest["limits"]
    batches = []
    for number in (0, 1):
        commitments = sorted(each.commitment for each in held.enrolments if each.batch == number)
        cancels = sorted(each.commitment for each in held.cancels if each.batch == number)
        batches.append(
            {
                "number": number,
                "root": compute_root([*commitments, *cancels]).hex(),
                "entry_count": len(commitments),
                "cancel_count": len(cancels),
                "height": 50 + number,
            }
        )
    frozen = []
    for style, entries in held.active.items():
        values = [each.commitment for each in entries]
        frozen.append(
            {
                "style": style,
                "root": compute_root(values).hex(),
                "count": len(values),
                "file_digest": sha256(b"".join(values)).hexdigest(),
                "height": 300,
            }
        )
    return {
        "version": 1,
        "contracts": {"Elections": manifest["registry"], **CONTRACTS},
        "terms": {
            "draft_id": manifest["draft_id"],
            "is_mock": manifest["is_mock"],
            "opens_at": manifest["opens_at"],
            "closes_at": manifest["closes_at"],
            "freezes_at": manifest["freezes_at"],
            "max_sequence": limits["max_sequence"],
            "min_interval_s": limits["min_interval_s"],
            "mix_time_s": limits["mix_time_s"],
            "threshold": manifest["threshold"],
            "attestations": manifest["attestations"],
            "min_mixes": manifest["min_mixes"],
            "trustees": [each["municipality_id"] for each in manifest["trustees"]],
            "trustee_accounts": [each["account"] for each in manifest["trustees"]],
            "mixers": manifest["mixers"],
            "registrars": [each["account"] for each in manifest["registrars"]],
            "relays": [each["account"] for each in manifest["relays"]],
            "races": [[each["race"], len(each["candidates"])] for each in manifest["races"]],
            "style_races": [
                [each["style"], race] for each in manifest["styles"] for race in each["races"]
            ],
        },
        "announced_height": 20,
        "batches": batches,
        "frozen": frozen,
        "box": {
            "count": len(held.ballots),
            "value": hexed(box_value(held.eid, held.ballots)),
            "closed_height": 200,
        },
        "lists": [_list_record(each, held.eid) for each in held.lists],
        "results": [
            {
                "race": each.race,
                "is_mock": manifest["is_mock"],
                "result": hexed(compute_result_hash(held.eid, each)),
                "numbers": [*each.counts, each.invalid],
                "height": 500,
            }
            for each in held.results
        ],
        "bulletin": [
            {
                "municipality": town,
                "step": 1_000 + number,
                "digest": sha256(data).hexdigest(),
                "height": 90,
            }
            for (town, number), data in INCIDENTS.items()
        ],
        "abandoned": None,
    }


def _list_record(held: HeldList, eid: bytes) -> dict[str, Any]:
    context = ListContext(eid=eid, kind=held.kind, list_id=held.number, round=0)
    rounds = []
    for at, each in enumerate(held.rounds, 1):
        is_posted = each.outputs is not None and each.proof is not None
        output = compute_list_digest(context, each.outputs) if each.outputs is not None else b""
        proof = sha256(each.proof.encode()).digest() if each.proof is not None else b""
        rounds.append(
            {
                "round": at,
                "mixer": each.mixer,
                "output": hexed(output) if is_posted else "",
                "proof": hexed(proof) if is_posted else "",
                "is_valid": each.is_valid,
                "height": 310 + at,
            }
        )
    shares = []
    for at, share in held.shares.items():
        data = share.shares.encode()
        head = context.encode() + encode_i2(at) + encode_i8(len(data) // 33)
        shares.append(
            {
                "trustee": at,
                "shares": hexed(tagged_hash("JMEV1/dec-list", head + data)),
                "proof": sha256(encode_share_proof(share)).hexdigest(),
                "height": 400,
            }
        )
    return {
        "kind": held.label.partition("-")[0],
        "number": held.number,
        "row_count": len(held.start),
        "digest": hexed(compute_list_digest(context, held.start)),
        "height": 310,
        "rounds": rounds,
        "shares": shares,
    }


def write_record(
    folder: Path, files: dict[str, bytes], held: HeldElection, **fields: object
) -> Path:
    """Write files and the list of them, whatever they hold; ``fields`` bend the list's head."""
    for path, data in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    index = {
        "version": 1,
        "eid": held.eid.hex(),
        "chain_id": held.manifest["chain_id"],
        "genesis_hash": "99" * 32,
        "height": 600,
        "is_mock": held.manifest["is_mock"],
        "files": [
            {"path": path, "size": len(data), "sha256": sha256(data).hexdigest()}
            for path, data in sorted(files.items())
        ],
    } | fields
    (folder / "record.json").write_bytes(encode_canonical(index))
    return folder


def bend_json(data: bytes, change: Any) -> bytes:
    """Return canonical JSON after a change to the parsed value."""
    value = json.loads(data)
    change(value)
    return encode_canonical(value)
