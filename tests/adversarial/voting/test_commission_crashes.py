"""ROLL-ENROL, ROLL-CANCEL: a registrar killed at any step loses nothing and doubles nothing.

The process dies before a transaction, inside it, or right after its commit; the voter, who has no
answer, sends the same again.
"""

from dataclasses import replace
from pathlib import Path

from clients.voting.roll_files import CancelReason
from services.election.commission.cancels import cancel_elector
from services.election.commission.enrolment import finish_enrolment, list_entries
from tests.support.commission import elector, open_poll
from tests.support.crashes import Crash, FragileDatabase, Fuse

STEPS_MAX = 30


async def test_an_enrolment_killed_at_any_step_is_finished_by_the_same_request(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, [elector(at) for at in range(STEPS_MAX)], towns=1) as poll:
        commission = poll.commission
        died = 0
        for step in range(STEPS_MAX):
            device, begun = commission.device(step), await commission.begin(step)
            handed = device.hand_in(device.make_entry(begun, poll.eid))
            session, roll = await commission.session(step), await commission.roll()
            fragile = FragileDatabase(commission.database, Fuse(step))
            registrar = replace(commission.registrar, database=fragile)
            try:
                await finish_enrolment(registrar, roll, session, begun.id, handed)
            except Crash:
                died += 1
            accepted = await commission.finish(step, begun, handed)
            assert await commission.finish(step, begun, handed) == accepted
            async with commission.database.read() as tx:
                entries = await list_entries(tx, roll, session.slot)
            assert [(entry.version, entry.state) for entry in entries] == [(1, "accepted")]
            if died <= step:
                break
        assert 4 < died < STEPS_MAX


async def test_a_cancel_killed_at_any_step_ends_the_entry_and_is_signed_once(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, [elector(at) for at in range(STEPS_MAX)], towns=1) as poll:
        commission = poll.commission
        died = 0
        for step in range(STEPS_MAX):
            await commission.enrol(step)
            fragile = FragileDatabase(commission.database, Fuse(step))
            roll = await commission.roll()
            arguments = {
                "reason": CancelReason.REQUEST,
                "evidence": bytes(32),
                "actor": commission.actor(),
            }
            try:
                await cancel_elector(
                    replace(commission.registrar, database=fragile),
                    roll,
                    f"A{step:04}",
                    **arguments,  # type: ignore[arg-type]
                )
            except Crash:
                died += 1
            await poll.duties.run_once()
            async with commission.database.read() as tx:
                entries = await list_entries(tx, roll, await commission.slot(step))
            is_begun = step > 1
            assert [entry.state for entry in entries] == ["cancelled" if is_begun else "accepted"]
            if died <= step:
                break
        assert 4 < died < STEPS_MAX
