"""ROLL-ENROL, ROLL-RECEIPT, ROLL-BATCH, ROLL-ACTIVE, ROLL-WITNESS: from announcement to freeze.

Four municipalities on one ledger; the first holds the election, two others witness it.
"""

from pathlib import Path

from clients.voting.blind_signature import ADMISSION, finalize, token_message
from clients.voting.group import decode_point
from clients.voting.roll_files import check_signer, decode_active_list
from tests.support.commission import elector, open_poll, token_key


async def test_entries_reach_the_ledger_in_batches_and_freeze(tmp_path: Path) -> None:
    electors = [elector(number, style=1 + number % 2) for number in range(6)]
    async with open_poll(tmp_path, electors) as poll:
        device = poll.commission.device(0)
        first = await poll.commission.enrol(0, device)
        registrar = poll.manifest.registrars[0]
        check_signer(
            first.receipt.digest,
            first.registrar_signature,
            decode_point(bytes.fromhex(registrar.receipt_key)),
        )
        check_signer(
            first.receipt.digest,
            first.attestor_signature,
            decode_point(bytes.fromhex(registrar.attestor_key)),
        )
        assert device.blinded is not None
        finalize(
            token_key().public_key(),
            token_message(poll.eid, device.key),
            device.blinded,
            first.token_signature,
            ADMISSION,
        )
        await poll.turn(2)
        second = await poll.commission.enrol(1)
        again = await poll.commission.enrol(0)
        assert (first.receipt.batch, second.receipt.batch, again.version) == (0, 1, 2)

        await poll.freeze()

        state = await poll.town.election(poll.eid)
        assert [(each.entry_count, each.cancel_count) for each in state.batches] == [(1, 0), (2, 0)]
        assert state.frozen[1].count == 1
        assert state.frozen[2].count == 1
        body = poll.town.context.files.path(state.frozen[1].file_digest).read_bytes()
        assert decode_active_list(body).commitments == (again.receipt.commitment,)
