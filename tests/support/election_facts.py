"""What an account is written from, made by hand: an election that saw everything go wrong once."""

from dataclasses import replace
from typing import Any

from clients.voting.ciphertexts import ListKind
from clients.voting.terms import terms_of
from services.election.board.state import (
    Batch,
    Box,
    ElectionState,
    ElectionTerms,
    FrozenStyle,
    PostedShare,
    Result,
    Round,
    TallyList,
)
from services.election.board.store import Head
from services.election.commission.turnout import Cell, build_turnout
from services.election.publication.account import ActCount, Facts
from services.election.publication.incidents import Incident, IncidentState, ListedIncident
from tests.support.electorate import make_manifest

TEXT = "中継が<b>4分間</b>応答しなかった。"
MANIFEST = make_manifest()


def numbers(*counts: int) -> bytes:
    """Return a result's numbers as the ledger has them."""
    return b"".join(count.to_bytes(8, "big") for count in counts)


def make_facts(**changes: Any) -> Facts:
    """Return the facts of a finished election."""
    terms = replace(ElectionTerms.of(terms_of(MANIFEST)), is_mock=True)
    race = MANIFEST.races[0]
    rounds = (
        Round(number=1, mixer=1, output=b"\x01" * 32, proof=b"\x02" * 32, height=60, time_s=10,
              is_valid=True, ended_at_s=1_796_100_000),
        Round(number=2, mixer=2, output=b"\x03" * 32, proof=b"\x04" * 32, height=61, time_s=11,
              is_valid=False, ended_at_s=1_796_100_100),
        Round(number=3, mixer=3, output=None, proof=None, height=62, time_s=12,
              is_valid=False, ended_at_s=1_796_100_200),
    )  # fmt: skip
    tally = TallyList(
        kind=ListKind.BALLOTS, number=race.race, row_count=5, start=b"\x05" * 32, height=59,
        started_at_s=9, rounds=rounds,
        shares=(PostedShare(trustee=1, shares=b"\x06" * 32, proof=b"\x07" * 32, height=70),),
    )  # fmt: skip
    votes = [3, *([0] * (len(race.candidates) - 1))]
    state = ElectionState(
        eid=MANIFEST.eid,
        terms=terms,
        announced_height=3,
        announced_at_s=1_796_000_000,
        batches=(Batch(number=0, root=b"\x08" * 32, entry_count=7, cancel_count=2, height=20),),
        frozen={
            style.style: FrozenStyle(
                style=style.style, root=b"\x09" * 32, count=5, file_digest=b"\x0a" * 32, height=50
            )
            for style in MANIFEST.styles
        },
        box=Box(count=6, value=b"\x0b" * 32, closed_height=45),
        lists={(ListKind.BALLOTS, race.race): tally},
        results={
            race.race: Result(
                race=race.race,
                is_mock=True,
                result=b"\x0c" * 32,
                numbers=numbers(1, *votes, 1),
                height=80,
            )
        },
    )
    incident = Incident(number=1, severity="serious", text=TEXT, time=1_796_090_000)
    facts = Facts(
        state=state,
        manifest=MANIFEST,
        head=Head(height=90, time_s=MANIFEST.freezes_at + 3_600),
        chain_id=4_649,
        genesis_hash=b"\x0d" * 32,
        contracts={"Elections": b"\x0e" * 20},
        times={3: 1_796_000_000, 20: 1_796_050_000, 45: 1_796_095_000, 80: 1_796_110_000},
        ballot_count=6,
        refusals={5: 2, 99: 1},
        withdrawal_count=1,
        incidents=(
            ListedIncident(
                municipality=1, number=1, digest=b"\x0f" * 32, state=IncidentState.FINAL,
                height=30, incident=incident,
            ),
            ListedIncident(
                municipality=2, number=1, digest=b"\x10" * 32, state=IncidentState.FINAL,
                height=31, incident=None,
            ),
        ),
        turnout=build_turnout(
            {
                ("18-19", "一区"): Cell(electors=13, enrolled=3),
                ("18-19", "二区"): Cell(electors=123, enrolled=45),
                ("20-24", "一区"): Cell(electors=211, enrolled=77),
                ("20-24", "二区"): Cell(electors=222, enrolled=88),
            },
            ["18-19", "20-24"],
        ),
        acts=(ActCount(kind="code-issued", count=412, first_s=1_796_000_000, last_s=1_796_001_000),
              ActCount(kind="frozen", count=2, first_s=1_796_100_000, last_s=1_796_100_000)),
    )  # fmt: skip
    return replace(facts, **changes)
