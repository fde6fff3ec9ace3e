"""Events: CloudEvents 1.0 in canonical JSON, bounded, and signed by their source."""

import base64
import json
from datetime import UTC, datetime, timedelta, timezone

import coincurve
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OKPKey

from node.primitives.canonical import INTEGER_MAX, NESTING_MAX, NotCanonical, encode_canonical
from node.primitives.crypto import CURVE_ORDER
from node.primitives.errors import InvalidInput, Misconfigured
from services.kit.event_signatures import (
    SIGNATURE_LENGTH_MAX,
    EventKey,
    EventSigner,
    EventVerifier,
    InvalidEventSignature,
)
from services.kit.events import (
    EVENT_BYTES_MAX,
    Event,
    InvalidEvent,
    decode_event,
    encode_event,
    from_milliseconds,
    to_milliseconds,
)
from tests.support.events import HUB, make_event

ED25519 = OKPKey.generate_key("Ed25519")
SECP256K1 = ECKey.generate_key("secp256k1")
KEYS = [pytest.param(ED25519, id="Ed25519"), pytest.param(SECP256K1, id="ES256K")]


def public(key: EventKey) -> EventKey:
    shape = json.loads(json.dumps(key.as_dict(private=False)))
    return OKPKey.import_key(shape) if shape["kty"] == "OKP" else ECKey.import_key(shape)


def test_an_event_is_written_as_cloudevents_asks() -> None:
    fields = json.loads(encode_event(make_event()))

    assert fields == {
        "specversion": "1.0",
        "id": "e1",
        "source": "urn:daicho:sakai:hub",
        "type": "jp.daicho.hub.person-verified.v1",
        "subject": "person:1",
        "tenant": "sakai",
        "time": "2026-04-01T00:00:00.000Z",
        "datacontenttype": "application/json",
        "data": {"level": 3},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}', id="keys sorted"),
        pytest.param({"\U0001f600": 1, "\ufb33": 2}, '{"\U0001f600":1,"\ufb33":2}', id="by UTF-16"),
        pytest.param('境町\n\x1f\x7f"\\', '"境町\\n\\u001f\x7f\\"\\\\"', id="escapes"),
        pytest.param(INTEGER_MAX, "9007199254740991", id="largest integer"),
    ],
)
def test_canonical_json_is_that_of_rfc_8785(value: object, expected: str) -> None:
    assert encode_canonical(value).decode() == expected


def nest(levels: int) -> object:
    value: object = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(1.5, id="a fraction"),
        pytest.param(INTEGER_MAX + 1, id="a large integer"),
        pytest.param({1: 2}, id="a key that is no text"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param({"\ud800": 1}, id="half a pair as key"),
        pytest.param(b"x", id="bytes"),
        pytest.param(nest(NESTING_MAX + 1), id="too deep"),
    ],
)
def test_what_has_no_single_spelling_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        encode_canonical(value)
    assert encode_canonical(nest(NESTING_MAX))


def test_an_event_survives_the_trip_with_its_time_to_the_millisecond() -> None:
    japan = timezone(timedelta(hours=9))
    event = make_event(time=datetime(2026, 4, 1, 9, 0, 0, 123_999, tzinfo=japan))
    decoded = decode_event(encode_event(event))

    assert decoded.time == datetime(2026, 4, 1, 0, 0, 0, 123_000, tzinfo=UTC)
    assert encode_event(decoded) == encode_event(event)
    assert from_milliseconds(to_milliseconds(decoded.time)) == decoded.time


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("datacontenttype", "text/plain"),
        ("id", ""),
        ("id", "x" * 129),
        ("id", 7),
        ("source", "with space"),
        ("type", "NoDots"),
        ("subject", "x" * 257),
        ("tenant", "Sakai"),
        ("time", "yesterday"),
        ("time", "2026-13-01T00:00:00Z"),
        ("time", "2026-04-01T00:00:00"),
        ("time", "0001-01-01T00:00:00+09:00"),
        ("data", [1]),
        ("data", {"x": 1.5}),
    ],
)
def test_a_malformed_attribute_is_refused(name: str, value: object) -> None:
    fields = json.loads(encode_event(make_event())) | {name: value}

    with pytest.raises(InvalidInput):
        decode_event(json.dumps(fields).encode())


def test_an_event_is_bounded_in_size() -> None:
    room = EVENT_BYTES_MAX - len(encode_event(make_event(data={"x": ""})))

    assert len(encode_event(make_event(data={"x": "a" * room}))) == EVENT_BYTES_MAX
    with pytest.raises(InvalidEvent):
        encode_event(make_event(data={"x": "a" * (room + 1)}))
    with pytest.raises(InvalidEvent):
        decode_event(b" " * (EVENT_BYTES_MAX + 1))


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_from_outside_raise_nothing_but_invalid_input(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        decode_event(data)
    verifier = EventVerifier({HUB: {"k": public(ED25519)}})
    with pytest.raises(InvalidInput):
        verifier.verify(encode_event(make_event()), data.decode("latin-1"))
    header = base64.urlsafe_b64encode(data).decode().rstrip("=") or "e30"
    with pytest.raises(InvalidInput):
        verifier.verify(encode_event(make_event()), f"{header}..AAAA")


@pytest.mark.parametrize("key", KEYS)
def test_a_signature_speaks_for_its_source_and_for_every_byte(key: EventKey) -> None:
    body = encode_event(make_event())
    signature = EventSigner(key, key_id="k").sign(body)
    verifier = EventVerifier({HUB: {"k": public(key)}, "urn:other": {}})

    assert verifier.verify(body, signature) == decode_event(body)
    assert ".." in signature
    for wrong_body, wrong_signature in (
        (body.replace(b'"level":3', b'"level":2'), signature),
        (body.replace(HUB.encode(), b"urn:other"), signature),
        (body, EventSigner(key, key_id="other").sign(body)),
        (body, signature[:-4] + "AAAA"),
        (body, signature + "A" * SIGNATURE_LENGTH_MAX),
    ):
        with pytest.raises(InvalidEventSignature):
            verifier.verify(wrong_body, wrong_signature)


def test_a_key_of_one_algorithm_does_not_answer_for_another() -> None:
    body = encode_event(make_event())
    signature = EventSigner(SECP256K1, key_id="k").sign(body)

    with pytest.raises(InvalidEventSignature):
        EventVerifier({HUB: {"k": public(ED25519)}}).verify(body, signature)


def test_only_the_right_private_keys_sign() -> None:
    with pytest.raises(Misconfigured):
        EventSigner(ECKey.generate_key("P-256"), key_id="k")
    with pytest.raises(Misconfigured):
        EventSigner(public(ED25519), key_id="k")
    with pytest.raises(Misconfigured):
        EventVerifier({HUB: {"k": OKPKey.generate_key("X25519")}})


def split(signature: str, body: bytes) -> tuple[bytes, bytes]:
    header, _, value = signature.split(".")
    content = base64.urlsafe_b64encode(body).rstrip(b"=").decode()
    return f"{header}.{content}".encode(), base64.urlsafe_b64decode(value + "==")


def test_other_libraries_accept_the_signatures() -> None:
    body = encode_event(make_event())
    signed, raw = split(EventSigner(ED25519, key_id="k").sign(body), body)
    shape = ED25519.as_dict(private=False)
    Ed25519PublicKey.from_public_bytes(decode(shape["x"])).verify(raw, signed)

    signed, raw = split(EventSigner(SECP256K1, key_id="k").sign(body), body)
    shape = SECP256K1.as_dict(private=False)
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    low_s = min(s, CURVE_ORDER - s)
    point = coincurve.PublicKey(b"\x04" + decode(shape["x"]) + decode(shape["y"]))
    assert point.verify(encode_dss_signature(r, low_s), signed)


def decode(text: object) -> bytes:
    return base64.urlsafe_b64decode(f"{text}==")


def test_an_event_needs_a_time_with_an_offset() -> None:
    with pytest.raises(InvalidEvent):
        make_event(time=datetime(2026, 4, 1))  # noqa: DTZ001
    assert isinstance(make_event(), Event)
