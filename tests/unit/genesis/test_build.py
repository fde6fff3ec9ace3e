"""EXEC-GENESIS-PARAMETERS, EXEC-GENESIS-STATE: a genesis hash commits to parameters and state.

The trie library judges the state root.
"""

from dataclasses import fields, replace

import pytest
import rlp
from eth_utils import keccak
from hypothesis import given
from hypothesis import strategies as st
from trie import HexaryTrie

from node.genesis.alloc import compute_state_root
from node.genesis.build import GenesisDescription, build_genesis
from node.genesis.document import InvalidGenesis
from node.genesis.parameters import compute_parameters_hash
from node.genesis.parse import parse_genesis
from node.genesis.profile import ChainProfile, GenesisAccount
from node.genesis.system_contracts import Municipality, MunicipalityRole, OpenCall
from node.primitives.types import ZERO_ADDRESS, Address, Hash32
from tests.support.ledger import MUNICIPALITY_KEYS, describe

TARGET = Address(b"\x77" * 20)


def test_the_same_description_gives_the_same_bytes() -> None:
    assert build_genesis(describe()) == build_genesis(describe())


def test_what_was_described_is_what_is_parsed() -> None:
    description = describe()

    profile = parse_genesis(build_genesis(description)).profile

    assert profile.chain_id == description.chain_id
    assert profile.validators == description.validators
    assert profile.municipality_names == ("つくば市", "五霞町", "境町", "茨城県")
    assert (profile.block_period_s, profile.heartbeat_s) == (2, 30)
    assert (profile.request_timeout_ms, profile.request_timeout_max_ms) == (4_000, 60_000)
    assert (profile.block_gas_limit, profile.transaction_gas_max) == (30_000_000, 8_000_000)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"chain_id": 9}, id="chain id"),
        pytest.param({"timestamp_s": 1}, id="timestamp"),
        pytest.param({"block_gas_limit": 31_000_000}, id="block gas limit"),
        pytest.param({"transaction_gas_max": 7_000_000}, id="transaction gas"),
        pytest.param({"block_period_s": 3}, id="period"),
        pytest.param({"heartbeat_s": 0}, id="heartbeat"),
        pytest.param({"epoch_length": 100}, id="epoch"),
        pytest.param({"request_timeout_s": 5}, id="timeout"),
        pytest.param({"request_timeout_cap_s": 61}, id="timeout cap"),
        pytest.param({"fork_document_hash": Hash32(b"\x01" * 32)}, id="fork document"),
        pytest.param({"municipalities": describe().municipalities[::-1]}, id="order of founders"),
        pytest.param({"governors": (TARGET,)}, id="governors"),
        pytest.param(
            {"open_calls": (OpenCall(target=TARGET, selector=b"abcd", gas_max=1),)},
            id="open calls",
        ),
        pytest.param({"accounts": {TARGET: GenesisAccount(balance_wei=1)}}, id="accounts"),
    ],
)
def test_every_decision_changes_the_genesis_hash(change: dict[str, object]) -> None:
    changed = replace(describe(), **change)  # type: ignore[arg-type]

    hashes = {parse_genesis(build_genesis(one)).header.hash for one in (describe(), changed)}

    assert len(hashes) == 2


def test_every_field_of_the_profile_but_the_hash_itself_is_committed_to() -> None:
    profile = parse_genesis(build_genesis(describe())).profile
    other: dict[type, object] = {
        int: 12_345,
        bytes: b"\x55" * 32,
        tuple: ("x",),
    }
    uncommitted = []
    for field in fields(ChainProfile):
        old = getattr(profile, field.name)
        new = (TARGET,) if field.name == "validators" else other[type(old)]
        changed = replace(profile, **{field.name: new})
        if compute_parameters_hash(changed) == compute_parameters_hash(profile):
            uncommitted.append(field.name)
    assert uncommitted == ["genesis_hash"]


def founders(**changes: object) -> GenesisDescription:
    first, *others = describe().municipalities
    return replace(
        describe(),
        municipalities=(replace(first, **changes), *others),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    "description",
    [
        pytest.param(replace(describe(), governors=()), id="no governor"),
        pytest.param(replace(describe(), governors=(TARGET, TARGET)), id="governor twice"),
        pytest.param(replace(describe(), municipalities=()), id="no founder"),
        pytest.param(founders(account=MUNICIPALITY_KEYS[1].address), id="account twice"),
        pytest.param(founders(account=ZERO_ADDRESS), id="no account"),
        pytest.param(
            founders(validator=describe().municipalities[1].validator), id="validator twice"
        ),
        pytest.param(founders(services=describe().municipalities[1].services), id="service twice"),
        pytest.param(founders(attesters=(TARGET,)), id="attester that is no service"),
        pytest.param(founders(endpoint="x" * 129), id="long endpoint"),
        pytest.param(founders(name=""), id="no name"),
        pytest.param(founders(name="x" * 65), id="long name"),
        pytest.param(
            founders(services=tuple(Address(bytes((at + 1,)) * 20) for at in range(65))),
            id="65 services",
        ),
        pytest.param(
            replace(describe(), open_calls=(OpenCall(target=TARGET, selector=b"abc", gas_max=1),)),
            id="short selector",
        ),
        pytest.param(
            replace(describe(), open_calls=(OpenCall(target=TARGET, selector=b"abcd", gas_max=0),)),
            id="no gas for an open call",
        ),
    ],
)
def test_contradicting_decisions_are_refused(description: GenesisDescription) -> None:
    with pytest.raises(InvalidGenesis):
        build_genesis(description)


def test_an_observer_has_no_validator() -> None:
    observer = Municipality(name="県", account=TARGET, role=MunicipalityRole.OBSERVER)
    description = replace(describe(), municipalities=(*describe().municipalities, observer))

    assert len(parse_genesis(build_genesis(description)).profile.validators) == 4


ACCOUNTS = st.builds(
    GenesisAccount,
    nonce=st.integers(0, 2**64 - 1),
    balance_wei=st.integers(0, 2**128),
    code=st.binary(max_size=40),
    storage=st.dictionaries(st.integers(0, 2**256 - 1), st.integers(1, 2**256 - 1), max_size=4).map(
        lambda slots: tuple(sorted(slots.items()))
    ),
)


@given(st.dictionaries(st.binary(min_size=20, max_size=20).map(Address), ACCOUNTS, max_size=8))
def test_the_state_root_is_the_trie_library_s(alloc: dict[Address, GenesisAccount]) -> None:
    state = HexaryTrie({})
    for address, account in alloc.items():
        storage = HexaryTrie({})
        for slot, value in account.storage:
            storage[keccak(slot.to_bytes(32, "big"))] = rlp.encode(value)
        state[keccak(address)] = rlp.encode(
            [account.nonce, account.balance_wei, storage.root_hash, keccak(account.code)]
        )

    assert compute_state_root(alloc) == state.root_hash
