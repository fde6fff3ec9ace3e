"""The genesis file as it is written: JSON in the form Besu reads, with a section of our own.

This module reads form only: types, lengths and bounds. Numbers may be JSON integers, decimal text
or ``0x`` text; keys of ``config.qbft`` are matched whatever their case, as Besu does. Whether this
software can run the network a file describes is decided in ``checks``.

Spec: EXEC-GENESIS-FORM.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from node.genesis.profile import GenesisAccount
from node.primitives.errors import MalformedMessage, Misconfigured
from node.primitives.header import ExtraData, decode_extra_data
from node.primitives.json_text import decode_json
from node.primitives.types import ZERO_ADDRESS, ZERO_HASH, Address, Hash32

GENESIS_SIZE_MAX: Final = 16 * 1024 * 1024
"""Longest genesis file read, in bytes."""

ALLOC_COUNT_MAX: Final = 100_000
"""Most accounts and storage slots, together, that exist before the first block."""

UINT256_MAX: Final = 2**256 - 1
UINT64_MAX: Final = 2**64 - 1

_ACCOUNT_KEYS: Final = frozenset({"nonce", "balance", "code", "storage"})


class InvalidGenesis(Misconfigured):
    """A genesis file that is malformed, or that this software cannot run."""

    code = "genesis.invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class GenesisDocument:
    """A genesis file by its form; nothing is promised about its sense."""

    keys: frozenset[str]
    """Keys at the top of the file."""
    config: Mapping[str, object]
    """The ``config`` object without ``qbft`` and ``daicho``."""
    qbft: Mapping[str, object]
    """``config.qbft``, keys in lower case."""
    daicho: Mapping[str, object] | None
    """``config.daicho``, or None when the file is not of this ledger."""
    chain_id: int
    """``config.chainId``."""
    extra_data: ExtraData
    """Validators, vanity, and what else the first extra data holds."""
    gas_limit: int
    """``gasLimit``."""
    timestamp_s: int
    """``timestamp``."""
    difficulty: int
    """``difficulty``."""
    mix_hash: Hash32
    """``mixHash``."""
    nonce: int
    """``nonce``."""
    coinbase: Address
    """``coinbase``."""
    number: int
    """``number``; 0 when absent."""
    parent_hash: Hash32
    """``parentHash``; zero when absent."""
    base_fee_wei: int
    """``baseFeePerGas``; 0 when absent."""
    alloc: Mapping[Address, GenesisAccount]
    """Accounts, ascending by address."""
    unknown_account_keys: tuple[str, ...]
    """Keys of accounts that were passed over."""

    @property
    def validators(self) -> tuple[Address, ...]:
        """Return the validators that the extra data lists."""
        return self.extra_data.validators


def read_document(data: bytes) -> GenesisDocument:
    """Read a genesis file's form.

    Raises:
        InvalidGenesis: Too long, not JSON, or a value of the wrong form.

    Spec: EXEC-GENESIS-FORM.
    """
    top = as_object(_read_json(data), "genesis")
    config = as_object(top.get("config", {}), "config")
    if "chainId" not in config:
        _refuse("config.chainId is missing; add it")
    extra = as_hex(top.get("extraData", "0x"), "extraData")
    try:
        extra_data = decode_extra_data(extra)
    except MalformedMessage as error:
        raise InvalidGenesis(
            f"extraData: {error.message}; make it with `daicho genesis build`",
            rule="EXEC-GENESIS-FORM",
        ) from error
    alloc, unknown = _read_alloc(as_object(top.get("alloc", {}), "alloc"))
    daicho = config.get("daicho")
    return GenesisDocument(
        keys=frozenset(top),
        config={name: config[name] for name in config if name not in ("qbft", "daicho")},
        qbft=_lower_keys(as_object(config.get("qbft", {}), "config.qbft")),
        daicho=None if daicho is None else as_object(daicho, "config.daicho"),
        chain_id=as_uint(config["chainId"], "config.chainId"),
        extra_data=extra_data,
        gas_limit=as_uint(top.get("gasLimit", 0), "gasLimit", UINT64_MAX),
        timestamp_s=as_uint(top.get("timestamp", 0), "timestamp", UINT64_MAX),
        difficulty=as_uint(top.get("difficulty", 0), "difficulty"),
        mix_hash=Hash32(as_hex(top.get("mixHash", _hex(ZERO_HASH)), "mixHash", 32)),
        nonce=as_uint(top.get("nonce", 0), "nonce", UINT64_MAX),
        coinbase=Address(as_hex(top.get("coinbase", _hex(ZERO_ADDRESS)), "coinbase", 20)),
        number=as_uint(top.get("number", 0), "number", UINT64_MAX),
        parent_hash=Hash32(as_hex(top.get("parentHash", _hex(ZERO_HASH)), "parentHash", 32)),
        base_fee_wei=as_uint(top.get("baseFeePerGas", 0), "baseFeePerGas"),
        alloc=alloc,
        unknown_account_keys=unknown,
    )


def as_object(value: object, what: str) -> Mapping[str, object]:
    """Return ``value`` as a JSON object.

    Raises:
        InvalidGenesis: It is something else.
    """
    if not isinstance(value, dict):
        _refuse(f"{what}: expected an object, found {type(value).__name__}")
    return value


def as_uint(value: object, what: str, largest: int = UINT256_MAX) -> int:
    """Return ``value`` as an unsigned integer of at most ``largest``.

    Raises:
        InvalidGenesis: It is no number, or out of range.
    """
    number = -1
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and len(value) <= 80 and value.isascii():
        body, base = (value[2:], 16) if value.startswith("0x") else (value, 10)
        if body.isalnum() and not (base == 10 and not body.isdigit()):
            try:
                number = int(body, base)
            except ValueError:
                number = -1
    if not 0 <= number <= largest:
        _refuse(f"{what}: expected a whole number from 0 to {largest}")
    return number


def as_hex(value: object, what: str, length: int | None = None) -> bytes:
    """Return ``0x`` text as bytes, of ``length`` when given.

    Raises:
        InvalidGenesis: Not such text, or of another length.
    """
    if not isinstance(value, str):
        _refuse(f"{what}: expected text beginning 0x")
    body = value.removeprefix("0x")
    try:
        data = bytes.fromhex(body)
    except ValueError:
        _refuse(f"{what}: expected hexadecimal digits after 0x")
    if len(data) * 2 != len(body) or (length is not None and len(data) != length):
        _refuse(f"{what}: expected {length} bytes, found {len(data)}")
    return data


def _read_json(data: bytes) -> object:
    if len(data) > GENESIS_SIZE_MAX:
        _refuse(f"the file has {len(data)} bytes, at most {GENESIS_SIZE_MAX} are read")
    try:
        return decode_json(
            data,
            object_pairs_hook=_unique_keys,
            parse_float=_refuse_number,
            parse_constant=_refuse_number,
        )
    except MalformedMessage as error:
        raise InvalidGenesis(
            f"genesis file: {error.message}; compare it with another operator's copy",
            rule="EXEC-GENESIS-FORM",
        ) from error


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        _refuse("a key appears twice in one object; keep one")
    return entries


def _lower_keys(section: Mapping[str, object]) -> Mapping[str, object]:
    return _unique_keys([(name.lower(), value) for name, value in section.items()])


def _refuse_number(text: str) -> NoReturn:
    _refuse(f"{text[:20]}: only whole numbers are used here")


def _read_alloc(
    section: Mapping[str, object],
) -> tuple[Mapping[Address, GenesisAccount], tuple[str, ...]]:
    accounts: dict[Address, GenesisAccount] = {}
    unknown: set[str] = set()
    count = len(section)
    for text, value in section.items():
        address = Address(as_hex(text, "alloc address", 20))
        entry = as_object(value, f"alloc.{text}")
        if address in accounts:
            _refuse(f"alloc: {text} appears twice; keep one")
        storage = as_object(entry.get("storage", {}), f"alloc.{text}.storage")
        count += len(storage)
        if count > ALLOC_COUNT_MAX:
            _refuse(f"alloc: over {ALLOC_COUNT_MAX} accounts and slots")
        accounts[address] = GenesisAccount(
            nonce=as_uint(entry.get("nonce", 0), f"alloc.{text}.nonce", UINT64_MAX),
            balance_wei=as_uint(entry.get("balance", 0), f"alloc.{text}.balance"),
            code=as_hex(entry.get("code", "0x"), f"alloc.{text}.code"),
            storage=_read_storage(storage, f"alloc.{text}.storage"),
        )
        unknown |= set(entry) - _ACCOUNT_KEYS
    return dict(sorted(accounts.items())), tuple(sorted(unknown))


def _read_storage(section: Mapping[str, object], what: str) -> tuple[tuple[int, int], ...]:
    slots: dict[int, int] = {}
    for name, value in section.items():
        slot = as_uint(name if name.startswith("0x") else f"0x{name}", what)
        if slot in slots:
            _refuse(f"{what}: slot {name} appears twice; keep one")
        slots[slot] = as_uint(value, what)
    return tuple(sorted((slot, value) for slot, value in slots.items() if value))


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _refuse(message: str) -> NoReturn:
    raise InvalidGenesis(f"genesis file: {message}", rule="EXEC-GENESIS-FORM")
