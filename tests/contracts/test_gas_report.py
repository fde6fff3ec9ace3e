"""PERM-ATTEST: a change of what calls cost shows in review, and the largest batch fits its cap."""

import json
from pathlib import Path

from node.genesis.build import TRANSACTION_GAS_MAX
from tests.support.gas import measure_gas

REPORT = Path(__file__).resolve().parents[2] / "contracts" / "gas-report.json"


def test_the_committed_report_is_what_is_measured() -> None:
    assert json.loads(REPORT.read_text("utf-8")) == measure_gas(), "run scripts/report_gas.py"


def test_every_call_fits_a_transaction_with_room_to_spare() -> None:
    assert max(json.loads(REPORT.read_text("utf-8")).values()) < TRANSACTION_GAS_MAX // 2
