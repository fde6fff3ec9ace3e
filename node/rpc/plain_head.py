"""The head of an ordinary request: a POST of JSON whose length is known, and nothing more.

That is what clients of JSON-RPC send, thousands of times. It is read here strictly and in one pass;
whatever is not exactly that (another method, chunks, an upgrade, an origin, a compressed body, a
header given twice, a byte out of place) is no ordinary request and is left to the HTTP library.
Reading may therefore say no as often as it likes, and must never say yes to what the library would
read otherwise.

Spec: RPC-HTTP.
"""

import re
from dataclasses import dataclass
from typing import Final

HEAD_SIZE_MAX: Final = 4_096
"""Bytes of a head that is still ordinary."""

JSON_TYPES: Final = ("application/json", "application/json-rpc", "application/jsonrequest")
"""Types of a body that is read as JSON."""

_REQUEST_LINE: Final = re.compile(rb"POST /[!-~]* HTTP/1\.1")

_IGNORED: Final = frozenset(
    (
        *(b"accept", b"accept-encoding", b"accept-language", b"cache-control", b"pragma"),
        *(b"user-agent", b"sec-fetch-mode", b"traceparent", b"tracestate", b"x-request-id"),
    )
)
"""Headers that change nothing here."""

_VALUE: Final = re.compile(rb"[ -~]*")


@dataclass(frozen=True, slots=True)
class PlainHead:
    """What the head of an ordinary request says."""

    size: int
    """Bytes of the head, the empty line included."""
    length: int
    """Bytes of the body."""
    host: str
    """The header ``Host``, in lower case."""


def read_plain_head(data: bytes) -> PlainHead | None:
    """Return the head of an ordinary request, or None when it is another.

    Args:
        data: A request from its first byte on, at least to the end of its head.

    Spec: RPC-HTTP.
    """
    size = data.find(b"\r\n\r\n") + 4
    lines = data[: size - 4].split(b"\r\n")
    if not 4 < size <= HEAD_SIZE_MAX or _REQUEST_LINE.fullmatch(lines[0]) is None:
        return None
    found: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or name in found or _VALUE.fullmatch(value) is None:
            return None
        found[name] = value.strip()
    host, length = found.pop(b"host", b""), found.pop(b"content-length", b"")
    kind = found.pop(b"content-type", b"").partition(b";")[0].strip().lower().decode()
    if not host or not 0 < len(length) < 10 or not length.isdigit() or kind not in JSON_TYPES:
        return None
    if found.pop(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    if not found.keys() <= _IGNORED:
        return None
    return PlainHead(size, int(length), host.decode().lower())
