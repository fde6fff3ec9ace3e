"""The parameters of one request, read by position.

Messages have geth's form ``invalid argument 0: ...``.

Spec: RPC-PARAMS.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from node.primitives.types import Address, Hash32
from node.rpc.backend import Json
from node.rpc.errors import InvalidParams
from node.rpc.hex import parse_address, parse_data, parse_hash, parse_quantity

T = TypeVar("T")


class Params:
    """Positional parameters; a missing one and ``null`` are the same."""

    __slots__ = ("values",)

    def __init__(self, values: Sequence[Json]) -> None:
        """Hold the parameters as they came."""
        self.values = values

    def at_most(self, count: int) -> None:
        """Refuse more parameters than the method has.

        Raises:
            InvalidParams: There are more.
        """
        if len(self.values) > count:
            raise InvalidParams(f"too many arguments, want at most {count}")

    def has(self, index: int) -> bool:
        """Tell whether a parameter was given."""
        return index < len(self.values) and self.values[index] is not None

    def read(self, index: int, parse: Callable[[Json], T]) -> T:
        """Return a required parameter.

        Raises:
            InvalidParams: It is missing, or ``parse`` refuses it.

        Spec: RPC-PARAMS.
        """
        if not self.has(index):
            raise InvalidParams(f"missing value for required argument {index}")
        try:
            return parse(self.values[index])
        except InvalidParams as error:
            raise InvalidParams(f"invalid argument {index}: {error.message}") from error

    def optional(self, index: int, parse: Callable[[Json], T], default: T) -> T:
        """Return a parameter, or ``default`` when it is missing.

        Raises:
            InvalidParams: ``parse`` refuses it.
        """
        return self.read(index, parse) if self.has(index) else default

    def address(self, index: int) -> Address:
        """Return a required address.

        Raises:
            InvalidParams: It is missing or malformed.
        """
        return self.read(index, parse_address)

    def hash(self, index: int) -> Hash32:
        """Return a required 32-byte hash.

        Raises:
            InvalidParams: It is missing or malformed.
        """
        return self.read(index, parse_hash)

    def quantity(self, index: int, bits: int = 64) -> int:
        """Return a required quantity.

        Raises:
            InvalidParams: It is missing or malformed.
        """
        return self.read(index, lambda value: parse_quantity(value, bits))

    def data(self, index: int) -> bytes:
        """Return required data.

        Raises:
            InvalidParams: It is missing or malformed.
        """
        return self.read(index, parse_data)


def parse_bool(value: Json) -> bool:
    """Return a boolean.

    Raises:
        InvalidParams: It is something else.
    """
    if not isinstance(value, bool):
        raise InvalidParams("expected true or false")
    return value


def parse_object(value: Json) -> Mapping[str, Json]:
    """Return an object.

    Raises:
        InvalidParams: It is something else.
    """
    if not isinstance(value, Mapping):
        raise InvalidParams("expected an object")
    return value


def parse_list(value: Json, count_max: int) -> Sequence[Json]:
    """Return a list of at most ``count_max``.

    Raises:
        InvalidParams: It is something else, or longer.
    """
    if not isinstance(value, list):
        raise InvalidParams("expected a list")
    if len(value) > count_max:
        raise InvalidParams(f"list of {len(value)}, at most {count_max}")
    return value


def parse_text(value: Json) -> str:
    """Return a string of at most 256 characters.

    Raises:
        InvalidParams: It is something else, or longer.
    """
    if not isinstance(value, str) or len(value) > 256:
        raise InvalidParams("expected a string of at most 256 characters")
    return value
