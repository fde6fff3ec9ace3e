"""AUDIT-WATCH, AUDIT-ALARM: what nodes show is verified, compared, and proven when it is a lie.

Nodes serve an audited chain from memory; liars among them forge, fork, rewrite and keep silent.
"""

import json
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from clients.auditor.alarm_book import AlarmBook, build_pages, check_loopback
from clients.auditor.checks import Finding
from clients.auditor.watch import Alarm, AlarmKind, Watch
from clients.auditor.watch_command import load_standing, save_standing
from clients.auditor.watch_replay import LiveReplay
from clients.core.headers import TrustLimits
from clients.core.transport import CallRefused, NodeUnavailable
from node.consensus.checkpoint import Checkpoint
from node.consensus.seals import verify_commit_seals
from node.primitives.block import Block
from node.primitives.crypto import sha256
from node.primitives.errors import Misconfigured
from node.primitives.header import Header, decode_header
from node.primitives.types import Height
from tests.support.audit_chain import AuditedChain, make_audited_chain
from tests.support.ledger import VALIDATOR_KEYS, seal
from tests.support.tampering import evidence_against

LIMITS = TrustLimits(drift_s=10)
NOW_S = 1_790_000_100


class ChainNode:
    """Serves blocks from memory as a node's RPC does."""

    def __init__(self, name: str, chain: AuditedChain) -> None:
        self._name = name
        ledger = chain.ledger
        self.blocks = list(ledger.chain.iterate_blocks(Height(0), ledger.head.height))
        self.receipts = [
            [receipt.encode() for receipt in ledger.chain.load_receipts(Height(at))]
            for at in range(len(self.blocks))
        ]
        self.evidence: list[bytes] = []
        self.is_away = False

    @property
    def name(self) -> str:
        return self._name

    async def call(self, method: str, *params: object) -> object:
        if self.is_away:
            raise NodeUnavailable(f"{self.name} does not answer")
        match method:
            case "daicho_getFinality":
                return {"header": hexed(self.blocks[-1].header.encode())}
            case "daicho_getEvidence":
                return [{"evidence": hexed(each)} for each in self.evidence]
            case _:
                pass
        at = int(str(params[0]), 16)
        if at >= len(self.blocks):
            raise CallRefused("block not found")
        match method:
            case "debug_getRawHeader":
                return hexed(self.blocks[at].header.encode())
            case "debug_getRawBlock":
                return hexed(self.blocks[at].encode())
            case _:
                return [hexed(receipt) for receipt in self.receipts[at]]

    async def batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[object]:
        return [await self.call(method, *params) for method, params in calls]


def hexed(data: bytes) -> str:
    return "0x" + data.hex()


@pytest.fixture(scope="module")
def chain() -> AuditedChain:
    return make_audited_chain()


@pytest.fixture(scope="module")
def other() -> AuditedChain:
    return make_audited_chain(label="another history")


class Auditor:
    """A watch and the alarms it raised."""

    def __init__(
        self,
        nodes: Sequence[ChainNode],
        chain: AuditedChain,
        checkpoints: Sequence[Checkpoint] = (),
    ) -> None:
        self.alarms: list[Alarm] = []
        self.watch = Watch(
            nodes,
            chain.ledger.genesis.header,
            limits=LIMITS,
            now_s=lambda: NOW_S,
            raise_alarm=self.alarms.append,
            checkpoints=checkpoints,
        )

    @property
    def kinds(self) -> list[AlarmKind]:
        return [alarm.kind for alarm in self.alarms]


def nodes_of(chain: AuditedChain, count: int = 3) -> list[ChainNode]:
    return [ChainNode(f"node {at}", chain) for at in range(count)]


async def test_honest_nodes_raise_no_alarm(chain: AuditedChain) -> None:
    nodes = nodes_of(chain)
    nodes[2].blocks = nodes[2].blocks[:6]
    auditor = Auditor(nodes, chain, [chain.checkpoint(5)])

    for _ in range(20):
        await auditor.watch.round()

    assert auditor.alarms == []
    assert auditor.watch.head.hash == chain.ledger.head.hash
    assert auditor.watch.states()["node 2"] == "height 5"


async def test_a_node_that_is_away_stops_nothing_and_is_followed_again(
    chain: AuditedChain,
) -> None:
    nodes = nodes_of(chain)
    nodes[0].is_away = True
    auditor = Auditor(nodes, chain)
    await auditor.watch.round()
    assert auditor.watch.head.height == 9
    assert "away" in auditor.watch.states()["node 0"]

    nodes[0].is_away = False
    await auditor.watch.round()

    assert auditor.watch.states()["node 0"] == "height 9"
    assert auditor.alarms == []


async def test_two_sealed_histories_are_a_fork_with_both_headers(
    chain: AuditedChain, other: AuditedChain
) -> None:
    auditor = Auditor([*nodes_of(chain, 2), ChainNode("liar", other)], chain)

    for _ in range(3):
        await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.FORK]
    alarm = auditor.alarms[0]
    assert (alarm.node, alarm.height) == ("liar", 1)
    headers = [decode_header(bytes.fromhex(text[2:])) for text in alarm.proof.values()]
    assert headers[0].hash != headers[1].hash
    members = chain.ledger.genesis.profile.validators
    assert all(verify_commit_seals(header, members).is_met for header in headers)


def unsealed(header: Header) -> Header:
    return header.with_seals(header.extra_data.seals[:1])


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(unsealed, id="too few seals"),
        pytest.param(lambda header: replace(header, state_root=bytes(32)), id="other content"),
        pytest.param(lambda header: replace(header, height=Height(9)), id="another height"),
    ],
)
async def test_a_forged_header_is_refused_and_kept(
    chain: AuditedChain, change: Callable[[Header], Header]
) -> None:
    nodes = nodes_of(chain)
    forged = change(nodes[1].blocks[4].header)
    nodes[1].blocks[4] = Block(header=forged)
    auditor = Auditor(nodes, chain)

    await auditor.watch.round()
    await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.REFUSED], "and raised once"
    assert auditor.alarms[0].proof == {"header": hexed(forged.encode())}
    assert auditor.watch.head.height == 9


async def test_a_past_that_changes_is_noticed(chain: AuditedChain) -> None:
    nodes = nodes_of(chain, 2)
    auditor = Auditor(nodes, chain)
    await auditor.watch.round()
    block = nodes[1].blocks[3]
    rewritten = replace(block.header, state_root=bytes(32))
    nodes[1].blocks[3] = Block(header=rewritten)

    for _ in range(20):
        await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.REWRITE]
    assert auditor.alarms[0].height == 3


async def test_a_past_rewritten_with_seals_is_a_fork(chain: AuditedChain) -> None:
    nodes = nodes_of(chain, 1)
    auditor = Auditor(nodes, chain)
    await auditor.watch.round()
    header = replace(nodes[0].blocks[9].header, state_root=bytes(32))
    nodes[0].blocks[9] = seal(Block(header=header), chain.sealers())

    await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.FORK]


async def test_evidence_that_convicts_is_an_alarm_and_other_evidence_is_not(
    chain: AuditedChain,
) -> None:
    nodes = nodes_of(chain, 2)
    good = evidence_against(VALIDATOR_KEYS[1], height=3)
    nodes[0].evidence = [
        good,
        evidence_against(VALIDATOR_KEYS[1], height=3, is_honest=True),
        evidence_against(VALIDATOR_KEYS[1], height=300),
    ]
    nodes[1].evidence = [good]
    auditor = Auditor(nodes, chain)

    await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.EQUIVOCATION]
    assert VALIDATOR_KEYS[1].address.hex() in auditor.alarms[0].detail


async def test_a_checkpoint_of_another_block_is_an_alarm(
    chain: AuditedChain, other: AuditedChain
) -> None:
    auditor = Auditor(nodes_of(chain, 1), chain, [other.checkpoint(5)])

    await auditor.watch.round()

    assert auditor.kinds == [AlarmKind.CHECKPOINT]


async def test_blocks_are_executed_as_they_come_whoever_withholds_their_bodies(
    chain: AuditedChain,
) -> None:
    nodes = nodes_of(chain)
    nodes[0].blocks[7] = Block(header=nodes[0].blocks[7].header)
    nodes[0].receipts[3].reverse()
    auditor = Auditor(nodes, chain)
    failures: list[tuple[str, int, Finding]] = []
    replay = LiveReplay(
        chain.ledger.genesis, recoveries=(), tell=lambda *found: failures.append(found)
    )
    await auditor.watch.round()

    await replay.catch_up([nodes[0], nodes[1]], auditor.watch.headers)

    assert replay.height == 9
    assert failures == []


async def test_a_state_root_that_all_sealed_is_refuted(chain: AuditedChain) -> None:
    nodes = nodes_of(chain, 1)
    header = replace(nodes[0].blocks[9].header, state_root=bytes(32))
    nodes[0].blocks[9] = seal(
        Block(header=header, transactions=nodes[0].blocks[9].transactions), chain.sealers()
    )
    auditor = Auditor(nodes, chain)
    failures: list[str] = []
    replay = LiveReplay(
        chain.ledger.genesis, recoveries=(), tell=lambda check, *_: failures.append(check)
    )
    await auditor.watch.round()

    await replay.catch_up(nodes, auditor.watch.headers)

    assert failures == ["execution.state-root"]
    assert replay.is_lost


ALARM = Alarm(
    kind=AlarmKind.FORK, node="境町", height=3, detail="two blocks", proof={"first": "0x01"}
)


async def test_alarms_are_written_told_and_shown(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def hear(request: web.Request) -> web.Response:
        heard.append(await request.read())
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hear)
    out = tmp_path / "told"
    script = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())"
    async with serving(app) as url:
        book = AlarmBook(tmp_path / "w", command=(sys.executable, "-c", script), webhook=url)
        line = book.write(ALARM, 5)
        assert await book.tell() == []
    assert [heard[0].decode(), out.read_text()] == [line, line + "\n"]
    record = json.loads(book.path.read_text())
    proof = (book.folder / "proofs" / f"{record['proof']}.json").read_bytes()
    assert sha256(proof).hex() == record["proof"]
    assert json.loads(proof) == ALARM.proof
    async with (
        serving(build_pages(book, {"境町": "height 3"})) as url,
        aiohttp.ClientSession() as session,
    ):
        shown = [await text_of(session, url + path) for path in ("alarms", "nodes")]
        kept = await text_of(session, f"{url}proofs/{record['proof']}")
        missing = await session.get(f"{url}proofs/{'00' * 32}")
    assert shown[0] == line + "\n"
    assert json.loads(shown[1]) == {"境町": "height 3"}
    assert kept.encode() == proof
    assert missing.status == 404


async def test_what_cannot_be_told_is_said_and_stays_written(tmp_path: Path) -> None:
    book = AlarmBook(tmp_path, command=("/nowhere/at/all",), webhook="http://127.0.0.1:9/")
    book.write(ALARM, 5)

    troubles = await book.tell()

    assert len(troubles) == 2
    assert "境町" in book.path.read_text()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "http://example.jp/", "http://10.0.0.1/", "nothing"]
)
def test_alarms_are_posted_to_loopback_only(url: str) -> None:
    with pytest.raises(Misconfigured, match="loopback"):
        check_loopback(url)


def test_a_watch_goes_on_where_it_stood(chain: AuditedChain, tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    genesis = chain.ledger.genesis
    assert load_standing(path, genesis) == genesis.header
    save_standing(path, chain.header(5))

    assert load_standing(path, genesis).hash == chain.header(5).hash

    save_standing(path, unsealed(chain.header(5)))
    with pytest.raises(Misconfigured, match="remove it"):
        load_standing(path, genesis)


class serving:  # noqa: N801 - reads as a phrase
    """Serves an application on a free port of loopback."""

    def __init__(self, app: web.Application) -> None:
        self.runner = web.AppRunner(app)

    async def __aenter__(self) -> str:
        await self.runner.setup()
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        await web.SockSite(self.runner, listener).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    async def __aexit__(self, *_error: object) -> None:
        await self.runner.cleanup()


async def text_of(session: aiohttp.ClientSession, url: str) -> str:
    async with session.get(url) as response:
        return await response.text()
