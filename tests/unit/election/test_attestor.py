"""ROLL-ATTESTOR: what the second attestor takes over, signs once, remembers and refuses.

An election of two electors on a ledger in memory; the registrar asks as it does in a service, and
as it must not.
"""

import stat
from pathlib import Path
from typing import Any

import pytest

from clients.voting.group import decode_point
from clients.voting.roll_files import CancelReason, CancelRecord, check_signer
from node.primitives.errors import InvalidInput
from services.election.commission.attestor import Attestor, AttestorRefusal
from services.election.commission.attestor_store import AttestorStore
from services.election.commission.attestor_wire import (
    AskCancel,
    AskForget,
    AskManifest,
    AskRollPage,
    RollRow,
    decode_ask,
)
from services.election.commission.checking import EntryFault
from tests.support.commission import DRAFT, Poll, elector, open_poll

ELECTORS = [elector(0), elector(1)]


async def ask_cancel(poll: Poll, *, at_s: int | None = None, **changes: Any) -> Any:
    """Ask for a cancel record's signature."""
    values = {
        "eid": poll.eid.hex(),
        "slot": (await poll.commission.slot(0)).hex(),
        "reason": int(CancelReason.PAPER),
        "evidence": "05" * 32,
        "time": int(poll.commission.clock.now().timestamp()) if at_s is None else at_s,
    }
    return await poll.commission.attestor.answer(AskCancel.model_validate(values | changes))


async def test_a_cancel_record_is_signed_by_the_manifests_key_and_closes_the_slot(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        now_s = int(poll.commission.clock.now().timestamp())

        answer = await ask_cancel(poll, at_s=now_s)

        record = CancelRecord(
            eid=poll.eid,
            slot=await poll.commission.slot(0),
            reason=CancelReason.PAPER,
            evidence=b"\x05" * 32,
            time_s=now_s,
        )
        key = decode_point(bytes.fromhex(poll.manifest.registrars[0].attestor_key))
        check_signer(record.digest, bytes.fromhex(answer.signature), key)
        memory = poll.commission.store.slot(poll.eid, DRAFT, record.slot)
        assert memory is not None
        assert (memory.closed, memory.cancelled_s) == (CancelReason.PAPER, now_s)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"eid": "00" * 32}, AttestorRefusal.ELECTION, id="unknown election"),
        pytest.param({"slot": "00" * 32}, EntryFault.SLOT, id="a slot that is not on the roll"),
        pytest.param({"time": 1_000}, AttestorRefusal.TIME, id="long ago"),
    ],
)
async def test_another_election_slot_or_time_is_refused(
    tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        answer = await ask_cancel(poll, **changes)

        assert (answer.signature, answer.refusal) == ("", why)


async def test_a_slot_closed_at_the_attestor_gets_no_entry_though_the_registrar_forgot(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        await ask_cancel(poll)

        with pytest.raises(InvalidInput, match=EntryFault.CLOSED.value):
            await poll.commission.enrol(0)
        await poll.commission.enrol(1)


async def test_a_roll_is_taken_over_once(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        attestor, store = poll.commission.attestor, poll.commission.store
        root, before = store.root_of(DRAFT), store.leaves_of(DRAFT)
        assert root is not None
        row = RollRow(slot="aa" * 32, style=1, elector="bb" * 32)

        late = await attestor.answer(AskRollPage(draft=DRAFT.hex(), rows=[row], root=root.hex()))
        other = await attestor.answer(AskRollPage(draft=DRAFT.hex(), rows=[row], root="cc" * 32))

        assert (late.refusal, other.refusal) == ("", AttestorRefusal.ROLL_CLOSED)
        assert store.leaves_of(DRAFT) == before


async def test_a_roll_without_the_root_named_is_forgotten(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        draft = "dd" * 32
        row = RollRow(slot="aa" * 32, style=1, elector="bb" * 32)

        answer = await poll.commission.attestor.answer(
            AskRollPage(draft=draft, rows=[row], root="cc" * 32)
        )

        assert answer.refusal == AttestorRefusal.ROLL_CLOSED
        assert poll.commission.store.leaves_of(bytes.fromhex(draft)) == []
        assert poll.commission.store.root_of(bytes.fromhex(draft)) is None


async def test_a_manifest_that_names_another_attestor_is_refused(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        fields = poll.manifest.model_dump(mode="json")
        fields["registrars"][0]["attestor_key"] = fields["registrars"][0]["receipt_key"]
        other = type(poll.manifest).model_validate(fields)

        answer = await poll.commission.attestor.answer(AskManifest(manifest=other.encode().hex()))

        assert answer.refusal == AttestorRefusal.MANIFEST
        assert poll.commission.store.election(other.eid) is None


async def test_memory_outlives_the_process_and_electors_are_forgotten_on_request(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        accepted = await poll.commission.enrol(0)
        slot, file = await poll.commission.slot(0), tmp_path / "attestor.db"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600

        again = AttestorStore(file)
        memory = again.slot(poll.eid, DRAFT, slot)
        assert memory is not None
        assert (memory.version, memory.commitment) == (1, accepted.receipt.commitment)
        digest = memory.elector
        again.close()

        await poll.commission.attestor.answer(AskForget(draft=DRAFT.hex()))
        assert poll.commission.store.slot(poll.eid, DRAFT, slot) is None
        assert digest not in b"".join(each.read_bytes() for each in files_of(file))


def files_of(file: Path) -> list[Path]:
    """Return a database's file and those beside it."""
    return sorted(file.parent.glob(f"{file.name}*"))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b'{"kind":"entry"}',
        b'{"kind":"steal"}',
        b'{"kind":"forget","draft":"00"}',
        b'{"kind":"cancel","eid":"zz"}',
    ],
)
def test_bytes_that_are_no_request_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_ask(data)


async def test_a_value_that_decodes_to_nothing_is_refused_without_its_content(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        attestor: Attestor = poll.commission.attestor

        answer = await attestor.answer(AskManifest(manifest="00"))

        assert answer.model_dump_json() == '{"signature":"","refusal":"malformed"}'
