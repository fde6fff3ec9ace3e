"""The relay's key: signs transactions of its account and nothing else.

Signing is deterministic: the same transaction always has the same bytes and the same hash.
"""

from pathlib import Path
from typing import Final

from eth_keyfile.keyfile import decode_keyfile_json

from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.primitives.json_text import decode_json
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address
from services.relay.machine import Candidate
from services.relay.operations import FENCE_GAS, TAIL_GAS, Operation, add_tail

KEYSTORE_SIZE_MAX: Final = 16_384
"""Longest keystore read, in bytes."""


def load_key(path: Path, password: str) -> PrivateKey:
    """Open a keystore (Web3 version 3, as ``daicho key new`` writes it).

    Raises:
        Misconfigured: It cannot be read, or the password is another's.
    """
    try:
        with path.open("rb") as file:
            document = decode_json(file.read(KEYSTORE_SIZE_MAX))
        if not isinstance(document, dict):
            raise InvalidInput("keystore: expected an object")
        return PrivateKey(decode_keyfile_json(document, password.encode()))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read; name the relay's keystore") from error
    except (ValueError, TypeError, KeyError, InvalidInput) as error:
        raise Misconfigured(
            f"{path}: not opened; check that it is a version 3 keystore and this its password"
        ) from error


class Signer:
    """Signs candidates for one account on one chain."""

    def __init__(self, key: PrivateKey, *, chain_id: int) -> None:
        """Hold the key."""
        self._key = key
        self._chain_id = chain_id

    @property
    def account(self) -> Address:
        """Return the account's address."""
        return self._key.address

    def sign(self, nonce: int, candidate: Candidate, operation: Operation | None) -> Transaction:
        """Sign a transaction; one without operation calls the account itself, which does nothing.

        Spec: RELAY-TAIL.
        """
        if operation is None:
            return sign_transaction(
                self._key,
                chain_id=self._chain_id,
                nonce=nonce,
                gas_limit=FENCE_GAS,
                to=self.account,
                data=add_tail(b"", candidate.word),
            )
        return sign_transaction(
            self._key,
            chain_id=self._chain_id,
            nonce=nonce,
            gas_limit=operation.gas_limit + TAIL_GAS,
            to=operation.to,
            data=add_tail(operation.data, candidate.word),
        )
