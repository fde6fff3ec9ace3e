"""The relay's key: signs transactions of its account and nothing else.

The key is in a keystore that this process opens, or with a signer process (``remote_signer``).
Signing is deterministic: the same transaction always has the same bytes and the same hash, whoever
signs it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json, is_object
from node.primitives.keyfile import open_keyfile
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from services.relay.machine import Candidate
from services.relay.operations import FENCE_GAS, TAIL_GAS, Operation, add_tail

KEYSTORE_SIZE_MAX: Final = 16_384
"""Longest keystore read, in bytes."""


class SignerRefused(Misconfigured):
    """The signer does not sign this, however often it is asked."""

    code = "relay.signer_refused"


def load_key(path: Path, password: str) -> PrivateKey:
    """Open a keystore (Web3 version 3, as ``daicho key new`` writes it).

    Raises:
        Misconfigured: It cannot be read, or the password is another's.
    """
    try:
        with path.open("rb") as file:
            document = decode_json(file.read(KEYSTORE_SIZE_MAX))
        if not is_object(document):
            raise InvalidInput("keystore: expected an object")
        return PrivateKey(open_keyfile(document, password.encode()))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read; name the relay's keystore") from error
    except InvalidInput as error:
        raise Misconfigured(
            f"{path}: not opened; check that it is a version 3 keystore and this its password"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is left to choose in a transaction of the relay: type, fees and value are fixed."""

    nonce: int
    """Its nonce."""
    gas_limit: int
    """Gas allowed."""
    to: Address
    """Callee."""
    data: bytes
    """Call data with its tail."""


class Signer(Protocol):
    """Signs for one account on one chain."""

    @property
    def account(self) -> Address:
        """Return the account's address."""
        ...

    async def sign(self, draft: Draft) -> Transaction:
        """Sign a transaction.

        Raises:
            SignerRefused: It never signs this.
            Unavailable: The signer does not answer; nothing is signed.
        """
        ...


class KeystoreSigner:
    """Signs with a key that this process holds."""

    def __init__(self, key: PrivateKey, *, chain_id: int) -> None:
        """Hold the key."""
        self._key = key
        self._chain_id = chain_id

    @property
    def account(self) -> Address:
        """Return the account's address."""
        return self._key.address

    async def sign(self, draft: Draft) -> Transaction:
        """Sign a transaction of type 2 without fees and without value."""
        return sign_draft(self._key, self._chain_id, draft)


def sign_draft(key: PrivateKey, chain_id: int, draft: Draft) -> Transaction:
    """Sign a transaction of type 2 without fees and without value."""
    return sign_transaction(
        key,
        chain_id=chain_id,
        nonce=draft.nonce,
        gas_limit=draft.gas_limit,
        to=draft.to,
        data=draft.data,
    )


def draft_of(
    account: Address, nonce: int, candidate: Candidate, operation: Operation | None
) -> Draft:
    """Draft a transaction; one without operation calls the account itself, which does nothing.

    Spec: RELAY-TAIL.
    """
    if operation is None:
        return Draft(
            nonce=nonce, gas_limit=FENCE_GAS, to=account, data=add_tail(b"", candidate.word)
        )
    return Draft(
        nonce=nonce,
        gas_limit=operation.gas_limit + TAIL_GAS,
        to=operation.to,
        data=add_tail(operation.data, candidate.word),
    )
