"""Who takes part in a trial election: electors with simulated cards, officers, parties.

Everything here is invented; the record of the election is judged by the auditors' program.
"""

import asyncio
import csv
import io
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from clients.auditor.checks import Verdict
from clients.auditor.election.audit import ElectionAudit
from clients.auditor.election.records import Folder
from clients.card.card import CODE_OF, CardSignature, MyNumberCard
from clients.card.codes import parse_code
from clients.identity.certificate import CertificateKind
from clients.voter.voter import Voter
from node.primitives.errors import Unavailable
from services.election.board.export import export_record
from services.election.commands.manifest import Party
from services.election.service import SERVICE, build_context
from services.election_localnet import (
    ElectionTown,
    account_of,
    node_key_of,
    public_key_of,
    token_modulus,
)
from services.kit.auth import TenantId
from services.kit.clock import SystemClock
from services.kit.keys import load_private_key
from services.kit.service import open_resources
from services.kit.tokens import sign_staff_token
from services.localnet import MARK, SETTINGS_FILE
from services.sim.card.layout import Codes
from services.sim.pki.profiles import SimulatedResident

RACES: Final = (
    (1, "市長", ("青木", "馬場", "千葉")),
    (2, "図書館の新設", ("賛成", "反対")),
)
STYLES: Final = ((1, "本区", (1, 2)), (2, "分区", (1,)))

WINDOW_S: Final = 60
"""Least seconds between opening and closing."""

CARD_PASSWORD: Final = Codes().signing
"""Signing code of every simulated card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialPlan:
    """What kind of election is held."""

    voters: int = 6
    """Electors who take part."""
    revotes: int = 1
    """How many of them vote twice."""
    papers: int = 1
    """How many vote online, and then on paper."""
    reenrolled: int = 0
    """How many lose their device and enrol again."""
    races: Sequence[tuple[int, str, Sequence[str]]] = RACES
    """The races."""
    styles: Sequence[tuple[int, str, Sequence[int]]] = STYLES
    """The ballot styles."""
    mixers: Sequence[int] = (1, 2, 3)
    """Trustees that mix, in this order."""
    min_mixes: int = 3
    """Least number of valid mixes."""
    mix_time_s: int = 120
    """Least time that a mixer's turn lasts; longer on a slow machine."""
    window_s: int = WINDOW_S
    """Least seconds between opening and closing; longer on a slow machine."""
    cast_blocks: int = 60
    """Least blocks within which a relay promises to bring a ballot to the box."""


@dataclass
class TrialVoter:
    """An elector with a card and a device."""

    number: int
    resident: SimulatedResident
    style: int
    card: MyNumberCard
    device: Voter | None = None
    choices: dict[int, int] = field(default_factory=dict)
    """What counts in the end, as only a trial may know."""
    is_on_paper: bool = False


def make_resident(at: int) -> SimulatedResident:
    """Return the n-th invented resident."""
    return SimulatedResident(
        name=f"台帳　{'太花次三四五六七八九'[at % 10]}{'一二三四五六七八九十'[at // 10 % 10]}子",
        birth_date=date(1950 + at % 50, 1 + at % 12, 3),
        address=f"茨城県猿島郡境町架空一丁目{at + 1}番{at + 2}号",
    )


def elector_number(at: int) -> str:
    """Return the number under which the register has the n-th elector."""
    return f"A{at:04}"


def write_roll(voters: Sequence[TrialVoter]) -> bytes:
    """Return the register's extract as a CSV file."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["選挙人番号", "氏名", "住所", "生年月日", "性別", "投票区", "様式"])
    for voter in voters:
        resident = voter.resident
        writer.writerow(
            [
                elector_number(voter.number),
                resident.name.replace("　", " "),
                resident.address,
                resident.birth_date.isoformat(),
                "女",
                "第一",
                voter.style,
            ]
        )
    return text.getvalue().encode()


def sign_with(card: MyNumberCard, text: bytes) -> CardSignature:
    """Have a simulated card sign, with the code of simulated cards."""
    kind = CertificateKind.SIGNING
    return card.sign(kind, text, parse_code(CODE_OF[kind], CARD_PASSWORD))


def make_party(town: ElectionTown) -> Party:
    """Return a municipality's public parts."""
    folder = town.folder
    is_commission = town.number == 1
    modulus = ""
    if is_commission:
        modulus = f"{token_modulus(folder / f'tokens.{MARK}.pem'):0512x}"
    return Party(
        municipality=town.town.name,
        number=town.number,
        account=account_of(town),
        node=node_key_of(town),
        receipt_key=public_key_of(folder / f"receipts.{MARK}.key.json").hex(),
        url=town.url,
        attestor_key=public_key_of(folder / f"attestor.{MARK}.key.json").hex()
        if is_commission
        else "",
        token_modulus=modulus,
    )


def staff_headers(town: ElectionTown, officer: str, *, now_s: int) -> dict[str, str]:
    """Return the headers of an officer's request."""
    key = load_private_key(town.folder / f"{officer}.{MARK}.key.json")
    token = sign_staff_token(
        key,
        member=officer,
        audience=town.name,
        tenant=TenantId(town.town.tenant),
        now=datetime.fromtimestamp(now_s, UTC),
    )
    return {"Authorization": f"Bearer {token}", "Daicho-Tenant": town.town.tenant}


def audit_record(folder: Path) -> tuple[dict[int, list[int]], int]:
    """Recompute an election from its record with the auditors' program.

    Returns:
        The numbers of each race, and how many checks passed.

    Raises:
        Unavailable: A check failed.
    """
    with ThreadPoolExecutor(1) as pool:
        run = ElectionAudit(Folder(folder), pool)
        found = run.run()
    outcomes = run.sheet.outcomes()
    failed = [each.check.name for each in outcomes if each.verdict is Verdict.FAILED]
    if failed:
        details = [str(each.findings[:1]) for each in outcomes if each.check.name in failed]
        raise Unavailable(f"the record does not verify: {', '.join(failed)}: {details[:3]}")
    passed = sum(each.verdict is Verdict.MET for each in outcomes)
    counts = {
        int(chart.title.split()[1].rstrip(",")): [int(value) for _, value in chart.points]
        for chart in found.charts
    }
    return counts, passed


async def export_town(town: ElectionTown, eid: bytes, folder: Path) -> int:
    """Write the record from a service's own database and files; return how many files."""
    settings = SERVICE.load_settings(town.folder / SETTINGS_FILE)
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
    async with open_resources(SERVICE, settings, clock=SystemClock()) as resources:
        with ThreadPoolExecutor(1) as pool:
            context = build_context(settings, resources, pool)
            exported = await export_record(context, eid, folder)
    return exported.file_count


def device_of(voter: TrialVoter) -> Voter:
    """Return the device of an elector who has enrolled."""
    assert voter.device is not None
    return voter.device


def describe_counts(candidates: Sequence[str], numbers: Sequence[int]) -> str:
    """Return a race's numbers with the names they belong to."""
    names = ["白票 / blank", *candidates, "無効 / invalid"]
    return ", ".join(f"{name} {number}" for name, number in zip(names, numbers, strict=True))
