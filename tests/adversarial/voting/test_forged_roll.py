"""ROLL-ENROL, ROLL-ATTESTOR, ROLL-WITNESS, ROLL-EXAMINE, ROLL-CANCEL: attacks on the sealed roll.

Each case begins from a correct election and changes one thing. Who refuses it is in its last lines:
the registrar, the second attestor, a witness, a voter's device, or whoever examines the restricted
store. A case on the registrar's part is told to the attestor as well, by a registrar that looks
away.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationReason
from clients.voting.ciphertexts import encrypt
from clients.voting.group import decode_point, generator_multiple, multiple
from clients.voting.roll import compute_commitment, roll_pointer
from clients.voting.roll_files import (
    ActiveList,
    CancelReason,
    InvalidRollFile,
    RollReceipt,
    check_listed,
    decode_active_list,
    decode_batch,
)
from services.election.commission.attestor import AttestorRefused
from services.election.commission.batches import find_batch, list_active
from services.election.commission.cancels import cancel_elector
from services.election.commission.checking import EntryFault, EntryRefused
from services.election.commission.enrolment import BegunEnrolment, HandedIn
from services.election.commission.examination import Finding, examine_export
from services.election.commission.export import iterate_lines
from services.election.commission.tables import ENROLMENTS
from tests.support.commission import (
    ATTESTOR_KEY,
    DRAFT,
    ROLL_KEY,
    ROLL_SECRET,
    Device,
    Poll,
    elector,
    open_poll,
    public_point,
)
from tests.support.identity import new_hierarchy

ELECTORS = [elector(number, style=1) for number in range(4)]
Forge = Callable[[Poll, Device, BegunEnrolment], Awaitable[HandedIn]]


async def refused_by_registrar(poll: Poll, forge: Forge) -> EntryFault:
    """Return the fault for which the registrar refuses what ``forge`` hands in for elector 1."""
    device, begun = poll.commission.device(1), await poll.commission.begin(1)
    handed = await forge(poll, device, begun)
    with pytest.raises(EntryRefused) as caught:
        await poll.commission.finish(1, begun, handed)
    return caught.value.fault


async def refused_by_attestor(
    poll: Poll, forge: Forge, *, number: int = 1, batch: int = 0
) -> EntryFault:
    """Return the fault for which the attestor refuses the same from a registrar that looks away."""
    device, begun = poll.commission.device(1), await poll.commission.begin(number)
    handed = await forge(poll, device, begun)
    receipt = RollReceipt(
        eid=poll.eid,
        commitment=bytes(32),
        batch=batch,
        time_s=int(poll.commission.clock.now().timestamp()),
    )
    signer = decode_point(bytes.fromhex(public_point(ATTESTOR_KEY)))
    with pytest.raises(AttestorRefused) as caught:
        await poll.commission.registrar.attestor.sign_entry(
            receipt, handed.evidence, ELECTORS[number].matched, signer
        )
    assert isinstance(caught.value.why, EntryFault)
    return caught.value.why


async def examined(poll: Poll, change: Callable[[list[Any]], None] | None = None) -> set[str]:
    """Return the checks that fail when the restricted store is examined, changed first."""
    return {finding.check for finding in await examine(poll, change)}


async def examine(
    poll: Poll,
    change: Callable[[list[Any]], None] | None = None,
    *,
    change_active: Callable[[bytes], bytes] = lambda body: body,
) -> tuple[Finding, ...]:
    commission = poll.commission
    roll = await commission.roll()
    async with commission.database.read() as tx:
        vault = await commission.registrar.vaults.open(tx, roll.tenant, DRAFT)
        lines = [json.loads(line) async for line in iterate_lines(tx, roll, vault)]
        batches, number = [], 0
        while (stored := await find_batch(tx, roll, number)) is not None:
            batches.append(decode_batch(stored.body))
            number += 1
        lists = await list_active(tx, roll)
    if change is not None:
        change(lines)
    active = {each.style: decode_active_list(change_active(each.body)) for each in lists}
    return examine_export(
        [json.dumps(line).encode() for line in lines], poll.manifest, batches, active
    )


def entries_of(lines: list[Any]) -> list[Any]:
    return [line for line in lines if line["kind"] == "entry"]


async def honest(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
    return device.hand_in(device.make_entry(begun, poll.eid))


async def test_the_election_is_correct_before_anything_is_changed(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS) as poll:
        await poll.commission.enrol(0)
        await poll.commission.enrol(0)
        await poll.commission.enrol(1)
        await cancel_elector(
            poll.commission.registrar,
            await poll.commission.roll(),
            "A0001",
            reason=CancelReason.PAPER,
            evidence=bytes(32),
            actor=poll.commission.actor(),
        )
        await poll.freeze()

        assert (await poll.town.election(poll.eid)).frozen[1].count == 1
        assert await examine(poll) == ()


async def test_case_21_an_entry_copied_to_another_slot_has_no_proof(tmp_path: Path) -> None:
    """Registrar and attestor refuse: the proof hashes the slot."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        other = poll.commission.device(0)
        victim = other.make_entry(await poll.commission.begin(0), poll.eid)

        async def copy(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            own = device.make_entry(begun, poll.eid)
            copied = replace(
                own,
                a=victim.a,
                b=victim.b,
                announcement=victim.announcement,
                response=victim.response,
            )
            return device.hand_in(copied)

        assert await refused_by_registrar(poll, copy) is EntryFault.PROOF
        assert await refused_by_attestor(poll, copy) is EntryFault.PROOF


async def test_case_22_a_rerandomised_copy_has_no_proof(tmp_path: Path) -> None:
    """Registrar and attestor refuse: whoever re-randomises knows only what was added."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        other = poll.commission.device(0)
        victim = other.make_entry(await poll.commission.begin(0), poll.eid)

        async def copy(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            more_a, more_b = encrypt(generator_multiple(1), ROLL_KEY, 77)
            own = device.make_entry(begun, poll.eid)
            return device.hand_in(
                replace(own, a=victim.a + more_a, b=victim.b + more_b - generator_multiple(1))
            )

        assert await refused_by_registrar(poll, copy) is EntryFault.PROOF
        assert await refused_by_attestor(poll, copy) is EntryFault.PROOF


async def test_case_23_a_card_signature_over_another_entry(tmp_path: Path) -> None:
    """Registrar and attestor refuse: the card did not sign this text."""
    async with open_poll(tmp_path, ELECTORS) as poll:

        async def swap(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            other = device.hand_in(device.make_entry(begun, poll.eid))
            return device.hand_in(
                device.make_entry(begun, poll.eid), signature=other.evidence.signature
            )

        assert await refused_by_registrar(poll, swap) is EntryFault.SIGNATURE
        assert await refused_by_attestor(poll, swap) is EntryFault.SIGNATURE


@pytest.mark.parametrize(
    ("kind", "fault"),
    [
        ("revoked", EntryFault.REVOCATION),
        ("expired", EntryFault.CERTIFICATE),
        ("another authority's", EntryFault.CERTIFICATE),
        ("another person's", EntryFault.ELECTOR),
        ("authentication", EntryFault.CERTIFICATE),
        ("no certificate", EntryFault.CERTIFICATE),
    ],
)
async def test_case_24_a_certificate_that_does_not_speak_for_the_elector(
    tmp_path: Path, kind: str, fault: EntryFault
) -> None:
    """Registrar and attestor refuse, each by what it asks the authority itself."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        commission = poll.commission
        signing = commission.hierarchy.authority(CertificateKind.SIGNING)
        stranger = new_hierarchy().authority(CertificateKind.SIGNING)

        async def forge(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            certificate = device.card.der
            if kind == "revoked":
                signing.revoke(
                    device.card.certificate,
                    RevocationReason.KEY_COMPROMISED,
                    commission.clock.now(),
                )
            elif kind == "expired":
                issued = signing.issue(
                    device.person,
                    key=device.card.key,
                    at=datetime(2024, 1, 1, tzinfo=UTC),
                    not_after=datetime(2024, 6, 1, tzinfo=UTC),
                )
                certificate = issued.der
            elif kind == "another authority's":
                certificate = stranger.issue(
                    device.person, key=device.card.key, at=datetime(2026, 1, 1, tzinfo=UTC)
                ).der
            elif kind == "another person's":
                device = commission.device(2)
                certificate = device.card.der
            elif kind == "authentication":
                authority = commission.hierarchy.authority(CertificateKind.AUTHENTICATION)
                certificate = authority.issue(
                    device.person, key=device.card.key, at=datetime(2026, 1, 1, tzinfo=UTC)
                ).der
            else:
                certificate = b"\x30\x00"
            return device.hand_in(device.make_entry(begun, poll.eid), certificate=certificate)

        assert await refused_by_registrar(poll, forge) is fault
        assert await refused_by_attestor(poll, forge) is fault


async def test_case_25_a_stale_nonce_or_a_repeated_version(tmp_path: Path) -> None:
    """The registrar refuses both; the attestor gives a version one commitment only."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        commission = poll.commission
        stale = await commission.begin(1)

        async def old_nonce(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(device.make_entry(begun, poll.eid, nonce=stale.nonce))

        assert await refused_by_registrar(poll, old_nonce) is EntryFault.NONCE

        await commission.enrol(1)

        async def old_version(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(device.make_entry(begun, poll.eid, version=1))

        assert await refused_by_registrar(poll, old_version) is EntryFault.VERSION
        assert await refused_by_attestor(poll, old_version) is EntryFault.VERSION

        async def skipped(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(device.make_entry(begun, poll.eid, version=3))

        assert await refused_by_attestor(poll, skipped) is EntryFault.VERSION


async def test_case_26_a_slot_that_is_not_eligible_or_an_elector_with_two(tmp_path: Path) -> None:
    """Registrar and attestor refuse a foreign slot; an examination finds the second slot."""
    async with open_poll(tmp_path, ELECTORS) as poll:

        async def foreign(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(
                device.make_entry(begun, poll.eid, slot=sha256(b"nobody's slot").digest())
            )

        assert await refused_by_registrar(poll, foreign) is EntryFault.SLOT
        assert await refused_by_attestor(poll, foreign) is EntryFault.SLOT

        async def style(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(device.make_entry(begun, poll.eid, style=2))

        assert await refused_by_registrar(poll, style) is EntryFault.STYLE
        assert await refused_by_attestor(poll, style) is EntryFault.STYLE

        def double(lines: list[Any]) -> None:
            first = next(line for line in lines if line["kind"] == "elector")
            lines.insert(2, {**first, "slot": sha256(b"a second slot").hexdigest()})

        assert await examined(poll, double) == {"slot", "eligible"}


async def test_case_27_an_entry_that_no_card_signed(tmp_path: Path) -> None:
    """The attestor signs no receipt for it; an examination finds what was put in beside it."""
    async with open_poll(tmp_path, ELECTORS) as poll:

        async def unsigned(poll: Poll, device: Device, begun: BegunEnrolment) -> HandedIn:
            return device.hand_in(device.make_entry(begun, poll.eid), signature=bytes(256))

        assert await refused_by_attestor(poll, unsigned) is EntryFault.SIGNATURE

        await poll.commission.enrol(0)
        await poll.freeze()

        def fake(lines: list[Any]) -> None:
            entries_of(lines)[0]["signature"] = "00" * 256

        assert await examined(poll, fake) == {"card"}

        def missing(lines: list[Any]) -> None:
            lines.remove(entries_of(lines)[0])

        assert await examined(poll, missing) == {"unexplained", "active", "tokens"}


async def test_case_28_an_active_file_without_an_enrolled_voter(tmp_path: Path) -> None:
    """The voter's device complains with its receipt; an examination names the commitment."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        kept = await poll.commission.enrol(0)
        dropped = await poll.commission.enrol(1)
        await poll.freeze()
        async with poll.commission.database.read() as tx:
            body = (await list_active(tx, await poll.commission.roll()))[0].body
        rest = ActiveList(commitments=(kept.receipt.commitment,))

        check_listed(decode_active_list(body), dropped.receipt)
        with pytest.raises(InvalidRollFile, match="missing"):
            check_listed(rest, dropped.receipt)
        findings = await examine(poll, change_active=lambda body: rest.encode() if body else body)
        assert findings == (Finding(check="active", place=dropped.receipt.commitment.hex()),)


async def test_case_29_an_active_file_with_a_dead_entry(tmp_path: Path) -> None:
    """An examination names the superseded version and the entry of the slot that has paper."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        old = await poll.commission.enrol(0)
        await poll.commission.enrol(0)
        paper = await poll.commission.enrol(1)
        await cancel_elector(
            poll.commission.registrar,
            await poll.commission.roll(),
            "A0001",
            reason=CancelReason.PAPER,
            evidence=bytes(32),
            actor=poll.commission.actor(),
        )
        await poll.freeze()
        for dead in (old, paper):

            def revive(body: bytes, it: bytes = dead.receipt.commitment) -> bytes:
                rows = [body[at : at + 32] for at in range(0, len(body), 32)]
                return b"".join(sorted([*rows, it])) if rows else body

            findings = await examine(poll, change_active=revive)
            assert findings == (Finding(check="active", place=dead.receipt.commitment.hex()),)


@pytest.mark.parametrize("fault", ["one too many", "unsorted", "twice", "never in a batch"])
async def test_case_30_an_active_file_that_is_not_what_is_frozen(
    tmp_path: Path, fault: str
) -> None:
    """Witnesses do not confirm it, so no style freezes."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        await poll.commission.enrol(0)
        await poll.commission.enrol(1)

        def change(body: bytes) -> bytes:
            if not body:
                return body
            match fault:
                case "one too many":
                    return body + b"\x00"
                case "unsorted":
                    return body[32:] + body[:32]
                case "twice":
                    return body[:32] + body
                case _:
                    return b"\x00" * 32 + body

        for way in poll.ways:
            way.changed_active = change
        await poll.freeze()

        state = await poll.town.election(poll.eid)
        assert 1 not in state.frozen
        assert {witness.trouble for witness in poll.witnesses} == {"roll.invalid_file"}


async def test_case_31_a_roll_list_that_differs_from_the_active_entries(tmp_path: Path) -> None:
    """Mixers start from what they witnessed; an examination finds the pointer that is another."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        await poll.commission.enrol(0)
        await poll.commission.enrol(1)
        await poll.freeze()

        def swap(lines: list[Any]) -> None:
            first, second = entries_of(lines)
            first["batch"], second["entry"] = 0, first["entry"]

        assert {"opening", "entry", "batch"} <= await examined(poll, swap)


async def test_case_32_two_entries_for_one_ballot_key_are_two_entries_and_one_pointer(
    tmp_path: Path,
) -> None:
    """Nothing on the roll tells: both are accepted, and both open to the same pointer once."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        first, second = poll.commission.device(0), poll.commission.device(1)
        second.key = first.key
        await poll.commission.enrol(0, first)
        await poll.commission.enrol(1, second)
        await poll.freeze()

        assert (await poll.town.election(poll.eid)).frozen[1].count == 2
        async with poll.commission.database.read() as tx:
            batch = await find_batch(tx, await poll.commission.roll(), 0)
        assert batch is not None
        opened = {open_pointer(entry.a, entry.b) for entry in decode_batch(batch.body).entries}
        assert opened == {roll_pointer(poll.eid, first.key)}


def open_pointer(a: Any, b: Any) -> Any:
    """Decrypt a sealed pointer with the roll key of the tests."""
    return b - multiple(a, ROLL_SECRET)


async def test_case_33_a_commitment_opened_with_another_salt(tmp_path: Path) -> None:
    """An examination finds that the entry behind a commitment is another."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        accepted = await poll.commission.enrol(0)
        await poll.freeze()

        def resalt(lines: list[Any]) -> None:
            entries_of(lines)[0]["salt"] = "00" * 32

        assert await examined(poll, resalt) == {"opening"}
        assert compute_commitment(bytes(32), bytes(32)) != accepted.receipt.commitment


async def test_a_witness_takes_no_batch_that_repeats_an_entry(tmp_path: Path) -> None:
    async with open_poll(tmp_path, ELECTORS) as poll:
        await poll.commission.enrol(0)
        await poll.turn(2)
        async with poll.commission.database.read() as tx:
            first = await find_batch(tx, await poll.commission.roll(), 0)
        assert first is not None
        for way in poll.ways:
            way.changed_batch = lambda _body: first.body
        await poll.commission.enrol(1)
        await poll.turn(3)

        assert len((await poll.town.election(poll.eid)).batches) == 1
        assert {witness.trouble for witness in poll.witnesses} == {"roll.invalid_file"}


async def test_a_registrar_whose_electors_were_changed_gets_no_second_signature(
    tmp_path: Path,
) -> None:
    """The attestor knows who each slot was when the roll was fixed."""
    async with open_poll(tmp_path, ELECTORS) as poll:
        commission = poll.commission
        intruder = commission.device(3)
        begun = await commission.begin(1)
        handed = intruder.hand_in(intruder.make_entry(begun, poll.eid))
        receipt = RollReceipt(
            eid=poll.eid,
            commitment=bytes(32),
            batch=0,
            time_s=int(commission.clock.now().timestamp()),
        )
        signer = decode_point(bytes.fromhex(public_point(ATTESTOR_KEY)))

        with pytest.raises(AttestorRefused) as caught:
            await commission.registrar.attestor.sign_entry(
                receipt, handed.evidence, ELECTORS[3].matched, signer
            )
        assert caught.value.why is EntryFault.ELECTOR


async def test_a_registrar_set_back_to_an_older_copy_gets_no_second_entry_for_a_version(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, ELECTORS) as poll:
        commission = poll.commission
        await commission.enrol(1)
        async with commission.database.write() as tx:
            await tx.execute(update(ENROLMENTS).values(state="refused"))

        with pytest.raises(EntryRefused) as caught:
            await commission.enrol(1)
        assert caught.value.fault is EntryFault.VERSION
