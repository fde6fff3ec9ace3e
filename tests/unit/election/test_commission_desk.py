"""What officers do, function by function, on a real database.

ROLL-IMPORT, ROLL-FIX, ROLL-STORE, CODE-ISSUE, CODE-GUESS, ROLL-CANCEL, ROLL-TWO-PERSON, ROLL-ACTS,
ROLL-EXPORT, ROLL-DESTROY.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import update

from clients.voting.roll_export import InvalidExport, open_export
from clients.voting.roll_files import CancelReason
from services.election.commission.acts import Act, list_acts
from services.election.commission.attestor_client import AttestorDown
from services.election.commission.cancels import SlotClosed, cancel_elector
from services.election.commission.checking import EntryFault, EntryRefused
from services.election.commission.codes import write_code
from services.election.commission.export import make_export
from services.election.commission.invitations import (
    GUESSES_OF_ALL,
    GUESSES_PER_SOURCE,
    Channel,
    Guessing,
    check_guesses,
    issue_code,
    note_guess,
    open_with_code,
)
from services.election.commission.proposals import (
    ProposalKind,
    ProposalMissing,
    SameOfficer,
    decide,
    propose,
)
from services.election.commission.rolls import (
    ManifestUnfit,
    RollNotReady,
    announce,
    fix_roll,
    import_electors,
)
from services.election.commission.tables import GUESSES
from services.kit.envelope import Erased, verify_shredding
from tests.support.commission import DRAFT, Poll, elector, open_poll

ELECTORS = [elector(number) for number in range(4)]


async def run(poll: Poll, work: Any) -> Any:
    """Run ``work(tx, roll, vault)`` in a transaction."""
    commission = poll.commission
    roll = await commission.roll()

    async def inside(tx: Any) -> Any:
        vault = await commission.registrar.vaults.open(tx, roll.tenant, DRAFT)
        return await work(tx, roll, vault)

    return await commission.database.transact(inside)


async def cancel(poll: Poll, number: int, reason: CancelReason) -> Any:
    return await cancel_elector(
        poll.commission.registrar,
        await poll.commission.roll(),
        f"A{number:04}",
        reason=reason,
        evidence=b"\x05" * 32,
        actor=poll.commission.actor(),
    )


async def test_a_fixed_roll_takes_no_import_and_is_fixed_once(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:

        async def again(tx: Any, roll: Any, vault: Any) -> None:
            await import_electors(tx, roll, ELECTORS[:1], vault, is_dry_run=False)

        async def fix(tx: Any, roll: Any, _vault: Any) -> None:
            await fix_roll(tx, roll, expected=4)

        for work in (again, fix):
            with pytest.raises(RollNotReady):
                await run(poll, work)


@pytest.mark.parametrize("part", ["draft_id", "eligible", "token_modulus", "receipt_key"])
async def test_a_manifest_of_another_roll_is_not_taken(tmp_path: Path, part: str) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        fields = poll.manifest.model_dump(mode="json")
        modulus = int(poll.manifest.token_modulus, 16)
        key = poll.manifest.registrars[0].receipt_key
        match part:
            case "draft_id":
                fields["draft_id"] = "00" * 32
            case "eligible":
                fields["eligible"]["root"] = "00" * 32
            case "token_modulus":
                modulus += 2
            case _:
                key = "02" + "11" * 32
        manifest = type(poll.manifest).model_validate(fields)
        roll = replace(await poll.commission.roll(), state="fixed", eid=None, manifest=None)
        async with poll.commission.database.write() as tx:
            with pytest.raises(ManifestUnfit):
                await announce(tx, roll, manifest, receipt_key=key, modulus=modulus)


async def test_a_code_opens_its_slot_until_it_is_spent_or_another_is_issued(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        now, slot = poll.commission.clock.now(), await poll.commission.slot(0)

        async def issue(tx: Any, roll: Any, vault: Any) -> str:
            channel = Channel.COUNTER
            return write_code(await issue_code(tx, roll, slot, vault, channel=channel, now=now))

        async def opens(code: str) -> bool:
            async def work(tx: Any, roll: Any, vault: Any) -> Any:
                return await open_with_code(tx, roll, code, vault, now=now)

            return await run(poll, work) is not None

        first = await run(poll, issue)
        assert await opens(first)
        assert await opens(first.lower().replace("-", ""))
        assert not await opens("0000-0000-0000-0000-1")
        second = await run(poll, issue)
        assert not await opens(first)
        assert await opens(second)
        await cancel(poll, 0, CancelReason.REQUEST)
        assert not await opens(second)


async def test_guesses_close_the_door_to_a_source_and_raise_an_alarm_for_all(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS[:1], towns=1) as poll:
        now = poll.commission.clock.now()

        async def guess(tx: Any, roll: Any, source: bytes) -> bool:
            await check_guesses(tx, roll, source, now)
            return await note_guess(tx, roll, source, now)

        async def work(tx: Any, roll: Any, _vault: Any) -> None:
            for _ in range(GUESSES_PER_SOURCE):
                assert not await guess(tx, roll, b"one")
            with pytest.raises(Guessing):
                await check_guesses(tx, roll, b"one", now)
            await check_guesses(tx, roll, b"another", now)
            # Noted near the bound at once: two thousand guesses take half a minute.
            of_all = update(GUESSES).where(GUESSES.c.source == b"")
            noted = await tx.execute(of_all.values(count=GUESSES_OF_ALL - 3))
            assert noted.rowcount == 1
            alarms = [await guess(tx, roll, at.to_bytes(4, "big")) for at in range(4)]
            assert alarms == [False, False, True, False]
            await guess(tx, roll, b"fresh")
            with pytest.raises(Guessing):
                await check_guesses(tx, roll, b"fresh", now)

        await run(poll, work)


async def test_paper_is_acknowledged_by_two_signatures_and_never_twice(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        await poll.commission.enrol(0)
        poll.commission.line.is_up = False
        with pytest.raises(AttestorDown):
            await cancel(poll, 0, CancelReason.PAPER)
        with pytest.raises(EntryRefused) as caught:
            await poll.commission.enrol(0)
        assert caught.value.fault is EntryFault.CLOSED

        poll.commission.line.is_up = True
        signed = await cancel(poll, 0, CancelReason.PAPER)
        assert len(signed.attestor_signature) == 65
        with pytest.raises(SlotClosed):
            await cancel(poll, 0, CancelReason.PAPER)


async def test_after_a_request_one_may_enrol_again_with_a_later_time(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        first = await poll.commission.enrol(0)
        record = (await cancel(poll, 0, CancelReason.REQUEST)).record
        again = await poll.commission.enrol(0)

        assert (first.version, again.version) == (1, 2)
        assert first.receipt.time_s <= record.time_s < again.receipt.time_s


async def test_more_enrolments_than_the_limit_only_at_a_counter(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        await poll.commission.enrol(0)
        await poll.commission.enrol(0)
        with pytest.raises(EntryRefused) as caught:
            await poll.commission.enrol(0)
        assert caught.value.fault is EntryFault.REKEY
        assert (await poll.commission.enrol(0, is_counter=True)).version == 3


async def test_what_is_proposed_is_decided_by_another_officer_once(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        one, two = poll.commission.actor("staff:one"), poll.commission.actor("staff:two")

        async def put(tx: Any, roll: Any, vault: Any) -> str:
            return await propose(tx, roll, ProposalKind.EXPORT, {}, vault, actor=one)

        proposal = await run(poll, put)

        def by(actor: Any) -> Any:
            async def work(tx: Any, roll: Any, vault: Any) -> Any:
                return await decide(tx, roll, proposal, vault, actor=actor, is_confirmed=True)

            return work

        with pytest.raises(SameOfficer):
            await run(poll, by(one))
        assert (await run(poll, by(two))).kind is ProposalKind.EXPORT
        with pytest.raises(ProposalMissing):
            await run(poll, by(two))
        async with poll.commission.database.read() as tx:
            acts = await list_acts(tx, await poll.commission.roll())
        assert [act.kind for act in acts][-1] is Act.PROPOSED


async def test_an_export_opens_for_its_auditor_alone_and_shows_every_change(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        await poll.commission.enrol(0)
        auditor = X25519PrivateKey.generate()
        export = await make_export(
            poll.commission.database,
            poll.commission.registrar.vaults,
            await poll.commission.roll(),
            auditor="監査法人",
            key=auditor.public_key(),
            folder=tmp_path / "exports",
            clock=poll.commission.clock,
        )
        data = (tmp_path / "exports" / f"{export.id}.roll").read_bytes()

        lines = open_export(data, auditor, poll.eid)
        assert len(lines) == 1 + 4 + 1 + 1
        assert "台帳".encode() not in data
        for bad in (
            (data, X25519PrivateKey.generate(), poll.eid),
            (data, auditor, bytes(32)),
            (data[:-1], auditor, poll.eid),
            (data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], auditor, poll.eid),
            (data[:120], auditor, poll.eid),
        ):
            with pytest.raises(InvalidExport):
                open_export(*bad)


async def test_destruction_leaves_nothing_that_opens_and_a_trail_that_agrees(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        commission = poll.commission
        await commission.enrol(0)
        roll, vaults = await commission.roll(), commission.registrar.vaults
        keys = await commission.database.transact(
            lambda tx: vaults.destroy(tx, roll, commission.clock)
        )

        assert len(keys) == 1
        async with commission.database.read() as tx:
            with pytest.raises(Erased):
                await vaults.open(tx, roll.tenant, DRAFT)
            assert all(check.is_met for check in await verify_shredding(tx, tenant=roll.tenant))
        await commission.registrar.attestor.forget(DRAFT)
        assert commission.store.leaves_of(DRAFT) == []


async def test_nothing_in_the_databases_names_a_person(tmp_path: Path) -> None:
    """The files are searched for names, addresses, numbers, codes and nonces."""
    async with open_poll(tmp_path, ELECTORS, towns=1) as poll:
        slot, now = await poll.commission.slot(0), poll.commission.clock.now()

        async def issue(tx: Any, roll: Any, vault: Any) -> bytes:
            return await issue_code(tx, roll, slot, vault, channel=Channel.LETTER, now=now)

        code = await run(poll, issue)
        begun = await poll.commission.begin(1)
        device = poll.commission.device(0)
        await poll.commission.enrol(0, device)
        await cancel(poll, 2, CancelReason.PAPER)

        hidden = [code, begun.nonce, write_code(code).encode(), device.card.der[:200]]
        for one in ELECTORS:
            hidden += [one.name.encode(), one.address.encode(), one.number.encode()]
        files = database_files(tmp_path)
        assert len(files) > 2
        for path, data in files:
            for secret in hidden:
                assert secret not in data, path.name
                assert secret.hex().encode() not in data, path.name


def database_files(folder: Path) -> list[tuple[Path, bytes]]:
    return [(path, path.read_bytes()) for path in folder.rglob("*.db*") if path.is_file()]
