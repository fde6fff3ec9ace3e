"""The custodian: through its socket, keeping every rule whoever asks; its vault, damaged or old.

DKG-COMMIT, DKG-DERIVE, DEC-SHARE, TALLY-SHARE.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from clients.voting.ciphertexts import ListContext, ListKind, compute_list_digest
from clients.voting.decryption import DecryptionShare, DecryptionStatement, is_share_valid
from clients.voting.dkg import KeyGeneration, KeyPurpose
from clients.voting.group import Point, decode_point, decode_vector, generator_multiple
from services.election.board.state import ElectionState, ElectionTerms, Round, TallyList
from services.election.trustee.custodian import CustodianRefused, VaultCustodian
from services.election.trustee.custodian_server import CustodianServer
from services.election.trustee.custodian_wire import Frame, receive_frame, send_frame
from services.election.trustee.remote_custodian import CustodianDown, RemoteCustodian
from services.election.trustee.vault import VaultDamaged, open_vault
from services.election.trustee.work import decode_proof
from services.kit.sockets import listening
from tests.support.voting import EID, SeededNonces, encrypted_list

DRAFT = b"\x22" * 32
NODE = generator_multiple(5)
REGISTRY = b"\x11" * 20
B, R = ListKind.BALLOTS, ListKind.ROLL
TERMS = ElectionTerms(
    draft_id=DRAFT,
    is_mock=True,
    opens_at=1,
    closes_at=2,
    freezes_at=3,
    max_sequence=1,
    min_interval_s=0,
    mix_time_s=10,
    threshold=1,
    attestations=1,
    min_mixes=1,
    trustees=(3,),
    trustee_accounts=("0x" + "01" * 20,),
    mixers=(1,),
    registrars=("0x" + "01" * 20,),
    relays=("0x" + "01" * 20,),
    races=((1, 2),),
    style_races=((7, 1),),
)


@dataclass
class Chain:
    """What the custodian's own view of the ledger shows."""

    state: ElectionState | None = field(
        default_factory=lambda: ElectionState(
            eid=EID, terms=TERMS, announced_height=1, announced_at_s=1
        )
    )

    def show(self, kind: ListKind, number: int, rows: bytes, *, is_valid: bool | None) -> None:
        """Show a list whose one mix has this verdict."""
        assert self.state is not None
        mixed = Round(
            number=1,
            mixer=1,
            output=rows,
            proof=b"\x01" * 32,
            height=5,
            time_s=5,
            is_valid=is_valid,
        )
        tally = TallyList(
            kind=kind,
            number=number,
            row_count=2,
            start=b"\x0f" * 32,
            height=4,
            started_at_s=4,
            rounds=(mixed,),
        )
        self.state = replace(self.state, lists={**self.state.lists, (kind, number): tally})


@dataclass
class Held:
    """A running custodian and who asks it."""

    asks: RemoteCustodian
    chain: Chain
    folder: Path
    socket: Path
    share_key: Point = field(default_factory=lambda: generator_multiple(1))


async def find(chain: Chain) -> ElectionState | None:
    return chain.state


def open_holder(folder: Path, chain: Chain) -> VaultCustodian:
    vault = open_vault((folder / "one", folder / "two"), folder / "acts.log", "a password")
    return VaultCustodian(
        vault,
        lambda eid: find(chain),
        municipality=3,
        nonces=SeededNonces(f"custodian {vault.secrets.serial}"),
        now_s=lambda: 1_800_000_000,
    )


@asynccontextmanager
async def running(folder: Path, chain: Chain | None = None) -> AsyncIterator[Held]:
    chain = Chain() if chain is None else chain
    socket = folder / "socket"
    async with listening(CustodianServer(open_holder(folder, chain)).serve_one, socket):
        yield Held(RemoteCustodian(socket), chain, folder, socket)


async def make_run(held: Held, purpose: KeyPurpose = KeyPurpose.BALLOTS) -> KeyGeneration:
    registered = await held.asks.register(DRAFT, chain_id=1, registry=REGISTRY, node=NODE)
    registered.check(chain_id=1, registry=REGISTRY)
    return KeyGeneration(
        chain_id=1,
        registry=REGISTRY,
        draft_id=DRAFT,
        purpose=purpose,
        threshold=1,
        trustees=(registered.trustee(),),
    )


async def make_key(held: Held, purpose: KeyPurpose = KeyPurpose.BALLOTS) -> KeyGeneration:
    run = await make_run(held, purpose)
    await held.asks.commit(run, 1)
    reveal = await held.asks.reveal(run, 1)
    dealt = await held.asks.deal(run, 1)
    await held.asks.receive(run, 1, {1: reveal}, {1: dealt})
    held.share_key = decode_point(bytes.fromhex(reveal.coefficients[0]))
    return run


def rows(seed: str, kind: ListKind = B, number: int = 1) -> tuple[bytes, bytes]:
    """Return a list of two rows and its digest."""
    made, _ = encrypted_list((generator_multiple(9),), 2, SeededNonces(seed))
    context = ListContext(eid=EID, kind=kind, list_id=number, round=0)
    return made.encode(), compute_list_digest(context, made)


async def test_a_final_list_is_decrypted_and_the_shares_hold(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
        made, _ = encrypted_list((generator_multiple(9),), 2, SeededNonces("final"))
        data, digest = rows("final")
        held.chain.show(B, 1, digest, is_valid=True)

        shares, proof = await held.asks.decrypt(EID, B, 1, data)

        statement = DecryptionStatement(
            context=ListContext(eid=EID, kind=B, list_id=1, round=0),
            rows=made,
            column=0,
            trustee=1,
            share_key=held.share_key,
        )
        share = DecryptionShare(shares=decode_vector(shares), proof=decode_proof(proof))
        assert is_share_valid(statement, share)
        # The same list again, as after a crash: the same shares.
        assert (await held.asks.decrypt(EID, B, 1, data))[0] == shares


async def test_86_a_list_that_the_ledger_does_not_show_as_final_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
        data, digest = rows("first")
        other, _ = rows("other")
        for is_valid in (None, False):
            held.chain.show(B, 1, digest, is_valid=is_valid)
            with pytest.raises(CustodianRefused, match="no such final list"):
                await held.asks.decrypt(EID, B, 1, data)
        held.chain.show(B, 1, digest, is_valid=True)
        with pytest.raises(CustodianRefused, match="another list as final"):
            await held.asks.decrypt(EID, B, 1, other)
        with pytest.raises(CustodianRefused, match="no such final list"):
            await held.asks.decrypt(EID, B, 2, data)
        assert held.chain.state is not None
        held.chain.state = replace(held.chain.state, abandoned=b"\x01" * 32)
        with pytest.raises(CustodianRefused, match="abandoned"):
            await held.asks.decrypt(EID, B, 1, data)
        held.chain.state = None
        with pytest.raises(CustodianRefused, match="no such final list"):
            await held.asks.decrypt(EID, B, 1, data)


async def test_a_second_list_of_a_race_is_never_decrypted(tmp_path: Path) -> None:
    old = tmp_path / "old"
    async with running(tmp_path) as held:
        await make_key(held)
        first, second = rows("first"), rows("second")
        old.mkdir()
        for name in ("one", "two"):
            shutil.copyfile(tmp_path / name, old / name)
        held.chain.show(B, 1, first[1], is_valid=True)
        await held.asks.decrypt(EID, B, 1, first[0])

        held.chain.show(B, 1, second[1], is_valid=True)
        with pytest.raises(CustodianRefused, match="was decrypted"):
            await held.asks.decrypt(EID, B, 1, second[0])

    # Nor after older secrets were put in the place of the newer ones: the log remembers.
    for name in ("one", "two"):
        shutil.copyfile(old / name, tmp_path / name)
    async with running(tmp_path, held.chain) as again:
        with pytest.raises(CustodianRefused, match="was decrypted"):
            await again.asks.decrypt(EID, B, 1, second[0])


async def test_79_the_ballot_keys_share_does_not_open_a_roll(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
        data, digest = rows("roll", R, 7)
        held.chain.show(R, 7, digest, is_valid=True)

        with pytest.raises(CustodianRefused, match="no share"):
            await held.asks.decrypt(EID, R, 7, data)


async def test_a_dealing_is_the_same_ever_after(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        run = await make_run(held)
        commitment = await held.asks.commit(run, 1)
        assert await held.asks.commit(run, 1) == commitment
        reveal = await held.asks.reveal(run, 1)
    async with running(tmp_path, held.chain) as again:
        assert await again.asks.commit(run, 1) == commitment
        assert await again.asks.reveal(run, 1) == reveal
        with pytest.raises(CustodianRefused, match="another run"):
            await again.asks.commit(replace(run, chain_id=2), 1)
        with pytest.raises(CustodianRefused, match="no dealing"):
            await again.asks.reveal(replace(run, purpose=KeyPurpose.ROLL), 1)
        with pytest.raises(CustodianRefused, match=r"holds? no|is held here"):
            await again.asks.confirm(run, 1)


async def test_what_is_no_request_is_refused_and_a_missing_custodian_is_told(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as held:
        for head in ({}, {"ask": "secrets"}, {"ask": "commit"}, {"ask": "decrypt", "eid": "zz"}):
            reader, writer = await asyncio.open_unix_connection(held.socket)
            await send_frame(writer, Frame(head=head))
            answer = await receive_frame(reader)
            assert set(answer.head) == {"refusal"}
            writer.close()
    with pytest.raises(CustodianDown):
        await held.asks.register(DRAFT, chain_id=1, registry=REGISTRY, node=NODE)


async def test_one_damaged_copy_is_mended_and_two_stop_the_start(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
    good = (tmp_path / "two").read_bytes()
    (tmp_path / "one").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))

    open_holder(tmp_path, held.chain)
    assert (tmp_path / "one").read_bytes() != good[:-1] + bytes([good[-1] ^ 1])
    for name in ("one", "two"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(VaultDamaged, match="no copy opens"):
        open_holder(tmp_path, held.chain)


@pytest.mark.parametrize("damage", ["first line", "last line", "a digit"])
async def test_a_log_that_was_shortened_or_changed_stops_the_start(
    tmp_path: Path, damage: str
) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
    log = tmp_path / "acts.log"
    lines = log.read_bytes().splitlines(keepends=True)
    assert len(lines) == 3
    if damage == "first line":
        lines = lines[1:]
    elif damage == "last line":
        lines = lines[:-1]
    else:
        lines[0] = lines[0].replace(b'"time_s":18', b'"time_s":17')
    log.write_bytes(b"".join(lines))

    with pytest.raises(VaultDamaged, match="changed"):
        open_holder(tmp_path, held.chain)


async def test_a_line_cut_by_a_crash_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        run = await make_key(held)
    with (tmp_path / "acts.log").open("ab") as file:
        file.write(b'{"act":"decr')

    async with running(tmp_path, held.chain) as again:
        await again.asks.confirm(run, 1)
        await again.asks.rehearse(run, 1)
    open_holder(tmp_path, held.chain)


async def test_the_files_and_the_log_hold_no_secret_in_clear(tmp_path: Path) -> None:
    async with running(tmp_path) as held:
        await make_key(held)
        holder = open_holder(tmp_path, held.chain)
    kept = holder._vault.secrets.drafts[DRAFT.hex()]
    secret = [kept["encryption"], kept["runs"]["B"]["share"], *kept["runs"]["B"]["coefficients"]]
    for name in ("one", "two", "acts.log"):
        data = (tmp_path / name).read_bytes()
        assert not any(s.encode() in data or bytes.fromhex(s) in data for s in secret)
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o600
    assert "one" not in repr(holder._vault.secrets)
