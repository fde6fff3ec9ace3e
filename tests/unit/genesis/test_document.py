"""EXEC-GENESIS-FORM: what a genesis file may look like, whoever wrote it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.genesis.document import (
    ALLOC_COUNT_MAX,
    GENESIS_SIZE_MAX,
    InvalidGenesis,
    read_document,
)
from node.genesis.parse import parse_genesis
from node.primitives.header import ExtraData
from tests.support.vectors import vectors_path

VALIDATOR = b"\x11" * 20
EXTRA = "0x" + ExtraData(validators=(VALIDATOR,)).encode().hex()


def written(**changes: object) -> bytes:
    record = {"config": {"chainId": 7}, "extraData": EXTRA, "alloc": {}, **changes}
    return json.dumps(record).encode()


@pytest.mark.parametrize("client", ["besu", "goquorum"])
def test_the_genesis_of_a_network_of_besu_and_goquorum_is_read(client: str) -> None:
    file = vectors_path() / "qbft" / f"eea_testnet_genesis_{client}.json"

    document = read_document(file.read_bytes())

    assert [one.hex() for one in document.validators] == [
        "01c24d8ccfee0b84e8ff8d7656c27d85431b4ecf",
        "d3e422e80d18a68d7857514d598b34b865d8707d",
        "9b440c36fcf191f4751ca5d0b7cfb6b08e77577e",
        "4d18612ddedd6392bb527479ecc5ff2c0a143745",
    ]
    assert document.chain_id == 1337
    assert document.qbft["blockperiodseconds"] == 5
    assert document.extra_data.vanity == bytes(32)


@pytest.mark.parametrize("client", ["besu", "goquorum"])
def test_that_network_is_refused_with_the_reason(client: str) -> None:
    file = vectors_path() / "qbft" / f"eea_testnet_genesis_{client}.json"

    with pytest.raises(InvalidGenesis, match="istanbul, maxCodeSize, txnSizeLimit"):
        parse_genesis(file.read_bytes())


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(42, id="JSON integer"),
        pytest.param("42", id="decimal text"),
        pytest.param("0x2a", id="hexadecimal text"),
        pytest.param("0x000000000000002A", id="hexadecimal with leading zeros"),
    ],
)
def test_a_number_may_be_spelt_in_each_way_in_use(number: object) -> None:
    assert read_document(written(gasLimit=number)).gas_limit == 42


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(-1, id="negative"),
        pytest.param(True, id="truth value"),
        pytest.param("0x", id="no digits"),
        pytest.param("4_2", id="underscore"),
        pytest.param("２", id="full-width digit"),
        pytest.param("0xzz", id="no hexadecimal"),
        pytest.param(2**64, id="over 64 bits"),
        pytest.param("9" * 5000, id="very long"),
        pytest.param(None, id="null"),
    ],
)
def test_anything_else_is_no_number(number: object) -> None:
    with pytest.raises(InvalidGenesis):
        read_document(written(gasLimit=number))


def test_keys_of_qbft_are_matched_whatever_their_case() -> None:
    document = read_document(written(config={"chainId": 7, "qbft": {"EpochLength": 5}}))

    assert document.qbft == {"epochlength": 5}


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'{"config":{},"config":{"chainId":1}}', id="same key twice"),
        pytest.param(
            b'{"config":{"chainId":1,"qbft":{"epochLength":1,"epochlength":2}}}',
            id="same qbft key in two cases",
        ),
        pytest.param(b'{"config":{"chainId":1.5}}', id="fraction"),
        pytest.param(b'{"config":{"chainId":NaN}}', id="not a number"),
        pytest.param(b"\xff\xfe", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b'{"config":{}}', id="no chain id"),
        pytest.param(written(extraData="0x"), id="no extra data"),
        pytest.param(written(extraData="0xf8"), id="broken extra data"),
        pytest.param(written(mixHash="0x00"), id="short hash"),
        pytest.param(written(coinbase="0x 1"), id="blank in hexadecimal"),
        pytest.param(written(alloc={"0x11": {}}), id="short address"),
        pytest.param(
            written(alloc={"0x" + "ab" * 20: {}, "0x" + "AB" * 20: {}}), id="account twice"
        ),
        pytest.param(
            written(alloc={"0x" + "ab" * 20: {"storage": {"0x1": "0x1", "0x01": "0x2"}}}),
            id="slot twice",
        ),
    ],
)
def test_a_malformed_file_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidGenesis):
        read_document(data)


def test_the_longest_file_is_read_and_a_longer_one_is_not() -> None:
    document = written()
    padded = document + b" " * (GENESIS_SIZE_MAX - len(document))

    assert read_document(padded).chain_id == 7
    with pytest.raises(InvalidGenesis, match="bytes, at most"):
        read_document(padded + b" ")


def test_one_account_or_slot_too_many_is_refused() -> None:
    storage = {hex(slot): "0x1" for slot in range(ALLOC_COUNT_MAX - 1)}
    fits = written(alloc={"0x" + "ab" * 20: {"storage": storage}})
    over = written(alloc={"0x" + "ab" * 20: {"storage": {**storage, hex(2**64): "0x1"}}})

    assert len(read_document(fits).alloc) == 1
    with pytest.raises(InvalidGenesis, match="accounts and slots"):
        read_document(over)


def test_zero_values_are_not_storage() -> None:
    document = read_document(
        written(alloc={"0x" + "ab" * 20: {"storage": {"0x2": "0x0", "0x1": "0x5"}}})
    )

    assert next(iter(document.alloc.values())).storage == ((1, 5),)


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_but_an_invalid_genesis(data: bytes) -> None:
    with pytest.raises(InvalidGenesis):
        read_document(data)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["config", "alloc", "extraData", "gasLimit", "nonce", "mixHash"]),
        JSON_VALUES
        | st.just({"chainId": 1, "daicho": {"municipalities": ["\ud800"]}})
        | st.just(EXTRA),
    )
)
def test_random_json_raises_nothing_but_an_invalid_genesis(record: dict[str, object]) -> None:
    with pytest.raises(InvalidGenesis):
        parse_genesis(json.dumps(record).encode())
