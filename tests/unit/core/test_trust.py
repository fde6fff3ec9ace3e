"""LIGHT-START: two municipalities vouch for the first header, as the network's file lists them."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from clients.core.headers import HeaderRefused, TrustLimits
from clients.core.trust import (
    InvalidTrust,
    Municipality,
    NetworkDescription,
    decode_trust,
    encode_trust,
    load_network,
    start_trust,
)
from node.consensus.checkpoint import Checkpoint
from node.primitives.errors import Misconfigured
from node.primitives.header import Header
from node.primitives.types import BlockHash, Hash32
from tests.support.consensus import GENESIS, KEYS, OUTSIDER, make_keys
from tests.support.light import (
    GOVERNORS,
    MUNICIPALITIES,
    chain_with_sets,
    checkpoint_of,
    header_after,
    trust_in,
)
from tests.support.source import ROOT

CHAIN = chain_with_sets([KEYS] * 6)
NETWORK = NetworkDescription(
    chain_id=1, genesis_hash=GENESIS.hash, limits=TrustLimits(), municipalities=MUNICIPALITIES
)


def test_two_municipalities_are_enough() -> None:
    trust = start_trust(checkpoint_of(CHAIN[4], *GOVERNORS[:2]), CHAIN[4], NETWORK)

    assert trust.origin == trust.head == CHAIN[4]


def test_genesis_may_be_a_checkpoint_although_nobody_sealed_it() -> None:
    assert start_trust(checkpoint_of(GENESIS, *GOVERNORS[2:]), GENESIS, NETWORK).head == GENESIS


@pytest.mark.parametrize(
    "checkpoint",
    [
        pytest.param(checkpoint_of(CHAIN[4]), id="unsigned"),
        pytest.param(checkpoint_of(CHAIN[4], GOVERNORS[0]), id="one municipality"),
        pytest.param(checkpoint_of(CHAIN[4], GOVERNORS[0], OUTSIDER), id="one and a stranger"),
    ],
)
def test_fewer_are_not(checkpoint: Checkpoint) -> None:
    with pytest.raises(HeaderRefused, match=r"municipalities that signed.*LIGHT-START"):
        start_trust(checkpoint, CHAIN[4], NETWORK)


def test_two_keys_of_one_municipality_count_once() -> None:
    first, second = GOVERNORS[:2]
    both = Municipality(
        name="one", governors=frozenset({first.address, second.address}), node_url=None
    )
    network = replace(NETWORK, municipalities=(both, MUNICIPALITIES[2]))

    with pytest.raises(HeaderRefused, match="found 1"):
        start_trust(checkpoint_of(CHAIN[4], first, second), CHAIN[4], network)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        pytest.param(CHAIN[3], "height", id="another height"),
        pytest.param(header_after(CHAIN[3], KEYS, label="other"), "block hash", id="another block"),
        pytest.param(CHAIN[4].with_seals(()), "distinct validators", id="without seals"),
        pytest.param(
            header_after(CHAIN[3], make_keys(4, "stranger")), "block hash", id="another set"
        ),
    ],
)
def test_another_header_than_the_checkpoint_names_is_refused(header: Header, name: str) -> None:
    with pytest.raises(HeaderRefused, match=name):
        start_trust(checkpoint_of(CHAIN[4], *GOVERNORS), header, NETWORK)


def test_a_checkpoint_of_another_network_is_refused() -> None:
    network = replace(NETWORK, genesis_hash=BlockHash(Hash32(b"\x07" * 32)))

    with pytest.raises(HeaderRefused, match="genesis hash"):
        start_trust(checkpoint_of(CHAIN[4], *GOVERNORS), CHAIN[4], network)


def test_a_state_file_is_read_back_as_written() -> None:
    trust = replace(trust_in(CHAIN[2]), head=CHAIN[5])

    assert decode_trust(encode_trust(trust).encode()) == trust


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"version": 2}, id="another version"),
        pytest.param({"head": "0x00"}, id="no header"),
        pytest.param({"head": "0x" + CHAIN[4].with_seals(()).encode().hex()}, id="no seals"),
        pytest.param({"head": "0x" + CHAIN[1].encode().hex()}, id="head below origin"),
        pytest.param({"genesis_hash": "0x00"}, id="short hash"),
        pytest.param({"more": 1}, id="an unknown key"),
    ],
)
def test_a_damaged_state_file_is_refused(change: dict[str, object]) -> None:
    record = json.loads(encode_trust(trust_in(CHAIN[3]))) | change

    with pytest.raises(InvalidTrust):
        decode_trust(json.dumps(record).encode())


FILE = """
chain_id = 20260
genesis_hash = "0x{genesis}"
[[municipalities]]
name = "つくば市"
governors = ["0x{first}"]
node = "http://127.0.0.1:8545"
[[municipalities]]
name = "境町"
governors = ["0x{second}"]
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "network.toml"
    path.write_text(text, encoding="utf-8")
    return path


def filled(first: str = "11" * 20, second: str = "22" * 20) -> str:
    return FILE.format(genesis="00" * 32, first=first, second=second)


def test_a_network_is_read_from_its_file(tmp_path: Path) -> None:
    network = load_network(write(tmp_path, filled()))

    assert network.nodes == (("つくば市", "http://127.0.0.1:8545"),)
    assert network.limits.trusting_period_s == 14 * 86_400
    assert [len(each.governors) for each in network.municipalities] == [1, 1]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(filled(second="11" * 20), "two municipalities", id="a governor of two"),
        pytest.param(filled().replace("境町", "つくば市"), "two municipalities", id="a name twice"),
        pytest.param(filled(first="11"), "governor", id="a short address"),
        pytest.param(filled().replace("http:", "ftp:"), "http or https", id="another protocol"),
        pytest.param(filled().replace("chain_id", "chainid"), "chain_id", id="an unknown key"),
        pytest.param(filled().split("[[")[0] + "municipalities = []", "from 2", id="none"),
        pytest.param("staleness_s = 9\n" + filled(), "from 10", id="staleness out of bounds"),
    ],
)
def test_a_wrong_description_is_refused_with_its_remedy(
    tmp_path: Path, text: str, name: str
) -> None:
    with pytest.raises(Misconfigured, match=name):
        load_network(write(tmp_path, text))


def test_the_description_in_the_operators_guide_is_a_good_one(tmp_path: Path) -> None:
    guide = (ROOT / "docs" / "operate" / "resident.md").read_text(encoding="utf-8")
    example = guide.split("```toml")[1].split("```")[0]

    network = load_network(write(tmp_path, textwrap.dedent(example)))

    assert [name for name, _ in network.nodes] == ["つくば市", "境町"]
