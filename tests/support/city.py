"""Four municipalities and the permission contracts in titanoboa's EVM, at their genesis state."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import boa
from boa.util.abi import Address as BoaAddress

from contracts.artifact import load_artifact
from node.genesis.profile import MUNICIPALITIES_ADDRESS, PERMISSIONS_ADDRESS, GenesisAccount
from node.genesis.system_contracts import (
    MUNICIPALITIES_NAME,
    PERMISSIONS_NAME,
    build_municipalities_account,
    build_permissions_account,
)
from node.primitives.types import Address
from tests.support.ledger import (
    GENESIS_TIME_S,
    GOVERNOR_KEY,
    MUNICIPALITY_KEYS,
    SERVICE_KEYS,
    describe,
    key_of,
)

PROPOSAL_LIFETIME_S: Final = 30 * 24 * 60 * 60
RESIDENT_LIFETIME_MAX_S: Final = 400 * 24 * 60 * 60


def actor(role: str) -> str:
    """Return the address of a role without any right."""
    return text_of(key_of(role).address)


def text_of(address: Address) -> str:
    """Return an address as titanoboa writes it."""
    return str(BoaAddress(address))


class City:
    """The contracts, and who acts on them."""

    def __init__(self) -> None:
        """Put the contracts at their addresses with the founders of ``ledger.describe``."""
        founders = describe()
        boa.env.timestamp = GENESIS_TIME_S
        self.municipalities = _stand(
            MUNICIPALITIES_NAME,
            MUNICIPALITIES_ADDRESS,
            build_municipalities_account(founders.municipalities),
        )
        self.permissions = _stand(
            PERMISSIONS_NAME,
            PERMISSIONS_ADDRESS,
            build_permissions_account(founders.municipalities, governors=founders.governors),
        )
        self.accounts: Sequence[str] = tuple(text_of(key.address) for key in MUNICIPALITY_KEYS)
        """Voting accounts of the municipalities with ids 1 to 4."""
        self.services: Sequence[str] = tuple(text_of(key.address) for key in SERVICE_KEYS)
        """A service of each; those of ids 1 and 2 may attest."""
        self.governor = text_of(GOVERNOR_KEY.address)
        """The one governor."""

    @property
    def now_s(self) -> int:
        """Return the time of the block being made."""
        return int(boa.env.timestamp)

    @contextmanager
    def acting(self, account: str) -> Iterator[None]:
        """Send as ``account``."""
        with boa.env.prank(account):
            yield

    def vote(self, contract: Any, call: str, *arguments: object, voters: Sequence[int]) -> bool:
        """Let the municipalities with these ids vote in order; return what the last got."""
        is_carried = False
        for voter in voters:
            with self.acting(self.accounts[voter - 1]):
                is_carried = getattr(contract, call)(*arguments)
        return is_carried


def wait(seconds: int) -> None:
    """Let time pass."""
    boa.env.time_travel(seconds=seconds)


def stand_contract(name: str, where: BoaAddress) -> Any:
    """Put a contract without constructor at an address, as its artifact has it."""
    artifact = load_artifact(name)
    boa.env.set_code(where, artifact.runtime)
    return boa.loads_abi(json.dumps(list(artifact.abi)), name=name).at(where)


def _stand(name: str, address: Address, account: GenesisAccount) -> Any:
    where = BoaAddress(address)
    boa.env.set_code(where, account.code)
    for slot, value in account.storage:
        boa.env.set_storage(where, slot, value)
    abi = json.dumps(list(load_artifact(name).abi))
    return boa.loads_abi(abi, name=name).at(where)
