"""TOKEN-BLIND, TOKEN-VERIFY: attacks on admission tokens (cases 34 and 35).

A relay refuses every one of them by the manifest's modulus alone. A token costs an accepted
enrolment, and an enrolment signs one.
"""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from clients.voting.blind_signature import (
    ADMISSION,
    InvalidToken,
    blind,
    check_token,
    finalize,
    token_message,
)
from clients.voting.group import generator_multiple
from services.election.commission.checking import EntryFault, EntryRefused
from tests.support.commission import Poll, elector, open_poll, token_key
from tests.support.voting import SeededNonces

PUBLIC = token_key().public_key()


async def get_token(poll: Poll) -> tuple[bytes, bytes]:
    """Return a good token and its message."""
    device = poll.commission.device(0)
    accepted = await poll.commission.enrol(0, device)
    assert device.blinded is not None
    message = token_message(poll.eid, device.key)
    token = finalize(PUBLIC, message, device.blinded, accepted.token_signature, ADMISSION)
    return token, message


@pytest.mark.parametrize(
    "change", ["another key", "another election", "too large", "bit", "another signer"]
)
async def test_case_34_a_token_that_is_not_this_keys(tmp_path: Path, change: str) -> None:
    """The relay refuses: the signature does not hold for this key in this election."""
    async with open_poll(tmp_path, [elector(0)], towns=1) as poll:
        token, message = await get_token(poll)
        check_token(PUBLIC, message, token)
        signer = PUBLIC
        match change:
            case "another key":
                message = token_message(poll.eid, generator_multiple(9))
            case "another election":
                message = token_message(bytes(32), poll.commission.device(0).key)
            case "too large":
                modulus = PUBLIC.public_numbers().n
                token = ((int.from_bytes(token, "big") + modulus) % 2**2048).to_bytes(256, "big")
            case "bit":
                token = bytes([token[0] ^ 1]) + token[1:]
            case _:
                signer = rsa.generate_private_key(
                    public_exponent=65_537, key_size=2_048
                ).public_key()

        with pytest.raises(InvalidToken):
            check_token(signer, message, token)


async def test_case_35_two_ballot_keys_with_one_token(tmp_path: Path) -> None:
    """The relay refuses the second key; the registrar signs one token for an enrolment."""
    async with open_poll(tmp_path, [elector(0)], towns=1) as poll:
        token, _ = await get_token(poll)
        second = poll.commission.device(0)
        with pytest.raises(InvalidToken):
            check_token(PUBLIC, token_message(poll.eid, second.key), token)

        device = poll.commission.device(0)
        begun = await poll.commission.begin(0)
        handed = device.hand_in(device.make_entry(begun, poll.eid))
        first = await poll.commission.finish(0, begun, handed)
        assert await poll.commission.finish(0, begun, handed) == first
        other = blind(PUBLIC, token_message(poll.eid, second.key), ADMISSION, SeededNonces("other"))
        again = type(handed)(evidence=handed.evidence, blinded_token=other.message)
        with pytest.raises(EntryRefused) as caught:
            await poll.commission.finish(0, begun, again)
        assert caught.value.fault is EntryFault.EXPIRED


async def test_a_blinded_token_that_cannot_be_signed_is_refused_before_anything_is_kept(
    tmp_path: Path,
) -> None:
    async with open_poll(tmp_path, [elector(0)], towns=1) as poll:
        for bad in (b"", b"\xff" * 256, b"\x01" * 255):
            device, begun = poll.commission.device(0), await poll.commission.begin(0)
            handed = device.hand_in(device.make_entry(begun, poll.eid), blinded_token=bad)
            with pytest.raises(EntryRefused) as caught:
                await poll.commission.finish(0, begun, handed)
            assert caught.value.fault is EntryFault.TOKEN
        assert (await poll.commission.enrol(0)).version == 1
