"""Random bytes into every decoder of the ledger's words raise InvalidInput and nothing else."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.primitives import block, header, receipt, rlp, transaction
from node.primitives.errors import InvalidInput

ITEMS = st.recursive(st.binary(max_size=40), lambda inner: st.lists(inner, max_size=18))
DECODERS = [
    block.decode_block,
    header.decode_header,
    header.decode_extra_data,
    receipt.decode_receipt,
    transaction.decode_transaction,
]


@pytest.mark.parametrize("decode", DECODERS, ids=lambda decode: decode.__name__)
@given(data=st.one_of(st.binary(max_size=300), ITEMS.map(rlp.encode)))
def test_random_bytes_are_refused_as_invalid_input(
    decode: Callable[[bytes], object], data: bytes
) -> None:
    try:
        decode(data)
    except InvalidInput:
        return
