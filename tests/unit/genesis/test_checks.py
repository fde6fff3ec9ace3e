"""EXEC-GENESIS-CONFIG: each check of a genesis file passes on a built one, fails on its neighbour.

So for EXEC-GENESIS-HEADER, EXEC-GENESIS-VALIDATORS and EXEC-GENESIS-CONTRACTS.
"""

import json
from collections.abc import Callable

import pytest

from node.genesis.checks import verify_document
from node.genesis.document import InvalidGenesis, read_document
from node.genesis.parse import parse_genesis
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS
from node.primitives.header import ExtraData, ValidatorVote
from node.primitives.types import Address, Round, Signature
from tests.support.ledger import GENESIS_TIME_S, VALIDATOR_KEYS, Ledger

FILE = Ledger().genesis_file
VALIDATORS = parse_genesis(FILE).profile.validators
VANITY = parse_genesis(FILE).header.extra_data.vanity
PERMISSIONS = "0x" + PERMISSIONS_ADDRESS.hex()
MUNICIPALITIES = "0x" + MUNICIPALITIES_ADDRESS.hex()

Change = Callable[[dict], object]


def changed(change: Change) -> bytes:
    record = json.loads(FILE)
    change(record)
    return json.dumps(record).encode()


def extra(**changes: object) -> str:
    parts = {"vanity": VANITY, "validators": VALIDATORS, **changes}
    return "0x" + ExtraData(**parts).encode().hex()  # type: ignore[arg-type]


def failed_checks(data: bytes, own_validator: Address | None = None) -> list[str]:
    checks = verify_document(read_document(data), own_validator=own_validator)
    return [check.name for check in checks if not check.is_passed]


def test_a_built_file_passes_every_check() -> None:
    assert failed_checks(FILE, VALIDATOR_KEYS[0].address) == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        pytest.param(lambda r: r.update(foo=1), "keys", id="unknown key at the top"),
        pytest.param(lambda r: r["config"].update(cancunTime=0), "config keys", id="later fork"),
        pytest.param(
            lambda r: r["config"]["qbft"].update(blockReward="1"),
            "config.qbft keys",
            id="block reward",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(heartbeatSecond=3),
            "config.daicho keys",
            id="misspelt key",
        ),
        pytest.param(
            lambda r: r["alloc"][PERMISSIONS].update(privateKey="0x1"),
            "alloc keys",
            id="unknown key of an account",
        ),
        pytest.param(lambda r: r["config"].update(londonBlock=5), "forks", id="London later"),
        pytest.param(lambda r: r["config"].pop("shanghaiTime"), "forks", id="no Shanghai"),
        pytest.param(lambda r: r["config"].update(zeroBaseFee=False), "base fee", id="base fee"),
        pytest.param(lambda r: r.update(baseFeePerGas="0x1"), "base fee", id="base fee in header"),
        pytest.param(lambda r: r["config"].update(chainId=0), "chain id", id="chain id 0"),
        pytest.param(lambda r: r["config"].update(chainId=2**53), "chain id", id="chain id 2^53"),
        pytest.param(lambda r: r.update(difficulty="0x2"), "difficulty", id="difficulty 2"),
        pytest.param(lambda r: r.update(mixHash="0x" + "00" * 32), "mixHash", id="mix hash"),
        pytest.param(lambda r: r.update(nonce="0x1"), "nonce", id="nonce"),
        pytest.param(lambda r: r.update(coinbase="0x" + "11" * 20), "coinbase", id="coinbase"),
        pytest.param(lambda r: r.update(number="0x1"), "number", id="height 1"),
        pytest.param(lambda r: r.update(parentHash="0x" + "11" * 32), "parentHash", id="parent"),
        pytest.param(lambda r: r.update(gasLimit=999_999), "gasLimit", id="small gas limit"),
        pytest.param(lambda r: r.update(gasLimit=10**11 + 1), "gasLimit", id="large gas limit"),
        pytest.param(
            lambda r: r.update(extraData=extra(validators=())), "validator mode", id="none listed"
        ),
        pytest.param(
            lambda r: r["config"]["qbft"].update(validatorContractAddress="0x" + "11" * 20),
            "validator mode",
            id="validators kept by a contract",
        ),
        pytest.param(
            lambda r: r.update(extraData=extra(validators=VALIDATORS[::-1])),
            "validator order",
            id="unsorted",
        ),
        pytest.param(
            lambda r: r.update(extraData=extra(validators=(VALIDATORS[0], *VALIDATORS))),
            "validator order",
            id="one twice",
        ),
        pytest.param(
            lambda r: r.update(
                extraData=extra(vote=ValidatorVote(recipient=VALIDATORS[0], is_add=False))
            ),
            "extraData",
            id="a vote",
        ),
        pytest.param(lambda r: r.update(extraData=extra(round=Round(1))), "extraData", id="round"),
        pytest.param(
            lambda r: r.update(extraData=extra(seals=(Signature(bytes(65)),))),
            "extraData",
            id="a seal",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(protocolVersion=2),
            "protocol version",
            id="another version",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(transactionGasMax=30_000_001),
            "transaction gas",
            id="cap above the block's gas",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(transactionGasMax=999_999),
            "transaction gas",
            id="cap too small to deploy",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(heartbeatSeconds=1),
            "heartbeat",
            id="heartbeat under the period",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(requestTimeoutCapSeconds=3),
            "timeout cap",
            id="cap under the base",
        ),
        pytest.param(
            lambda r: r["config"]["qbft"].update(epochLength=0), "epoch length", id="epoch 0"
        ),
        pytest.param(
            lambda r: r["config"]["qbft"].update(blockPeriodSeconds=0), "parameters", id="period 0"
        ),
        pytest.param(
            lambda r: r["config"]["qbft"].update(blockPeriodSeconds=86_401),
            "parameters",
            id="period over a day",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].pop("heartbeatSeconds"), "parameters", id="missing"
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(municipalities=["a", "a"]),
            "parameters",
            id="one name twice",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(municipalities=[str(at) for at in range(65)]),
            "parameters",
            id="65 names",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(municipalities=["a" * 65]),
            "parameters",
            id="long name",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(municipalities=["a\u0000"]),
            "parameters",
            id="control character",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(municipalities=["甲", "乙", "丙", "丁"]),
            "municipalities",
            id="names other than on chain",
        ),
        pytest.param(
            lambda r: r["config"]["daicho"].update(heartbeatSeconds=31),
            "parameters hash",
            id="parameter the hash does not cover",
        ),
        pytest.param(
            lambda r: r["alloc"][PERMISSIONS].update(code="0x00"),
            "AccountPermissions code",
            id="other code",
        ),
        pytest.param(
            lambda r: r["alloc"].pop(MUNICIPALITIES), "Municipalities code", id="contract missing"
        ),
        pytest.param(
            lambda r: r["alloc"][PERMISSIONS].update(storage={}), "governors", id="no governor"
        ),
    ],
)
def test_a_change_fails_the_check_meant_for_it(change: Change, name: str) -> None:
    data = changed(change)

    assert name in failed_checks(data)
    with pytest.raises(InvalidGenesis):
        parse_genesis(data)


def test_sixty_five_validators_are_not_even_read() -> None:
    many = tuple(Address(bytes((at + 1,)) * 20) for at in range(65))

    with pytest.raises(InvalidGenesis, match="at most 64"):
        read_document(changed(lambda r: r.update(extraData=extra(validators=many))))
    fits = changed(lambda r: r.update(extraData=extra(validators=many[:64])))
    assert len(read_document(fits).validators) == 64


def test_a_key_that_is_not_listed_is_reported() -> None:
    assert failed_checks(FILE, Address(b"\x99" * 20)) == ["own validator key"]


def test_a_file_of_another_ledger_is_refused_with_the_reason() -> None:
    with pytest.raises(InvalidGenesis, match=r"config\.daicho is missing"):
        parse_genesis(changed(lambda record: record["config"].pop("daicho")))


def test_the_header_is_the_file_s() -> None:
    header = parse_genesis(FILE).header

    assert (header.height, header.timestamp_s, header.gas_limit) == (0, GENESIS_TIME_S, 30_000_000)
    assert header.extra_data.validators == VALIDATORS
    assert parse_genesis(FILE).profile.genesis_hash == header.hash
