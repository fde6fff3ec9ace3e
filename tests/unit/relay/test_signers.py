"""RELAY-SIGNER, RELAY-TAIL: a keystore and a signer process keep the same contract.

The process signs what a relay may send and nothing else; eth-account judges what is signed.
"""

import asyncio
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from node.primitives import rlp
from node.primitives.crypto import PrivateKey
from node.primitives.errors import MalformedMessage, Misconfigured
from node.primitives.types import Address
from services.kit.sockets import listening, receive_frame, send_frame
from services.relay import signer_wire
from services.relay.machine import Candidate
from services.relay.operations import (
    DATA_SIZE_MAX,
    FENCE,
    GAS_LIMIT_MAX,
    TAIL_GAS,
    Operation,
    add_tail,
    read_tail,
)
from services.relay.remote_signer import SignerDown, open_remote_signer
from services.relay.signer import Draft, KeystoreSigner, Signer, SignerRefused, draft_of
from services.relay.signer_server import CONNECTIONS_MAX, SignerServer
from services.relay.signer_wire import (
    FRAME_SIZE_MAX,
    AskAccount,
    AskSignature,
    decode_answer,
    decode_ask,
    encode_ask,
)
from tests.support.ledger import SERVICE_KEYS

KEY = SERVICE_KEYS[0]
CHAIN_ID = 20_261
CONTRACT = SERVICE_KEYS[1].address
OTHER = SERVICE_KEYS[2].address
OPERATION = Operation(
    tenant="sakai",
    service="library",
    operation_id="loan-1",
    to=CONTRACT,
    data=b"\xaa" * 40,
    gas_limit=100_000,
)


@pytest.fixture
def path() -> Iterator[Path]:
    """Give a path that is short enough for a socket."""
    with tempfile.TemporaryDirectory(prefix="daicho-", dir="/tmp") as folder:
        yield Path(folder) / "relay.sock"


def mode_of(path: Path) -> int | None:
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else None


@asynccontextmanager
async def remote(path: Path, *targets: Address, key: PrivateKey = KEY) -> AsyncIterator[Signer]:
    server = SignerServer(key, chain_id=CHAIN_ID, targets=frozenset(targets))
    async with listening(server.answer_one, path):
        yield await open_remote_signer(path, chain_id=CHAIN_ID)


@pytest.fixture(params=["keystore", "process"])
async def signer(request: pytest.FixtureRequest, path: Path) -> AsyncIterator[Signer]:
    if request.param == "keystore":
        yield KeystoreSigner(KEY, chain_id=CHAIN_ID)
        return
    async with remote(path, CONTRACT) as signer:
        yield signer


async def serve_once(path: Path) -> None:
    async with remote(path):
        pass


def draft(data: bytes = b"", *, to: Address = CONTRACT, gas: int = 50_000) -> Draft:
    return Draft(nonce=3, gas_limit=gas, to=to, data=add_tail(data, FENCE))


async def test_eth_account_finds_a_type_2_transaction_without_fees_from_the_account(
    signer: Signer,
) -> None:
    candidate = Candidate(word=OPERATION.word)
    signed = await signer.sign(draft_of(signer.account, 3, candidate, OPERATION))

    fields = TypedTransaction.from_bytes(HexBytes(signed.raw)).as_dict()
    assert bytes.fromhex(Account.recover_transaction(signed.raw)[2:]) == KEY.address
    assert (fields["type"], fields["chainId"], fields["nonce"]) == (2, CHAIN_ID, 3)
    assert (fields["maxFeePerGas"], fields["maxPriorityFeePerGas"], fields["value"]) == (0, 0, 0)
    assert signed.gas_limit == OPERATION.gas_limit + TAIL_GAS
    assert read_tail(signed.data) == OPERATION.word


async def test_signing_again_gives_the_bytes_that_the_keystore_gives(signer: Signer) -> None:
    local = KeystoreSigner(KEY, chain_id=CHAIN_ID)

    assert (await signer.sign(draft())).raw == (await local.sign(draft())).raw


async def test_a_fence_calls_the_account_itself(signer: Signer) -> None:
    fence = await signer.sign(
        draft_of(signer.account, 0, Candidate(word=FENCE, is_filler=True), None)
    )

    assert fence.to == signer.account == KEY.address
    assert read_tail(fence.data) == FENCE


async def test_the_longest_draft_a_relay_makes_is_signed(signer: Signer) -> None:
    longest = draft(b"\xff" * DATA_SIZE_MAX, gas=GAS_LIMIT_MAX + TAIL_GAS)

    assert (await signer.sign(longest)).sender == KEY.address


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        pytest.param(draft(to=OTHER), "not among the signer's", id="another contract"),
        pytest.param(draft(b"\x01", to=KEY.address), "no data", id="data for the account"),
        pytest.param(draft(b"\xff" * (DATA_SIZE_MAX + 1)), "draft.data", id="too long"),
        pytest.param(draft(gas=GAS_LIMIT_MAX + TAIL_GAS + 1), "gas_limit", id="too much gas"),
        pytest.param(
            Draft(nonce=0, gas_limit=21_000, to=CONTRACT, data=b""), "tail", id="without a tail"
        ),
    ],
)
async def test_the_process_refuses_what_no_relay_of_its_operator_sends(
    path: Path, asked: Draft, said: str
) -> None:
    async with remote(path, CONTRACT) as signer:
        with pytest.raises(SignerRefused, match=said):
            await signer.sign(asked)
        assert (await signer.sign(draft())).sender == KEY.address


async def test_without_targets_every_contract_may_be_called(path: Path) -> None:
    async with remote(path) as signer:
        assert (await signer.sign(draft(to=OTHER))).to == OTHER


async def test_another_chain_is_refused_by_both_ends(path: Path) -> None:
    server = SignerServer(KEY, chain_id=CHAIN_ID)

    assert "chain 1" in server.answer(encode_ask(AskSignature(chain_id=1, draft=draft()))).refusal
    async with listening(server.answer_one, path):
        with pytest.raises(Misconfigured, match="--chain-id"):
            await open_remote_signer(path, chain_id=1)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"", id="empty"),
        pytest.param(rlp.encode([]), id="no kind"),
        pytest.param(rlp.encode([b"\x03"]), id="unknown kind"),
        pytest.param(rlp.encode([b"\x02"]), id="nothing to sign"),
        pytest.param(rlp.encode([b"\x02", *[b""] * 4, b"", b""]), id="no contract"),
        pytest.param(
            rlp.encode([b"\x02", b"\x01", b"", b"\x01", CONTRACT, draft().data, b"\x05"]),
            id="a value beside it",
        ),
        pytest.param(rlp.encode([b"\x02", *[[b""]] * 5]), id="lists for fields"),
    ],
)
def test_a_malformed_request_is_refused_and_signs_nothing(request_bytes: bytes) -> None:
    answer = SignerServer(KEY, chain_id=CHAIN_ID).answer(request_bytes)

    assert answer.refusal
    assert not answer.values


def test_requests_are_read_as_they_were_written() -> None:
    for ask in (AskAccount(), AskSignature(chain_id=CHAIN_ID, draft=draft(b"\x01"))):
        assert decode_ask(encode_ask(ask)) == ask


async def test_only_user_and_group_may_connect_and_a_stale_socket_is_replaced(path: Path) -> None:
    async with remote(path):
        assert mode_of(path) == 0o660
        async with remote(path) as second:
            assert (await second.sign(draft())).sender == KEY.address
    assert mode_of(path) is None


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.touch(mode=0o600)
    with pytest.raises(Misconfigured, match="choose another path"):
        asyncio.run(serve_once(path))
    assert mode_of(path) == 0o600


async def test_a_path_too_long_for_a_socket_is_refused(path: Path) -> None:
    with pytest.raises(Misconfigured, match="too long"):
        async with remote(path.with_name("x" * 100)):
            pass


async def test_a_signer_that_is_down_is_named_and_found_again(path: Path) -> None:
    async with remote(path) as signer:
        pass
    with pytest.raises(SignerDown, match="see that the relay's signer runs"):
        await signer.sign(draft())
    async with remote(path):
        assert (await signer.sign(draft())).sender == KEY.address


async def test_a_signature_of_another_key_is_not_taken(path: Path) -> None:
    async with remote(path) as signer:
        pass
    async with remote(path, key=SERVICE_KEYS[1]):
        with pytest.raises(SignerDown, match="one key"):
            await signer.sign(draft())


async def test_a_silent_signer_is_given_up_in_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.relay.remote_signer.ANSWER_TIMEOUT_S", 0.05)
    gone = asyncio.Event()

    async def say_nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    async with await asyncio.start_unix_server(say_nothing, path):
        with pytest.raises(SignerDown, match="no answer in time"):
            await open_remote_signer(path, chain_id=CHAIN_ID)
        gone.set()


async def test_idle_connections_are_closed_and_only_so_many_are_held(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.relay.signer_server.ANSWER_TIMEOUT_S", 0.2)
    async with listening(SignerServer(KEY, chain_id=CHAIN_ID).answer_one, path):
        held = [await asyncio.open_unix_connection(path) for _ in range(CONNECTIONS_MAX)]
        reader, writer = await asyncio.open_unix_connection(path)
        assert await asyncio.wait_for(reader.read(), 0.15) == b""
        writer.close()
        for reader, writer in held:
            assert await asyncio.wait_for(reader.read(), 2) == b""
            writer.close()
        await open_remote_signer(path, chain_id=CHAIN_ID)


async def test_a_frame_over_the_bound_is_not_read(path: Path) -> None:
    async with listening(SignerServer(KEY, chain_id=CHAIN_ID).answer_one, path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write((signer_wire.FRAME_SIZE_MAX + 1).to_bytes(4, "big"))
        assert await asyncio.wait_for(reader.read(), 2) == b""
        writer.close()
        reader, writer = await asyncio.open_unix_connection(path)
        await send_frame(writer, b"\x00" * signer_wire.FRAME_SIZE_MAX)
        assert decode_answer(
            await receive_frame(reader, size_max=FRAME_SIZE_MAX, what="signer frame")
        ).refusal
        writer.close()


async def test_a_frame_that_ends_early_is_malformed() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\x00\x00\x00\x05abc")
    reader.feed_eof()
    with pytest.raises(MalformedMessage, match="too early"):
        await receive_frame(reader, size_max=FRAME_SIZE_MAX, what="signer frame")


async def test_the_key_is_in_no_text_of_either_end(path: Path) -> None:
    secret = KEY.export_secret().hex()
    server = SignerServer(KEY, chain_id=CHAIN_ID)
    async with listening(server.answer_one, path):
        signer = await open_remote_signer(path, chain_id=CHAIN_ID)
        assert secret not in repr(server) + repr(vars(server)) + repr(vars(signer))
