"""ELECTION-MANIFEST, ELECTION-ID.

What a manifest may say, and that its id binds all of it (case 19).
"""

import json
from typing import Any

import pytest

from clients.voting.group import GENERATOR, generator_multiple
from clients.voting.manifest import InvalidManifest, decode_manifest, encode_canonical


def point(scalar: int) -> str:
    return generator_multiple(scalar).encode().hex()


def fields(**changes: Any) -> dict[str, Any]:
    manifest: dict[str, Any] = {
        "version": 1,
        "chain_id": 8100,
        "registry": "0x" + "11" * 20,
        "draft_id": "22" * 32,
        "is_mock": True,
        "title": "模擬投票",
        "opens_at": 1_000,
        "closes_at": 2_000,
        "freezes_at": 3_000,
        "styles": [{"style": 1, "name": "全域", "races": [1, 2]}],
        "races": [
            {
                "race": race,
                "name": f"第{race}問",
                "candidates": [{"number": 1, "name": "賛成"}, {"number": 2, "name": "反対"}],
            }
            for race in (1, 2)
        ],
        "threshold": 3,
        "trustees": [
            {
                "municipality": name,
                "municipality_id": at - 1,
                "account": "0x" + f"{at:02x}" * 20,
                "node": point(at),
                "encryption_key": point(at + 30),
                "ballot_share": point(at + 10),
                "roll_share": point(at + 20),
                "url": f"https://{at}.example.lg.jp",
            }
            for at, name in enumerate(("つくば市", "五霞町", "境町", "茨城県"), 2)
        ],
        "ballot_key": point(40),
        "roll_key": point(41),
        "ballot_transcript": "33" * 32,
        "roll_transcript": "44" * 32,
        "registrars": [
            {
                "municipality": name,
                "account": "0x" + f"{at:02x}" * 20,
                "receipt_key": point(at + 50),
                "attestor_key": point(60) if at == 2 else "",
            }
            for at, name in enumerate(("つくば市", "五霞町", "境町"), 2)
        ],
        "attestations": 2,
        "relays": [
            {
                "municipality": "五霞町",
                "account": "0x" + "55" * 20,
                "receipt_key": point(70),
                "url": "https://5.example.lg.jp",
            }
        ],
        "token_modulus": "ab" * 256,
        "limits": {
            "max_sequence": 50,
            "min_interval_s": 10,
            "max_rekey": 5,
            "mix_time_s": 600,
            "cast_blocks": 300,
        },
        "eligible": {"root": "66" * 32, "size": 3, "file_digest": "77" * 32},
        "mixers": [1, 2, 3, 4],
        "min_mixes": 3,
        "profile": "P",
    }
    return manifest | changes


def test_a_manifest_survives_its_bytes() -> None:
    data = encode_canonical(fields())

    manifest = decode_manifest(data)

    assert manifest.encode() == data
    assert manifest.ballot_point() == generator_multiple(40)
    assert manifest.roll_point() != GENERATOR
    assert len(manifest.eid) == 32


def test_canonical_json_orders_keys_by_utf16_and_keeps_characters() -> None:
    """The example of RFC 8785, section 3.2.3, without its numbers."""
    value = {"\u20ac": "1", "\r": "2", "\ufb33": "3", "1": "4", "\U0001f600": "5", "\u0080": "6"}

    keys = list(json.loads(encode_canonical(value)))

    assert keys == ["\r", "1", "\u0080", "\u20ac", "\U0001f600", "\ufb33"]
    assert encode_canonical({"a": "é\n"}) == '{"a":"é\\n"}'.encode()


@pytest.mark.parametrize("value", [1.5, 1 << 53, -(1 << 53)])
def test_numbers_without_an_exact_form_are_refused(value: float) -> None:
    with pytest.raises(InvalidManifest):
        encode_canonical({"a": value})


def test_19_another_order_of_candidates_is_another_election() -> None:
    swapped = fields()
    swapped["races"][0]["candidates"] = [
        {"number": 1, "name": "反対"},
        {"number": 2, "name": "賛成"},
    ]

    first, second = (decode_manifest(encode_canonical(each)) for each in (fields(), swapped))

    assert first.eid != second.eid


@pytest.mark.parametrize("field", sorted(set(fields()) - {"version", "profile"}))
def test_every_field_is_in_the_election_id(field: str) -> None:
    value = fields()[field]
    changed: Any
    if isinstance(value, bool):
        changed = not value
    elif isinstance(value, int):
        changed = value - 1 if field in ("threshold", "min_mixes") else value + 1
    elif isinstance(value, str):
        changed = value[:-1] + ("4" if value[-1] != "4" else "5")
        changed = point(99) if field.endswith("_key") else changed
    elif isinstance(value, list):
        is_short = field in ("races", "trustees", "registrars") or len(value) == 1
        changed = first_renamed(value) if is_short else value[:-1]
    else:
        changed = {**value, sorted(value)[0]: other(value[sorted(value)[0]])}

    first, second = (
        decode_manifest(encode_canonical(each)) for each in (fields(), fields(**{field: changed}))
    )

    assert first.eid != second.eid


def other(value: Any) -> Any:
    return value + 1 if isinstance(value, int) else "88" * 32


def first_renamed(values: list[Any]) -> list[Any]:
    """Return the list with another first entry."""
    if isinstance(values[0], dict):
        name = "name" if "name" in values[0] else "municipality"
        return [{**values[0], name: "別の名"}, *values[1:]]
    return [values[0][:-1] + "9", *values[1:]]


def renamed_trustee(name: str) -> list[dict[str, Any]]:
    """Return the trustees, the last with a value of the first."""
    trustees = fields()["trustees"]
    return [*trustees[:-1], {**trustees[-1], name: trustees[0][name]}]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"opens_at": 2_000}, id="window of no length"),
        pytest.param({"freezes_at": 1_500}, id="freeze before closing"),
        pytest.param({"threshold": 5}, id="threshold above trustees"),
        pytest.param({"mixers": [1, 1, 2]}, id="76 a mixer named twice"),
        pytest.param({"mixers": [1, 2, 9]}, id="76 a mixer that is no trustee"),
        pytest.param({"min_mixes": 5}, id="more mixes than mixers"),
        pytest.param({"profile": "T"}, id="another profile"),
        pytest.param({"version": 2}, id="another version"),
        pytest.param({"unknown": 1}, id="an unknown field"),
        pytest.param({"ballot_key": "04" + "11" * 32}, id="a key of another form"),
        pytest.param({"chain_id": "8100"}, id="a number as text"),
        pytest.param({"styles": [{"style": 1, "name": "x", "races": [3]}]}, id="unknown race"),
        pytest.param(
            {"styles": [{"style": 1, "name": "x", "races": [2, 1]}]}, id="races unordered"
        ),
        pytest.param({"title": ""}, id="no title"),
        pytest.param({"attestations": 4}, id="more attestations than registrars"),
        pytest.param({"registrars": fields()["registrars"][:2]}, id="threshold above registrars"),
        pytest.param({"registrars": fields()["registrars"][1:] * 2}, id="no attestor key"),
        pytest.param(
            {"registrars": [*fields()["registrars"], fields()["registrars"][0]]},
            id="a registrar named twice",
        ),
        pytest.param({"trustees": renamed_trustee("account")}, id="76 two trustees, one account"),
        pytest.param(
            {"trustees": renamed_trustee("municipality_id")}, id="76 one municipality twice"
        ),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match="ELECTION-MANIFEST"):
        decode_manifest(encode_canonical(fields(**changes)))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="a list"),
        pytest.param(json.dumps(fields()).encode(), id="not canonical"),
        pytest.param(b"[" * 5_000, id="nested too deep"),
        pytest.param(b"{}" + b" " * 1_048_576, id="too long"),
    ],
)
def test_bytes_that_are_no_canonical_manifest_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidManifest):
        decode_manifest(data)
