"""ID-ROTATION: a sector's key is followed by another, and nobody is lost by it."""

import secrets
from pathlib import Path

import pytest

from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from services.hub.keyring import create_keyring, load_keyring, rotate_sector
from tests.support.hub import HubTown, claims_of, running_hub
from tests.support.identity import new_hierarchy

LEND = {"audience": "library", "purposes": ("library.lend",)}


async def test_a_service_and_the_addresses_follow_a_rotated_key(tmp_path: Path) -> None:
    town, hierarchy = HubTown(), new_hierarchy()
    key = PrivateKey(secrets.token_bytes(32))
    keys = {"town": town, "hierarchy": hierarchy, "has_relay": False}
    async with running_hub(tmp_path, **keys) as hub:
        holder = hub.holder()
        await hub.bind(holder)
        await hub.register(holder, "library", key)
        before = claims_of(await hub.token(holder, **LEND))
        others = claims_of(
            await hub.token(holder, audience="election", purposes=("election.credential",))
        )

    assert rotate_sector(tmp_path / "keyring.json", "library", is_own=False) == 2

    for _ in range(2):
        async with running_hub(tmp_path, **keys) as hub:
            after = claims_of(await hub.token(holder, **LEND))
            assert after["sub"] != before["sub"]
            assert (before["sub_version"], after["sub_version"]) == (1, 2)
            for name in (before["sub"], after["sub"]):
                question = {"sub": name, "reason": "library.lend"}
                told = await hub.ask("POST", "/residents/status", question, hub.partner_headers())
                assert (told[0], told[1]["sub"]) == (200, after["sub"])
            same = claims_of(
                await hub.token(holder, audience="election", purposes=("election.credential",))
            )
            assert same["sub"] == others["sub"]
            mine = (await hub.own(holder, "GET", "/sectors"))[1]["sectors"]
            assert [each["address"] for each in mine] == [f"0x{key.address.hex()}"]
            assert (await hub.register(holder, "library", key))[0] == 200


def test_the_hub_s_own_names_and_unknown_sectors_stay(tmp_path: Path) -> None:

    path = tmp_path / "keyring.json"
    create_keyring(path, ("hub", "library"))
    for sector, is_own in (("hub", True), ("bus", False)):
        with pytest.raises(Misconfigured):
            rotate_sector(path, sector, is_own=is_own)

    assert load_keyring(path).sectors["hub"].version == 1
    assert not load_keyring(path).former["library"]
