#!/usr/bin/env python3
"""Measure what the contracts' calls cost and write contracts/gas-report.json."""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support.gas import measure_gas  # noqa: E402


def main() -> None:
    """Write the report; the change shows in review."""
    report = json.dumps(measure_gas(), indent=1, ensure_ascii=False) + "\n"
    (ROOT / "contracts" / "gas-report.json").write_text(report, "utf-8")
    print(report, end="")


if __name__ == "__main__":
    main()
