"""EXEC-LOOP, EXEC-ROOT: the Ethereum execution specification reaches our roots.

EELS executes blocks we built with py-evm's opcodes and our loop in step (shadow): every function of
the committed contracts, called by those who may and those who may not, ballots, and random code.
"""

import random
from collections.abc import Mapping
from typing import Any

import pytest
from eth_abi import encode

from contracts.artifact import Artifact, load_artifact
from node.execution.profile import ExecutionProfile, Interpreter
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS, GenesisAccount
from node.genesis.system_contracts import (
    MUNICIPALITIES_NAME,
    PERMISSIONS_NAME,
    build_municipalities_account,
    build_permissions_account,
)
from node.primitives.crypto import PrivateKey, keccak256
from node.primitives.transaction import Transaction
from node.primitives.types import Address
from tests.support.assembler import OPCODES, assemble
from tests.support.ballots import ballot_box, make_ballot
from tests.support.eels import Job, expected_of, judge
from tests.support.execution import (
    CHAIN_ID,
    CONTRACT,
    PreAccount,
    build,
    make_transaction,
    make_view,
)
from tests.support.ledger import (
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    SERVICE_KEYS,
    describe,
)

STRANGER_KEY = PrivateKey(b"\x55" * 32)
RANDOM_BLOCKS = 40
PROFILE = ExecutionProfile(chain_id=CHAIN_ID, block_gas_limit=60_000_000, refused_precompiles=())
CALLEE = Address(b"\xdd" * 20)


def make_job(pre: Mapping[Address, PreAccount], transactions: list[Transaction]) -> Job:
    """Build a block in shadow mode; all of the transactions must fit."""
    built = build(make_view(pre), transactions, profile=PROFILE, interpreter=Interpreter.SHADOW)
    assert len(built.block.transactions) == len(transactions), built.skipped
    return Job(pre=pre, block=built.block)


def assert_judged_equal(jobs: list[Job]) -> None:
    assert judge(jobs) == [expected_of(job.block) for job in jobs]


def test_ballots_valid_spent_and_forged() -> None:
    valid = [make_ballot(number, nonce=number) for number in range(10)]
    spent = make_ballot(3, nonce=10)
    forged = make_transaction(nonce=11, data=make_ballot(99).data[:-40], gas_limit=150_000)
    job = make_job({CONTRACT: ballot_box()}, [*valid, spent, forged])

    assert_judged_equal([job])


def standing(account: GenesisAccount) -> PreAccount:
    """Return a genesis account as a test's."""
    return PreAccount(
        nonce=account.nonce,
        balance_wei=account.balance_wei,
        code=account.code,
        slots=dict(account.storage),
    )


def contracts_at_genesis() -> dict[Address, PreAccount]:
    founders = describe()
    municipalities = build_municipalities_account(founders.municipalities)
    permissions = build_permissions_account(founders.municipalities, governors=founders.governors)
    return {
        MUNICIPALITIES_ADDRESS: standing(municipalities),
        PERMISSIONS_ADDRESS: standing(permissions),
    }


def argument_of(kind: str, dice: random.Random) -> Any:
    """Return a plausible argument of an ABI type: known actors, small ids, late times."""
    actors = [key.address for key in (*MUNICIPALITY_KEYS, *SERVICE_KEYS, STRANGER_KEY)]
    match kind:
        case "address":
            return dice.choice(actors)
        case "address[]":
            return [dice.choice(actors) for _ in range(dice.randrange(4))]
        case "uint256":
            return dice.choice([0, 1, 2, 5, 100_000, 1_700_100_000, 2**256 - 1])
        case "bytes4":
            return dice.randbytes(4)
        case "bytes32":
            return dice.randbytes(32)
        case "string":
            return dice.choice(["", "Tsukuba", "x" * 60])
        case _:
            raise AssertionError(kind)


def calls_of(artifact: Artifact, dice: random.Random) -> list[bytes]:
    """Return call data for every function of a contract."""
    found = []
    for entry in artifact.abi:
        if entry["type"] == "function":
            types = [item["type"] for item in entry["inputs"]]  # type: ignore[attr-defined]
            selector = keccak256(f"{entry['name']}({','.join(types)})".encode())[:4]
            found.append(selector + encode(types, [argument_of(kind, dice) for kind in types]))
    return found


def test_every_function_of_the_committed_contracts() -> None:
    dice = random.Random(20_261_123)
    keys = [*MUNICIPALITY_KEYS, GOVERNOR_KEY, SERVICE_KEYS[0], STRANGER_KEY]
    nonces = dict.fromkeys(range(len(keys)), 0)
    transactions = []
    for _ in range(6):
        for name, at in (
            (MUNICIPALITIES_NAME, MUNICIPALITIES_ADDRESS),
            (PERMISSIONS_NAME, PERMISSIONS_ADDRESS),
        ):
            for data in calls_of(load_artifact(name), dice):
                who = dice.randrange(len(keys))
                transactions.append(
                    make_transaction(
                        key=keys[who], nonce=nonces[who], to=at, data=data, gas_limit=200_000
                    )
                )
                nonces[who] += 1
    job = make_job(contracts_at_genesis(), transactions)

    assert sum(receipt_count(job, status=True)) > 20
    assert_judged_equal([job])


def receipt_count(job: Job, *, status: bool) -> list[bool]:
    """Return, for each transaction, whether it ended so."""
    result = build(make_view(job.pre), list(job.block.transactions), profile=PROFILE).result
    return [receipt.is_success is status for receipt in result.receipts]


def random_code(dice: random.Random) -> bytes:
    """Return code that mostly finds its words and often calls."""
    plain = sorted(set(OPCODES) - {f"PUSH{n}" for n in range(1, 33)})
    addresses = [f"0x{CALLEE.hex()}", f"0x{CONTRACT.hex()}"]
    words = ["7 " * 8]
    for _ in range(dice.randrange(5, 60)):
        match dice.randrange(6):
            case 0 | 1:
                words.append(str(dice.choice([0, 1, 3, 32, 64, 2**255, 2**256 - 1])))
            case 2 | 3:
                words.append(dice.choice(plain))
            case 4:
                numbers = " ".join(str(dice.randrange(70)) for _ in range(4))
                target = dice.choice([*addresses, "1", "2", "4", "5"])
                kind = dice.choice(["CALL 0", "CALLCODE 0", "DELEGATECALL", "STATICCALL"])
                opcode, *value = kind.split()
                words.append(f"{numbers} {' '.join(value)} {target} 60000 {opcode}")
            case 5:
                numbers = " ".join(str(dice.randrange(70)) for _ in range(4))
                words.append(f"{numbers} {dice.choice(['SSTORE', 'LOG2', 'CREATE2', 'MSTORE'])}")
    return assemble(" ".join(words))


def test_random_code() -> None:
    dice = random.Random(7)
    jobs = []
    for _ in range(RANDOM_BLOCKS):
        pre = {
            CONTRACT: PreAccount(nonce=1, balance_wei=9, code=random_code(dice), slots={7: 7}),
            CALLEE: PreAccount(nonce=1, balance_wei=9, code=random_code(dice), slots={1: 5}),
        }
        transactions = [
            make_transaction(nonce=n, data=dice.randbytes(64), gas_limit=300_000, value_wei=n)
            for n in range(3)
        ]
        creation = make_transaction(nonce=3, to=None, data=random_code(dice), gas_limit=400_000)
        jobs.append(make_job(pre, [*transactions, creation]))

    assert_judged_equal(jobs)


def test_the_judge_notices_another_root() -> None:
    job = make_job({CONTRACT: ballot_box()}, [make_ballot(1)])
    wrong = Job(pre={CONTRACT: PreAccount(nonce=2)}, block=job.block)

    with pytest.raises(AssertionError):
        assert_judged_equal([wrong])
