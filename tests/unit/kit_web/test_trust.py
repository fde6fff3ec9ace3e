"""Whom a service believes: issuers' key sets, the staff table, key files, and their changes."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc.jwk import ECKey, RSAKey

from node.primitives.errors import Misconfigured
from services.kit.issuers import (
    JWKS_BYTES_MAX,
    JWKS_KEYS_MAX,
    FetchedKeys,
    IssuerUnavailable,
    MalformedKeySet,
    load_trust,
    parse_key_set,
)
from services.kit.keys import (
    UnusableKey,
    generate_key,
    load_private_key,
    load_public_key,
    parse_key,
    private_document,
    public_document,
)
from services.kit.service import read_staff_again
from services.kit.settings import (
    AuthSettings,
    DatabaseSettings,
    IssuerSettings,
    KitSettings,
    PartnerSettings,
    TenantSettings,
)
from services.kit.staff import load_staff
from tests.support.clock import FakeClock
from tests.support.tokens import GOKA

KEY = generate_key()
NEXT_KEY = generate_key()


def key_set(*keys: Any) -> bytes:
    return json.dumps({"keys": [public_document(key) for key in keys]}).encode()


def test_a_key_set_gives_the_usable_keys_by_name() -> None:
    rsa = RSAKey.generate_key(2048).as_dict(private=False)
    p384 = ECKey.generate_key("P-384").as_dict(private=False)
    document = {"keys": [public_document(KEY), {**rsa, "kid": "r"}, {**p384, "kid": "e"}, "x", {}]}

    found = parse_key_set(json.dumps(document).encode())

    assert list(found) == [KEY.thumbprint()]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"<html>", id="not JSON"),
        pytest.param(b"[]", id="not an object"),
        pytest.param(b'{"keys": 1}', id="not a list"),
        pytest.param(json.dumps({"keys": [{}] * (JWKS_KEYS_MAX + 1)}).encode(), id="too many"),
        pytest.param(b"[" * 100_000, id="nested"),
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedKeySet):
        parse_key_set(data)


def test_a_published_private_key_is_not_used() -> None:
    data = json.dumps({"keys": [private_document(KEY)]}).encode()

    assert parse_key_set(data) == {}


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(None, id="nothing"),
        pytest.param({"kty": "oct", "k": "AAAAAAAAAAAAAAAAAAAAAA"}, id="a secret"),
        pytest.param({"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, id="not on the curve"),
        pytest.param({"kty": "OKP", "crv": "Ed25519", "x": 1}, id="not a text"),
        pytest.param({"kty": "OKP", "crv": "Ed25519"}, id="no point"),
        pytest.param({"kty": "OKP", "crv": "X25519", "x": "A" * 43}, id="another curve"),
        pytest.param({**public_document(KEY), "use": "enc"}, id="for encryption"),
    ],
)
def test_a_key_of_another_kind_is_refused(document: Any) -> None:
    with pytest.raises(UnusableKey):
        parse_key(document)


@pytest.fixture
async def issuer() -> Any:
    """An issuer whose answer and number of questions the test sees."""
    state: dict[str, Any] = {"answer": key_set(KEY), "status": 200, "asked": 0}

    async def answer(request: web.Request) -> web.Response:
        del request
        state["asked"] += 1
        # Where a redirect leads, there are keys.
        headers = {"Location": "/elsewhere.json"}
        return web.Response(body=state["answer"], status=state["status"], headers=headers)

    async def elsewhere(request: web.Request) -> web.Response:
        del request
        return web.Response(body=key_set(KEY))

    app = web.Application()
    app.router.add_get("/jwks.json", answer)
    app.router.add_get("/elsewhere.json", elsewhere)
    server = TestServer(app)
    await server.start_server()
    state["url"] = str(server.make_url("/jwks.json"))
    state["server"] = server
    yield state
    await server.close()


async def test_keys_are_fetched_once_and_again_when_old(issuer: dict[str, Any]) -> None:
    clock = FakeClock()
    keys = FetchedKeys(issuer["url"], clock)

    for _ in range(3):
        assert await keys.find(KEY.thumbprint()) is not None
    clock.move(600)
    await keys.find(KEY.thumbprint())

    assert issuer["asked"] == 2


async def test_a_new_key_is_found_but_unknown_ones_cause_no_storm(issuer: dict[str, Any]) -> None:
    clock = FakeClock()
    keys = FetchedKeys(issuer["url"], clock)
    await keys.find(KEY.thumbprint())

    for number in range(50):
        assert await keys.find(f"unknown-{number}") is None
    issuer["answer"] = key_set(KEY, NEXT_KEY)
    clock.move(30)

    assert await keys.find(NEXT_KEY.thumbprint()) is not None
    assert issuer["asked"] == 2


async def test_a_withdrawn_key_is_gone_after_ten_minutes(issuer: dict[str, Any]) -> None:
    clock = FakeClock()
    keys = FetchedKeys(issuer["url"], clock)
    await keys.find(KEY.thumbprint())
    issuer["answer"] = key_set(NEXT_KEY)
    clock.move(600)

    assert await keys.find(KEY.thumbprint()) is None


@pytest.mark.parametrize(
    ("change", "value"),
    [
        pytest.param("status", 500, id="failing"),
        pytest.param("status", 302, id="redirecting"),
        pytest.param("answer", b"x" * (JWKS_BYTES_MAX + 1), id="too large"),
        pytest.param("answer", b"{}", id="no key set"),
    ],
)
async def test_held_keys_stay_good_for_a_day_while_the_issuer_fails(
    issuer: dict[str, Any], change: str, value: Any
) -> None:
    clock = FakeClock()
    keys = FetchedKeys(issuer["url"], clock)
    await keys.find(KEY.thumbprint())
    issuer[change] = value

    clock.move(86_399)
    assert await keys.find(KEY.thumbprint()) is not None
    clock.move(31)
    with pytest.raises(IssuerUnavailable):
        await keys.find(KEY.thumbprint())


async def test_an_issuer_that_was_never_reached_is_unavailable(issuer: dict[str, Any]) -> None:
    await issuer["server"].close()

    with pytest.raises(IssuerUnavailable):
        await FetchedKeys(issuer["url"], FakeClock()).find("k")


STAFF = """
[[staff]]
id = "clerk"
tenant = "goka"
roles = ["board-editor"]
key_file = "clerk.pub.json"
valid_until = "2027-03-31"
authentication_level = 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "clerk.pub.json").write_text(json.dumps(public_document(KEY)))
    (tmp_path / "staff.toml").write_text(STAFF)
    return tmp_path


def test_the_staff_table_gives_roles_and_the_last_day(folder: Path) -> None:
    member = load_staff(folder / "staff.toml", [GOKA])["clerk"]

    assert member.roles == {"board-editor"}
    assert member.valid_until == datetime(2027, 3, 31, 23, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("found", "replacement", "told"),
    [
        pytest.param('"goka"', '"kyoto"', "is no tenant", id="tenant"),
        pytest.param("2027-03-31", "31.3.2027", "write a day", id="day"),
        pytest.param("_level = 3", "_level = 4", "from 1 to 3", id="level"),
        pytest.param('"clerk"', '"五霞花子"', "small letters", id="a person's name"),
        pytest.param("roles", "rolls", "did you mean staff.roles?", id="misspelt"),
        pytest.param("clerk.pub", "gone.pub", "cannot be read", id="key missing"),
        pytest.param(STAFF, STAFF * 2, "listed twice", id="twice"),
    ],
)
def test_a_wrong_staff_table_is_refused(
    folder: Path, found: str, replacement: str, told: str
) -> None:
    (folder / "staff.toml").write_text(STAFF.replace(found, replacement))

    with pytest.raises(Misconfigured, match=r".+") as raised:
        load_staff(folder / "staff.toml", [GOKA])

    assert told in raised.value.message


def kit(folder: Path, **auth: Any) -> KitSettings:
    return KitSettings(
        auth=AuthSettings(audience="board", staff_file=folder / "staff.toml", **auth),
        database=DatabaseSettings(url="sqlite+aiosqlite:////nowhere.db"),
        tenants=(TenantSettings(id="goka", name="五霞町"), TenantSettings(id="sakai", name="境町")),
    )


async def test_settings_become_trust(folder: Path) -> None:
    (folder / "jwks.json").write_bytes(key_set(KEY))
    issuer = IssuerSettings(issuer="hub", jwks_file=folder / "jwks.json", tenants=("goka",))
    partner = PartnerSettings(
        name="relay", key_file=folder / "clerk.pub.json", purposes=("board.count",)
    )

    trust = load_trust(kit(folder, issuers=(issuer,), partners=(partner,)), FakeClock())

    assert trust.issuers["hub"].tenants == {"goka"}
    assert await trust.issuers["hub"].find_key(KEY.thumbprint()) is not None
    assert await trust.issuers["hub"].find_key("other") is None
    assert trust.partners["relay"].tenants == {"goka", "sakai"}
    assert trust.staff.find("clerk") is not None


def test_a_changed_staff_table_is_taken_over_and_a_wrong_one_is_not(folder: Path) -> None:
    class Settings:
        """A service's settings."""

        @property
        def kit(self) -> KitSettings:
            return kit(folder)

    trust = load_trust(kit(folder), FakeClock())
    (folder / "staff.toml").write_text("not TOML")
    read_staff_again(Settings(), trust)
    assert trust.staff.find("clerk") is not None

    (folder / "staff.toml").write_text(STAFF.replace('"clerk"', '"second"'))
    read_staff_again(Settings(), trust)

    assert trust.staff.find("clerk") is None
    assert trust.staff.find("second") is not None


Load = Callable[[Path], Awaitable[Any] | Any]


@pytest.mark.parametrize(
    ("load", "content", "mode", "told"),
    [
        pytest.param(load_public_key, private_document(KEY), 0o600, "private key", id="private"),
        pytest.param(load_private_key, public_document(KEY), 0o600, "no private", id="public"),
        pytest.param(load_private_key, private_document(KEY), 0o644, "chmod 600", id="open"),
        pytest.param(load_public_key, ["x" * 5_000], 0o600, "larger", id="too large"),
        pytest.param(load_public_key, {"kty": "RSA"}, 0o600, "holds no", id="RSA"),
    ],
)
def test_a_wrong_key_file_is_refused(
    tmp_path: Path, load: Load, content: Any, mode: int, told: str
) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(content))
    path.chmod(mode)

    with pytest.raises(Misconfigured, match=told) as raised:
        load(path)

    assert private_document(KEY)["d"] not in raised.value.message
