"""QBFT-SIGN-STATE, QBFT-TWIN: a vote is recorded before it is signed, and never contradicts one.

The same contract for the signer in the node and the signer in a process of its own.
"""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.consensus.messages import (
    CommitDraft,
    PreparePayload,
    RoundChangeDraft,
    RoundChangePayload,
)
from node.consensus.sign_state import SignState
from node.primitives.crypto import PrivateKey, recover_address
from node.primitives.errors import Misconfigured, Unavailable
from node.primitives.types import Digest, Hash32, Height, Round
from node.runtime.remote_signer import RemoteSigner
from node.runtime.signer import (
    Ballotbook,
    LocalSigner,
    SignStateFile,
    VoteRefused,
    VotesNotDurable,
)
from node.runtime.signer_server import SignerServer

KEY = PrivateKey(b"\x11" * 32)
DIGEST = Digest(Hash32(b"\xaa" * 32))
OTHER_DIGEST = Digest(Hash32(b"\xbb" * 32))
Signer = LocalSigner | RemoteSigner


class ServedKey:
    """A signer process's server, on a thread."""

    def __init__(self, directory: Path) -> None:
        self.socket = directory / "s"
        self.server = SignerServer(KEY, socket_path=self.socket, state_dir=directory / "state")
        self._thread = threading.Thread(target=self.server.serve)
        self._thread.start()

    def close(self) -> None:
        self.server.close()
        self._thread.join()


@pytest.fixture(params=["local", "remote"])
def signer(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Signer]:
    if request.param == "local":
        local = LocalSigner(
            Ballotbook(KEY, SignStateFile(tmp_path / "sign-state")), observe_s=lambda _: None
        )
        yield local
        local.close()
        return
    served = ServedKey(tmp_path)
    remote = RemoteSigner(served.socket, observe_s=lambda _: None)
    yield remote
    remote.close()
    served.close()


def prepare(digest: Digest = DIGEST, *, height: int = 7, at: int = 0) -> PreparePayload:
    return PreparePayload(height=Height(height), round=Round(at), digest=digest)


def record(*, height: int = 7, at: int = 0) -> SignState:
    return SignState(height=Height(height), round=Round(at), prepare=DIGEST)


async def test_a_recorded_vote_is_signed_by_the_validators_key(signer: Signer) -> None:
    message = await signer.sign_vote(record(), prepare())

    assert signer.address == KEY.address
    assert message.signed.author == KEY.address


async def test_a_commit_carries_a_seal_over_its_digest(signer: Signer) -> None:
    state = replace(record(), commit=DIGEST)
    message = await signer.sign_vote(
        state, CommitDraft(height=Height(7), round=Round(0), digest=DIGEST)
    )

    payload = message.signed.payload
    assert not isinstance(payload, PreparePayload)
    assert recover_address(DIGEST, getattr(payload, "seal")) == KEY.address  # noqa: B009


async def test_the_same_vote_is_signed_again_to_the_same_bytes(signer: Signer) -> None:
    first = await signer.sign_vote(record(), prepare())
    assert await signer.sign_vote(record(), prepare()) == first


@pytest.mark.parametrize(
    ("state", "vote"),
    [
        pytest.param(
            replace(record(), prepare=OTHER_DIGEST), prepare(OTHER_DIGEST), id="second digest"
        ),
        pytest.param(record(height=6), prepare(height=6), id="earlier height"),
        pytest.param(record(), prepare(OTHER_DIGEST), id="vote the record does not hold"),
        pytest.param(record(at=1), prepare(at=0), id="vote in another round than the record"),
        pytest.param(replace(record(at=1), is_silent=True), prepare(at=1), id="silent"),
        pytest.param(
            record(at=1),
            RoundChangeDraft(
                payload=RoundChangePayload(height=Height(7), round=Round(1), prepared=None),
                certificate=None,
            ),
            id="round change not recorded",
        ),
    ],
)
async def test_a_vote_that_may_contradict_is_refused(
    signer: Signer, state: SignState, vote: PreparePayload
) -> None:
    await signer.sign_vote(record(), prepare())
    with pytest.raises(VoteRefused):
        await signer.sign_vote(state, vote)


async def test_votes_asked_for_together_are_signed_in_order(signer: Signer) -> None:
    rounds = range(5)
    messages = await asyncio.gather(
        *(signer.sign_vote(record(at=at), prepare(at=at)) for at in rounds)
    )
    assert [message.signed.payload.round for message in messages] == list(rounds)


async def test_a_record_without_a_vote_is_kept_too(signer: Signer) -> None:
    await signer.record(replace(record(height=9), prepare=None))
    with pytest.raises(VoteRefused):
        await signer.sign_vote(record(height=8), prepare(height=8))


def test_the_record_survives_the_signer(tmp_path: Path) -> None:
    Ballotbook(KEY, SignStateFile(tmp_path / "s")).sign(record(), prepare())
    reopened = Ballotbook(KEY, SignStateFile(tmp_path / "s"))
    with pytest.raises(VoteRefused):
        reopened.sign(replace(record(), prepare=OTHER_DIGEST), prepare(OTHER_DIGEST))


def test_nothing_is_signed_when_the_record_cannot_be_written(tmp_path: Path) -> None:
    absent = SignStateFile(tmp_path / "absent" / "s")
    with pytest.raises(VotesNotDurable, match="nothing was signed"):
        Ballotbook(KEY, absent).sign(record(), prepare())


def test_a_damaged_record_stops_the_signer(tmp_path: Path) -> None:
    path = tmp_path / "s"
    Ballotbook(KEY, SignStateFile(path)).sign(record(), prepare())
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Misconfigured, match="do not delete"):
        Ballotbook(KEY, SignStateFile(path))


def test_a_second_signer_on_one_record_is_refused(tmp_path: Path) -> None:
    served = ServedKey(tmp_path)
    with pytest.raises(Misconfigured, match="another signer"):
        SignerServer(KEY, socket_path=tmp_path / "t", state_dir=tmp_path / "state")
    served.close()


async def test_a_node_survives_its_signers_restart(tmp_path: Path) -> None:
    served = ServedKey(tmp_path)
    remote = RemoteSigner(served.socket, observe_s=lambda _: None)
    await remote.sign_vote(record(), prepare())
    assert remote.load_newest() == record()
    remote.close_channel()
    served.close()
    with pytest.raises(Unavailable):
        await remote.sign_vote(record(at=1), prepare(at=1))
    again = ServedKey(tmp_path)
    assert remote.load_newest() == record()
    await remote.sign_vote(record(at=1), prepare(at=1))
    remote.close()
    again.close()


def test_the_remote_key_signs_for_the_transport(tmp_path: Path) -> None:
    served = ServedKey(tmp_path)
    remote = RemoteSigner(served.socket, observe_s=lambda _: None)
    assert remote.sign(DIGEST) == KEY.sign(DIGEST)
    assert remote.public_key == KEY.public_key
    remote.close()
    served.close()


def test_no_signer_at_the_socket_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="daicho key serve"):
        RemoteSigner(tmp_path / "nobody", observe_s=lambda _: None)
