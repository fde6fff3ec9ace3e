"""A wallet: random keys, each sealed under the device key, usable only while unlocked.

Keys of two sectors have nothing in common, so nothing links them. Other modules use keys through
the methods here; a secret leaves only by `export_secret`, which refuses unless told which one.
Python cannot wipe memory: locking drops the keys, and they go when their memory is used again.

Spec: WALLET-SECTOR, WALLET-LOCK, WALLET-ONCE, WALLET-BALLOT, WALLET-EXPORT.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from clients.voting.roll import derive_ballot_key
from clients.wallet.records import RECORD_SECRET_SIZE, open_record, record_public_key
from clients.wallet.sealing import (
    KEY_SIZE,
    SALT_SIZE,
    Draw,
    InvalidWallet,
    Stretch,
    seal,
    unseal,
)
from node.primitives import rlp
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput
from node.primitives.json_text import decode_json
from node.primitives.transaction import Transaction, sign_transaction
from node.primitives.types import Address, Signature

ENTRY_COUNT_MAX: Final = 256
"""Most secrets in a wallet."""

WALLET_SIZE_MAX: Final = 2 * 1024 * 1024
"""Longest wallet file read, in bytes."""

BALLOT_SEED_SIZE: Final = 16

DRAW_TRIES_MAX: Final = 8
"""Draws before randomness is declared broken; one in 2^128 scalars is out of range."""

NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
"""Form of a sector's name, and of an election's id in hexadecimal (64 digits)."""

_DEVICE_KEY: Final = b"daicho wallet v1 device key"
_ENTRY: Final = b"daicho wallet v1 entry"


class Kind(StrEnum):
    """What a secret is for."""

    SECTOR = "sector"
    """Signs for one sector."""
    RECORD = "record"
    """Opens records sealed for the resident in one sector."""
    BALLOT = "ballot"
    """Seed of the ballot key of one election."""


SECRET_SIZES: Final = {
    Kind.SECTOR: 32,
    Kind.RECORD: RECORD_SECRET_SIZE,
    Kind.BALLOT: BALLOT_SEED_SIZE,
}
"""Bytes of each kind of secret."""


class WalletLocked(InvalidInput):
    """A secret was asked for while the wallet is locked."""

    code = "wallet.locked"


class UnknownKey(InvalidInput):
    """The wallet has no such key."""

    code = "wallet.unknown_key"


class KeyExists(InvalidInput):
    """The wallet has a key of that kind and name already; keys are never replaced."""

    code = "wallet.key_exists"


class ExportRefused(InvalidInput):
    """A secret was to leave the wallet without its owner naming it."""

    code = "wallet.export_refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One secret, sealed."""

    kind: Kind
    """What it is for."""
    name: str
    """Sector, or election id in hexadecimal."""
    public: bytes
    """Address of a sector key, public record key, empty for a ballot seed."""
    sealed: bytes
    """Under the device key, bound to the other fields."""

    @property
    def context(self) -> bytes:
        """Return what is authenticated beside the secret."""
        return rlp.encode([_ENTRY, self.kind.value.encode(), self.name.encode(), self.public])


@dataclass(frozen=True, slots=True, kw_only=True)
class Wallet:
    """A wallet as it lies on the device: locked."""

    stretch: Stretch
    """How the passphrase becomes the key of ``device_box``."""
    device_box: bytes
    """The device key, sealed."""
    entries: tuple[Entry, ...] = ()
    """Ascending by kind and name, once each."""

    def find(self, kind: Kind, name: str) -> Entry | None:
        """Return an entry, or None."""
        return next((each for each in self.entries if (each.kind, each.name) == (kind, name)), None)

    def unlock(self, passphrase: str, draw: Draw) -> "OpenWallet":
        """Open the wallet.

        Raises:
            WrongPassphrase: The passphrase is not the wallet's.
            WeakPassphrase: It cannot be.

        Spec: WALLET-LOCK.
        """
        device_key = unseal(self.stretch.derive(passphrase), self.device_box, _DEVICE_KEY)
        return OpenWallet(self, device_key, draw)


def create_wallet(passphrase: str, draw: Draw, *, stretch: Stretch | None = None) -> Wallet:
    """Make an empty wallet with a random device key.

    Raises:
        WeakPassphrase: The passphrase is too short or too long.

    Spec: WALLET-LOCK.
    """
    chosen = stretch or Stretch(salt=draw(SALT_SIZE))
    key = chosen.derive(passphrase)
    return Wallet(stretch=chosen, device_box=seal(key, draw(KEY_SIZE), _DEVICE_KEY, draw))


class OpenWallet:
    """An unlocked wallet; ``wallet`` is what is to be written back after a change."""

    def __init__(self, wallet: Wallet, device_key: bytes, draw: Draw) -> None:
        """Hold the device key until locked."""
        self.wallet = wallet
        self._device_key: bytes | None = device_key
        self._draw = draw

    def __repr__(self) -> str:
        """Tell how many secrets there are, never what."""
        state = "locked" if self._device_key is None else "unlocked"
        return f"OpenWallet({len(self.wallet.entries)} entries, {state})"

    def lock(self) -> None:
        """Forget the device key; every later use of a secret is refused.

        Spec: WALLET-LOCK.
        """
        self._device_key = None

    def change_passphrase(self, passphrase: str) -> None:
        """Seal the device key under another passphrase; secrets stay as they are sealed.

        Raises:
            WeakPassphrase: It is too short or too long.
            WalletLocked: The wallet is locked.

        Spec: WALLET-LOCK.
        """
        stretch = replace(self.wallet.stretch, salt=self._draw(SALT_SIZE))
        box = seal(stretch.derive(passphrase), self._key(), _DEVICE_KEY, self._draw)
        self.wallet = replace(self.wallet, stretch=stretch, device_box=box)

    def add_sector(self, sector: str) -> Address:
        """Draw the signing key and the record key of a sector; return the address.

        Raises:
            KeyExists: The sector has keys.
            InvalidInput: The name is malformed, or the wallet full.

        Spec: WALLET-SECTOR.
        """
        if self.wallet.find(Kind.RECORD, sector) is not None:
            raise KeyExists(f"wallet: sector {sector} has keys already", rule="WALLET-SECTOR")
        address = self.put(Kind.SECTOR, sector, draw_key(self._draw).export_secret()).public
        self.put(Kind.RECORD, sector, self._draw(RECORD_SECRET_SIZE))
        return Address(address)

    def add_ballot_seed(self, eid: bytes) -> None:
        """Draw the seed of one election's ballot key.

        Raises:
            KeyExists: There is one.

        Spec: WALLET-BALLOT.
        """
        self.put(Kind.BALLOT, _election(eid), self._draw(BALLOT_SEED_SIZE))

    def ballot_key(self, eid: bytes) -> int:
        """Return the ballot key of an election, for the voting client only.

        Raises:
            UnknownKey: No seed was drawn for it.

        Spec: WALLET-BALLOT.
        """
        return derive_ballot_key(self._secret(Kind.BALLOT, _election(eid)), eid)

    def sign(self, sector: str, message_hash: bytes) -> Signature:
        """Sign a 32-byte hash with a sector's key.

        Raises:
            UnknownKey: The sector has none.

        Spec: WALLET-SECTOR.
        """
        return self._sector_key(sector).sign(message_hash)

    def sign_call(
        self, sector: str, to: Address, data: bytes, *, chain_id: int, nonce: int, gas_limit: int
    ) -> Transaction:
        """Sign a transaction that calls a contract, from a sector's address.

        Raises:
            UnknownKey: The sector has no key.

        Spec: WALLET-SECTOR.
        """
        return sign_transaction(
            self._sector_key(sector),
            chain_id=chain_id,
            nonce=nonce,
            gas_limit=gas_limit,
            to=to,
            data=data,
        )

    def open_record(self, sector: str, sealed: bytes, *, record_id: bytes) -> bytes:
        """Open a record that was sealed for the resident in a sector.

        Raises:
            UnknownKey: The sector has no key.
            InvalidRecord: The record does not open.

        Spec: WALLET-RECORD.
        """
        secret = self._secret(Kind.RECORD, sector)
        return open_record(secret, sealed, sector=sector, record_id=record_id)

    def export_secret(self, kind: Kind, name: str, *, confirm: bytes | None = None) -> bytes:
        """Return a secret in the clear, if the caller repeats its public half.

        Raises:
            ExportRefused: It did not, or the kind has no public half.

        Spec: WALLET-EXPORT.
        """
        entry = self.wallet.find(kind, name)
        if entry is None or not entry.public or confirm != entry.public:
            raise ExportRefused(
                "wallet: a secret leaves only when its address is repeated; make a backup instead",
                rule="WALLET-EXPORT",
            )
        return self._secret(kind, name)

    def put(self, kind: Kind, name: str, secret: bytes) -> Entry:
        """Seal a secret and keep it under a name that is still free.

        Raises:
            KeyExists: There is one of that kind and name.
            InvalidInput: Name or secret is malformed, or the wallet full.

        Spec: WALLET-LOCK.
        """
        if not NAME.fullmatch(name) or len(secret) != SECRET_SIZES[kind]:
            raise InvalidInput(f"wallet: malformed name or secret of a {kind.value} key")
        if self.wallet.find(kind, name) is not None:
            raise KeyExists(f"wallet: there is a {kind.value} key for {name}", rule="WALLET-LOCK")
        if len(self.wallet.entries) >= ENTRY_COUNT_MAX:
            raise InvalidInput(f"wallet: full, at most {ENTRY_COUNT_MAX} keys")
        bare = Entry(kind=kind, name=name, public=_public_of(kind, secret), sealed=b"")
        entry = replace(bare, sealed=seal(self._key(), secret, bare.context, self._draw))
        self.wallet = replace(self.wallet, entries=_sorted([*self.wallet.entries, entry]))
        return entry

    def secrets(self) -> tuple[tuple[Kind, str, bytes], ...]:
        """Return every secret, for `backup` only, which seals them again.

        Raises:
            WalletLocked: The wallet is locked.

        Spec: WALLET-BACKUP.
        """
        return tuple(
            (each.kind, each.name, self._secret(each.kind, each.name))
            for each in self.wallet.entries
        )

    def _sector_key(self, sector: str) -> PrivateKey:
        return PrivateKey(self._secret(Kind.SECTOR, sector))

    def _secret(self, kind: Kind, name: str) -> bytes:
        entry = self.wallet.find(kind, name)
        if entry is None:
            raise UnknownKey(f"wallet: no {kind.value} key for {name}")
        return unseal(self._key(), entry.sealed, entry.context)

    def _key(self) -> bytes:
        if self._device_key is None:
            raise WalletLocked("wallet: locked; unlock it first", rule="WALLET-LOCK")
        return self._device_key


def draw_key(draw: Draw) -> PrivateKey:
    """Draw a signing key, uniformly: also a one-time key, which is used and never kept.

    Raises:
        InvalidInput: What is drawn is no key, again and again: the randomness is broken.

    Spec: WALLET-ONCE, WALLET-SECTOR.
    """
    for _ in range(DRAW_TRIES_MAX):
        try:
            return PrivateKey(draw(32))
        except InvalidInput:
            continue
    raise InvalidInput("wallet: the source of randomness is broken")


def encode_wallet(wallet: Wallet) -> str:
    """Return the text of a wallet's file."""
    record = {
        "version": 1,
        "salt": wallet.stretch.salt.hex(),
        "work": wallet.stretch.work,
        "device_key": wallet.device_box.hex(),
        "entries": [
            {
                "kind": each.kind.value,
                "name": each.name,
                "public": each.public.hex(),
                "sealed": each.sealed.hex(),
            }
            for each in wallet.entries
        ],
    }
    return json.dumps(record, indent=2) + "\n"


def decode_wallet(data: bytes) -> Wallet:
    """Read a wallet's file; nothing in it is opened.

    Raises:
        InvalidWallet: It is too long, malformed, or of another version.

    Spec: WALLET-LOCK.
    """
    if len(data) > WALLET_SIZE_MAX:
        raise _invalid(f"over {WALLET_SIZE_MAX} bytes")
    try:
        record = decode_json(data)
    except InvalidInput as error:
        raise _invalid(error.message) from error
    fields = _fields(record, {"version", "salt", "work", "device_key", "entries"})
    work, items = fields["work"], fields["entries"]
    if fields["version"] != 1 or not isinstance(work, int) or isinstance(work, bool):
        raise _invalid("of another version")
    if not isinstance(items, list) or len(items) > ENTRY_COUNT_MAX:
        raise _invalid(f"expected at most {ENTRY_COUNT_MAX} entries")
    entries = tuple(_entry_of(item) for item in items)
    if entries != _sorted(entries) or len({(e.kind, e.name) for e in entries}) < len(entries):
        raise _invalid("entries out of order or twice")
    return Wallet(
        stretch=Stretch(salt=_hex(fields["salt"]), work=work),
        device_box=_hex(fields["device_key"]),
        entries=entries,
    )


def _entry_of(item: object) -> Entry:
    fields = _fields(item, {"kind", "name", "public", "sealed"})
    kind, name = fields["kind"], fields["name"]
    if kind not in set(Kind) or not isinstance(name, str) or not NAME.fullmatch(name):
        raise _invalid("an entry of an unknown kind or name")
    return Entry(
        kind=Kind(str(kind)),
        name=name,
        public=_hex(fields["public"]),
        sealed=_hex(fields["sealed"]),
    )


def _fields(record: object, names: set[str]) -> dict[str, object]:
    if not isinstance(record, dict) or set(record) != names:
        raise _invalid(f"expected exactly {', '.join(sorted(names))}")
    return record


def _hex(value: object) -> bytes:
    try:
        return bytes.fromhex(value if isinstance(value, str) else "-")
    except ValueError as error:
        raise _invalid("expected hexadecimal digits") from error


def _public_of(kind: Kind, secret: bytes) -> bytes:
    match kind:
        case Kind.SECTOR:
            return PrivateKey(secret).address
        case Kind.RECORD:
            return record_public_key(secret)
        case Kind.BALLOT:
            return b""


def _election(eid: bytes) -> str:
    if len(eid) != 32:
        raise InvalidInput("wallet: an election's id has 32 bytes")
    return eid.hex()


def _sorted(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    return tuple(sorted(entries, key=lambda each: (each.kind.value, each.name)))


def _invalid(message: str) -> InvalidWallet:
    return InvalidWallet(f"wallet: {message}", rule="WALLET-LOCK")
