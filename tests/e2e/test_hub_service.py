"""ID-BIND, ID-CHAIN-WRITE, ID-TOKEN: from a card's tap to a status on the ledger, over HTTP.

Hub, relay, authorities and a node are real and speak over sockets; cards are keys.
"""

import base64
import json
import secrets
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt

from clients.identity.lifecycle import FlagStatus
from node.execution.permissions import read_standing
from node.primitives.crypto import PrivateKey
from services.kit.issuers import parse_key_set
from tests.support.databases import KINDS, make_url
from tests.support.example import write_private
from tests.support.hub import HubTown, claims_of, running_hub, write_files
from tests.support.identity import new_hierarchy


@pytest.mark.parametrize("kind", KINDS)
async def test_a_card_binds_a_device_whose_address_the_ledger_shows_as_verified(
    tmp_path: Path, kind: str
) -> None:
    async with running_hub(tmp_path, database_url=make_url(kind, tmp_path)) as hub:
        holder, key = hub.holder(), PrivateKey(secrets.token_bytes(32))
        status, bound = await hub.bind(holder, label="電話")
        assert (status, bound["status"], bound["label"]) == (201, "active", "電話")

        status, registered = await hub.register(holder, "library", key)
        assert (status, registered["state"]) == (200, "waiting")
        record = await hub.until_recorded(key.address)

        assert (record.status, record.proofing_level) == (FlagStatus.VERIFIED, 3)
        assert read_standing(hub.town.chain.ledger.view, key.address).resident_until_s > 0

        async def is_read_back() -> bool:
            found = (await hub.own(holder, "GET", "/sectors"))[1]["sectors"]
            return bool(found[0]["state"] == "written" and found[0]["height"])

        await hub.until(is_read_back)


async def test_a_token_for_a_service_names_the_resident_by_its_sector(tmp_path: Path) -> None:
    async with running_hub(tmp_path, has_relay=False) as hub:
        holder = hub.holder()
        await hub.bind(holder)
        library = claims_of(await hub.token(holder, audience="library", purposes=("library.lend",)))
        election = claims_of(
            await hub.token(holder, audience="election", purposes=("election.credential",))
        )

        assert (library["proofing_level"], library["authentication_level"]) == (3, 2)
        assert library["cnf"] == {"jkt": holder.proof_key.thumbprint()}
        assert library["sub"] != election["sub"]
        assert len(library["sub"]) == 64


@pytest.mark.parametrize("marks", [{}, {"development-only": True}])
async def test_a_service_reads_the_hub_s_keys(tmp_path: Path, marks: dict[str, Any]) -> None:
    town, hierarchy = HubTown(), new_hierarchy()
    write_files(town, hierarchy, tmp_path)
    path = tmp_path / "tokens.key.json"
    write_private(path, json.dumps({**json.loads(path.read_text()), **marks}))
    async with running_hub(tmp_path, town=town, hierarchy=hierarchy, has_relay=False) as hub:
        async with hub.session.get(f"{hub.url}/jwks") as response:
            keys = parse_key_set(await response.read())
        holder = hub.holder()
        await hub.bind(holder)
        token = await hub.token(holder)
    kid = json.loads(base64.urlsafe_b64decode(token.split(".")[0] + "=="))["kid"]
    assert jwt.decode(token, keys[kid], algorithms=["Ed25519", "EdDSA", "ES256"]).claims["sub"]
