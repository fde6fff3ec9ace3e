"""POOL-RESTART: what waits survives as bytes, and bytes of another form are refused."""

import pytest

from node.pool.snapshot import decode_entries, encode_entries
from node.primitives import rlp
from node.primitives.errors import MalformedMessage
from tests.support.pool import NOW_S, PEER, RESIDENT, RPC, SERVICE, head, pool, put, transaction


def test_what_waited_is_admitted_again_after_a_restart() -> None:
    before = pool()
    put(before, transaction(SERVICE), source=RPC)
    put(before, transaction(RESIDENT), source=PEER, now_s=NOW_S + 1)

    after = pool()
    for stored in decode_entries(encode_entries(before.entries())):
        after.submit(stored.raw, head(), source=stored.source, now_s=stored.arrived_s)

    assert list(after.entries()) == list(before.entries())


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xff", id="no RLP"),
        pytest.param(rlp.encode([b"\x02", []]), id="another version"),
        pytest.param(rlp.encode([b"\x01", [[b"", b"\xff", b""]]]), id="source not UTF-8"),
        pytest.param(rlp.encode([b"\x01", [[b"", b""]]]), id="short entry"),
    ],
)
def test_bytes_of_another_form_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_entries(data)
