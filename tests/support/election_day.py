"""An election day in the world of ``election_world``: keys, manifest, roll, ballots, closing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from clients.voting.ballot import build_core, sign_core
from clients.voting.batch import encode_batch
from clients.voting.ceremony import Messages, Transcript, build_transcript, check_transcript
from clients.voting.dkg import KeyGeneration, KeyPurpose
from clients.voting.encoding import encode_i2, encode_i4
from clients.voting.group import Point, decode_point_xy, generator_multiple
from clients.voting.manifest import Manifest, decode_manifest, encode_canonical
from clients.voting.roll import build_entry, compute_commitment, compute_leaf
from clients.voting.terms import encode_announcement
from node.primitives.crypto import PrivateKey, sha256
from node.primitives.merkle import compute_root
from services.election.board.contracts import encode_call
from services.election.board.refs import (
    active_ref,
    batch_ref,
    eligible_ref,
    manifest_ref,
    transcript_ref,
)
from services.election.trustee.ceremony import Ceremony, join_draft
from tests.support.election_world import TENANTS, World, node_key
from tests.support.ledger import SERVICE_KEYS, key_of
from tests.support.voting import SeededNonces

DRAFT_ID = b"\xd1" * 32
STYLES: Mapping[int, tuple[int, ...]] = {7: (1, 4), 8: (1,)}
CANDIDATES: Mapping[int, int] = {1: 2, 4: 3}
MIX_TIME_S = 600
REGISTER: Mapping[str, int] = {"ann": 7, "bob": 7, "cat": 7, "dan": 8, "eve": 8, "fay": 8}
"""Every elector's style; fay never enrols."""


def slot_of(name: str) -> bytes:
    """Return an elector's slot."""
    return sha256(b"slot of " + name.encode())


def eligible_list() -> bytes:
    """Return the published list of eligible slots."""
    return b"".join(sorted(compute_leaf(slot_of(name), style) for name, style in REGISTER.items()))


@dataclass
class Elector:
    """Somebody with a style and a ballot key."""

    name: str
    style: int
    eid: bytes = b""
    cast_count: int = 0
    secret: PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        """Make the key."""
        self.secret = key_of(f"elector {self.name}")

    @property
    def key(self) -> Point:
        """Return K."""
        return decode_point_xy(self.secret.public_key[1:])


async def make_keys(world: World, *, threshold: int = 3) -> dict[KeyPurpose, bytes]:
    """Draft, and let every town make the keys; return the transcripts' digests."""
    await world.draft(DRAFT_ID)
    members = tuple(town.number for town in world.towns)
    ceremony = Ceremony(draft_id=DRAFT_ID, threshold=threshold, members=members)
    for town in world.towns:
        await town.board.database.transact(
            lambda tx, it=town: join_draft(tx, it.context, ceremony)  # type: ignore[misc]
        )
    await world.settle(lambda town: town.ceremony.advance(DRAFT_ID))
    status = await world.towns[0].ceremony.advance(DRAFT_ID)
    assert status.is_done, (status.waits_for, status.ceremony.fault)
    return dict(status.transcripts)


async def deal_keys(world: World, *, threshold: int = 3) -> dict[KeyPurpose, bytes]:
    """Let the towns' custodians make the keys without bulletin and services, which is faster."""
    await world.draft(DRAFT_ID)
    towns = {town.number: town for town in world.towns}
    context = world.towns[0].context
    registry = context.contracts.elections
    registrations = {
        at: await town.custodian.register(
            DRAFT_ID, chain_id=context.chain_id, registry=registry, node=node_key(at)
        )
        for at, town in towns.items()
    }
    digests = {}
    for purpose in KeyPurpose:
        run = KeyGeneration(
            chain_id=context.chain_id,
            registry=registry,
            draft_id=DRAFT_ID,
            purpose=purpose,
            threshold=threshold,
            trustees=tuple(each.trustee() for each in registrations.values()),
        )
        commitments = {at: await town.custodian.commit(run, at) for at, town in towns.items()}
        reveals = {at: await town.custodian.reveal(run, at) for at, town in towns.items()}
        shares = {at: await town.custodian.deal(run, at) for at, town in towns.items()}
        messages = Messages(
            run=run,
            municipality_ids=tuple(towns),
            registrations=registrations,
            commitments=commitments,
            reveals=reveals,
            shares=shares,
            complaints={
                at: await town.custodian.receive(run, at, reveals, shares)
                for at, town in towns.items()
            },
            confirmations={at: await town.custodian.confirm(run, at) for at, town in towns.items()},
            rehearsals={at: await town.custodian.rehearse(run, at) for at, town in towns.items()},
        )
        data = build_transcript(messages).encode()
        digests[purpose] = sha256(data)
        ref = transcript_ref(DRAFT_ID, sha256(data), is_roll=purpose is KeyPurpose.ROLL)
        await world.towns[0].library.keep(ref, data)
    return digests


def build_manifest(
    world: World,
    transcripts: Mapping[KeyPurpose, bytes],
    *,
    opens_at: int,
    mixers: Sequence[int] = (2, 1, 4, 3),
    min_mixes: int = 3,
) -> Manifest:
    """Write the manifest of these keys."""
    ballots, roll = (_transcript(world, transcripts[purpose]) for purpose in KeyPurpose)
    accounts = ["0x" + key.address.hex() for key in SERVICE_KEYS]
    receipt, leaves = generator_multiple(77).encode().hex(), eligible_list()
    fields: dict[str, object] = {
        "version": 1,
        "chain_id": ballots.chain_id,
        "registry": ballots.registry,
        "draft_id": DRAFT_ID.hex(),
        "is_mock": True,
        "title": "模擬選挙",
        "opens_at": opens_at,
        "closes_at": opens_at + 3_600,
        "freezes_at": opens_at + 4_000,
        "styles": [
            {"style": style, "name": f"区分{style}", "races": list(races)}
            for style, races in STYLES.items()
        ],
        "races": [
            {
                "race": race,
                "name": f"第{race}問",
                "candidates": [
                    {"number": at, "name": f"候補{at}"} for at in range(1, candidates + 1)
                ],
            }
            for race, candidates in CANDIDATES.items()
        ],
        "threshold": ballots.threshold,
        "trustees": [
            {
                "municipality": TENANTS[at - 1],
                "municipality_id": at,
                "account": accounts[at - 1],
                "node": node_key(at).encode().hex(),
                "encryption_key": ballots.trustees[at - 1].encryption_key,
                "ballot_share": ballots.share_keys[at - 1],
                "roll_share": roll.share_keys[at - 1],
                "url": f"https://{TENANTS[at - 1]}.example.lg.jp",
            }
            for at in range(1, len(world.towns) + 1)
        ],
        "ballot_key": ballots.public_key,
        "roll_key": roll.public_key,
        "ballot_transcript": transcripts[KeyPurpose.BALLOTS].hex(),
        "roll_transcript": transcripts[KeyPurpose.ROLL].hex(),
        "registrars": [
            {
                "municipality": TENANTS[at],
                "account": account,
                "receipt_key": receipt,
                "attestor_key": receipt if at == 0 else "",
            }
            for at, account in enumerate(accounts)
        ],
        "attestations": 2,
        "relays": [
            {
                "municipality": TENANTS[0],
                "account": accounts[0],
                "receipt_key": receipt,
                "url": "https://tsukuba.example.lg.jp",
            }
        ],
        "token_modulus": "ab" * 256,
        "limits": {
            "max_sequence": 10,
            "min_interval_s": 1,
            "max_rekey": 3,
            "mix_time_s": MIX_TIME_S,
            "cast_blocks": 100,
        },
        "eligible": {
            "root": compute_root([leaves[at : at + 32] for at in range(0, len(leaves), 32)]).hex(),
            "size": len(leaves) // 32,
            "file_digest": sha256(leaves).hex(),
        },
        "mixers": list(mixers),
        "min_mixes": min_mixes,
        "profile": "P",
    }
    return decode_manifest(encode_canonical(fields))


def _transcript(world: World, digest: bytes) -> Transcript:
    return check_transcript(world.towns[0].context.files.path(digest).read_bytes())


async def announce(world: World, manifest: Manifest) -> None:
    """Announce an election, and give the first town its manifest's files."""
    await world.vote(world.elections, encode_announcement(manifest))
    library = world.towns[0].library
    await library.keep(manifest_ref(manifest.eid), manifest.encode())
    await library.keep(eligible_ref(manifest.eid, manifest), eligible_list())
    for text, is_roll in ((manifest.ballot_transcript, False), (manifest.roll_transcript, True)):
        ref = transcript_ref(manifest.eid, bytes.fromhex(text), is_roll=is_roll)
        assert await library.read(ref) is not None


async def enrol(
    world: World, manifest: Manifest, electors: Sequence[Elector]
) -> dict[int, list[bytes]]:
    """Post the electors' entries as one batch; return the commitments of each style."""
    source = SeededNonces("enrolment")
    rows = []
    for elector in electors:
        elector.eid = manifest.eid
        entry = build_entry(
            eid=manifest.eid,
            slot=slot_of(elector.name),
            style=elector.style,
            version=1,
            nonce=source.draw(32),
            key=elector.key,
            roll_key=manifest.roll_point(),
            source=source,
        )
        commitment = compute_commitment(entry.digest, source.draw(32))
        rows.append((commitment, elector.style, entry.a.encode() + entry.b.encode()))
    rows.sort()
    data = encode_i4(len(rows)) + b"".join(
        commitment + encode_i2(style) + row for commitment, style, row in rows
    )
    data += encode_i4(0)
    root = compute_root([commitment for commitment, _, _ in rows])
    call = encode_call("Credentials", "post_batch", manifest.eid, 0, root, len(rows), 0)
    for number in (1, 2):
        await world.send(number, world.credentials, call)
    state = await world.towns[0].election(manifest.eid)
    await world.towns[0].library.keep(batch_ref(state, 0), data)
    return {
        style: [commitment for commitment, each, _ in rows if each == style] for style in STYLES
    }


async def cast(world: World, manifest: Manifest, votes: Sequence[tuple[Elector, int]]) -> None:
    """Cast a ballot for the same candidate in every race, for each of these electors."""
    ballots = []
    for elector, choice in votes:
        elector.cast_count += 1
        core, _ = build_core(
            eid=manifest.eid,
            style=elector.style,
            key=elector.key,
            sequence=elector.cast_count,
            choices=[(race, choice) for race in STYLES[elector.style]],
            election_key=manifest.ballot_point(),
            source=SeededNonces(f"{elector.name} {elector.cast_count}"),
        )
        ballots.append(sign_core(core, elector.secret))
    call = encode_call("BallotBox", "cast", manifest.eid, encode_batch(ballots))
    made = await world.send(1, world.box, call)
    assert len(made.result.receipts[0].logs) == len(ballots)


async def close_and_freeze(
    world: World, manifest: Manifest, active: Mapping[int, Sequence[bytes]]
) -> None:
    """Close the box and freeze the roll."""
    await world.go_to(manifest.closes_at)
    await world.send(1, world.box, encode_call("BallotBox", "close", manifest.eid))
    await world.go_to(manifest.freezes_at)
    for style, commitments in active.items():
        data = b"".join(commitments)
        call = encode_call(
            "Credentials",
            "freeze",
            manifest.eid,
            style,
            compute_root(commitments),
            len(commitments),
            sha256(data),
        )
        for number in (1, 2, 3):
            await world.send(number, world.credentials, call)
        if commitments:
            state = await world.towns[0].election(manifest.eid)
            await world.towns[0].library.keep(active_ref(state, style), data)


@dataclass(frozen=True, kw_only=True)
class Day:
    """An election whose box is closed and whose roll is frozen."""

    manifest: Manifest
    electors: Sequence[Elector]

    @property
    def eid(self) -> bytes:
        """Return the election."""
        return self.manifest.eid


async def hold_day(
    world: World,
    *,
    mixers: Sequence[int] = (2, 1, 4, 3),
    min_mixes: int = 3,
    has_ceremony: bool = False,
) -> Day:
    """Make keys, announce, enrol five, let them and a stranger vote, close and freeze.

    Ballots: ann 1, then 2 (counts); bob 1; cat 0 (blank); dan 2 (style 8); eve does not vote; a
    stranger votes and is on no roll.
    """
    transcripts = await (make_keys(world) if has_ceremony else deal_keys(world))
    manifest = build_manifest(
        world, transcripts, opens_at=world.now_s + 1_000, mixers=mixers, min_mixes=min_mixes
    )
    await announce(world, manifest)
    ann, bob, cat = (Elector(name, 7) for name in ("ann", "bob", "cat"))
    dan, eve = Elector("dan", 8), Elector("eve", 8)
    active = await enrol(world, manifest, [ann, bob, cat, dan, eve])
    await world.go_to(manifest.opens_at)
    await cast(world, manifest, [(ann, 1), (bob, 1), (Elector("stranger", 7), 1)])
    await cast(world, manifest, [(ann, 2), (cat, 0), (dan, 2)])
    await close_and_freeze(world, manifest, active)
    return Day(manifest=manifest, electors=[ann, bob, cat, dan, eve])


def counts_of(numbers: bytes) -> list[int]:
    """Return a result's numbers: blank, candidates, invalid."""
    return [int.from_bytes(numbers[at : at + 8], "big") for at in range(0, len(numbers), 8)]
