"""ROLL-WITNESS: a witness asks the commission over HTTP, with the key its partner knows."""

from datetime import datetime
from pathlib import Path

import aiohttp
import pytest

from services.election.commission.exchange import (
    PURPOSE,
    Caller,
    CommissionSilent,
    ExchangeOperations,
    HttpCommission,
)
from services.election.commission.witness import Witness
from services.election.settings import PeerSettings
from services.kit.auth import TenantId
from services.kit.keys import generate_key, parse_key, public_document
from services.kit.tokens import TrustedPartner
from tests.support.commission import elector, open_poll
from tests.support.election_http import AUDIENCE, serve_town


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_witness_confirms_what_it_fetched_with_its_own_key(
    tmp_path: Path, is_known: bool
) -> None:
    async with open_poll(tmp_path, [elector(0), elector(1)], towns=2) as poll:
        key, tenant = generate_key(), TenantId(poll.town.context.tenant)
        partner = TrustedPartner(
            name="election-goka",
            key=parse_key(public_document(key if is_known else generate_key())),
            tenants=frozenset({tenant}),
            purposes=frozenset({PURPOSE}),
        )
        operations = ExchangeOperations(poll.commission.registrar)
        async with (
            serve_town(
                poll.town, sources=[operations], partners={"election-goka": partner}
            ) as served,
            aiohttp.ClientSession() as http,
        ):
            peer = PeerSettings(municipality=1, name=AUDIENCE, url=served.url, tenant=tenant)
            way = HttpCommission(http, peer, Caller(name="election-goka", key=key))
            witness = Witness(poll.world.towns[1].context, {1: way})
            poll.witnesses[:] = [witness]
            now: datetime = poll.commission.clock.now()
            if is_known:
                assert await way.fetch_batch(poll.eid, 9, now) is None
            else:
                with pytest.raises(CommissionSilent):
                    await way.fetch_batch(poll.eid, 0, now)

            await poll.commission.enrol(0)
            await poll.turn(3)

            state = await poll.world.towns[1].election(poll.eid)
            assert len(state.batches) == (1 if is_known else 0)
            assert witness.trouble == (None if is_known else CommissionSilent.code)
