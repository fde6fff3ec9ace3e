"""RLP against the ``rlp`` library, and random bytes against the decoder."""

from typing import Any

import rlp as library
from hypothesis import given
from hypothesis import strategies as st
from rlp.exceptions import DecodingError

from node.primitives import rlp
from node.primitives.errors import MalformedMessage

ITEMS: st.SearchStrategy[Any] = st.recursive(
    st.binary(max_size=80), lambda inner: st.lists(inner, max_size=6), max_leaves=25
)


@given(ITEMS)
def test_encoding_equals_the_library_and_decodes_back(item: Any) -> None:
    encoded = rlp.encode(item)

    assert encoded == library.encode(item)
    assert rlp.decode(encoded) == item


@given(st.binary(max_size=200))
def test_random_bytes_decode_as_in_the_library_or_are_refused(data: bytes) -> None:
    try:
        decoded = rlp.decode(data)
    except MalformedMessage:
        try:
            judged = library.decode(data)
        except DecodingError:
            return
        assert _depth(judged) > rlp.DEPTH_MAX
    else:
        assert decoded == library.decode(data)


def _depth(item: Any) -> int:
    if isinstance(item, bytes):
        return 0
    return 1 + max((_depth(part) for part in item), default=0)
