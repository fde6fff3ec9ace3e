"""BALLOT-H2C: hash to curve agrees with the vectors of RFC 9380."""

import json
from typing import Any

from clients.voting.hash_to_curve import expand_message, hash_with_domain
from tests.support.vectors import vectors_path


def load(name: str) -> Any:
    return json.loads((vectors_path() / "rfc9380" / name).read_text())


def test_points_equal_the_published_ones() -> None:
    suite = load("secp256k1_XMD:SHA-256_SSWU_RO_.json")
    for case in suite["vectors"]:
        point = hash_with_domain(case["msg"].encode(), suite["dst"].encode()).encode_xy()
        assert point[:32].hex() == case["P"]["x"].removeprefix("0x")
        assert point[32:].hex() == case["P"]["y"].removeprefix("0x")


def test_expansion_equals_the_published_one() -> None:
    suite = load("expand_message_xmd_SHA256_38.json")
    for case in suite["tests"]:
        size = int(case["len_in_bytes"], 16)
        expanded = expand_message(case["msg"].encode(), suite["DST"].encode(), size)
        assert expanded.hex() == case["uniform_bytes"]
