"""Envelope as a model: a record opens exactly while its owner's key lives, through every rotation.

Sealing, shredding and rotating come in any order; a dictionary of what should open is the judge,
and after each step an auditor's checks hold.
"""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.kit.database import Database, open_database
from services.kit.envelope import Envelope, Erased, Owner, verify_shredding
from services.kit.master_keys import MasterKeys
from services.kit.schema import upgrade
from tests.support.events import MORNING
from tests.support.towns import sqlite_url

PEOPLE = st.sampled_from(["p:1", "p:2"])
PURPOSES = st.sampled_from(["loans", "alerts"])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("seal"), PEOPLE, PURPOSES),
        st.tuples(st.just("shred"), PEOPLE, PURPOSES),
        st.tuples(st.just("shred all"), PEOPLE, PURPOSES),
        st.tuples(st.just("rotate service"), PEOPLE, PURPOSES),
        st.tuples(st.just("rotate master"), PEOPLE, PURPOSES),
    ),
    min_size=1,
    max_size=15,
)


async def can_open(database: Database, envelope: Envelope, number: int, sealed: bytes) -> bool:
    async with database.read() as tx:
        try:
            opened = await envelope.open(tx, sealed, tenant="sakai", context=f"r:{number}")
        except Erased:
            return False
    assert opened == f"record {number}".encode()
    return True


async def play(steps: list[tuple[str, str, str]], home: Path) -> None:
    database = await open_database(sqlite_url(home / "service.db"))
    await upgrade(database)
    keys = [bytes((1,)) * 32]
    envelope = Envelope(MasterKeys(tuple(keys)), actor="library")
    records: list[tuple[Owner, bytes]] = []
    alive: list[bool] = []
    for number, (kind, person, purpose) in enumerate(steps):
        owner = Owner(tenant="sakai", person=person, purpose=purpose)
        async with database.write() as tx:
            if kind == "seal":
                context = f"r:{len(records)}"
                plaintext = f"record {len(records)}".encode()
                sealed = await envelope.seal(tx, owner, plaintext, context=context, now=MORNING)
                records.append((owner, sealed))
                alive.append(True)
            elif kind.startswith("shred"):
                chosen = None if kind == "shred all" else (purpose,)
                await envelope.shred(
                    tx, tenant="sakai", person=person, purposes=chosen, now=MORNING
                )
                for at, (of, _) in enumerate(records):
                    alive[at] &= of.person != person or chosen not in (None, (of.purpose,))
            elif kind == "rotate service":
                await envelope.rotate_service_key(tx, tenant="sakai", now=MORNING)
            else:
                keys.append(bytes((number + 2,)) * 32)
                envelope = Envelope(MasterKeys(tuple(keys[-2:])), actor="library")
                await envelope.rotate_master_key(tx)
                envelope = Envelope(MasterKeys((keys[-1],)), actor="library")
            checks = await verify_shredding(tx, tenant="sakai")
        assert [check.name for check in checks if not check.is_met] == []
        found = [
            await can_open(database, envelope, at, sealed) for at, (_, sealed) in enumerate(records)
        ]
        assert found == alive
    await database.close()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_a_record_opens_exactly_while_its_owners_key_lives(
    steps: list[tuple[str, str, str]],
) -> None:
    with tempfile.TemporaryDirectory() as home:
        asyncio.run(play(steps, Path(home)))
