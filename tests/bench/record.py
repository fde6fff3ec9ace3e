"""Keeps what a benchmark measured, with the machine and commit it was measured on.

Figures of two machines are not comparable; ratios taken in one run are. Every benchmark is a module
of this package with a ``main()`` and records through ``record``.
"""

import json
import os
import platform
import subprocess
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).resolve().parents[2]


def machine() -> dict[str, object]:
    """Return what is needed to read a figure: processor, cores, memory, Python."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "python": platform.python_version(),
    }


def commit() -> str:
    """Return the commit measured, with a mark when the checkout has changes."""
    run = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=12"]
    return subprocess.run(run, capture_output=True, text=True, check=False).stdout.strip()


def record(name: str, figures: dict[str, object]) -> Path:
    """Write the figures of one benchmark to ``results/NAME.json`` and print them.

    Args:
        name: Of the benchmark.
        figures: JSON-serialisable; units at the end of each key.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    entry = {"benchmark": name, "commit": commit(), "machine": machine(), "figures": figures}
    path.write_text(json.dumps(entry, indent=1, ensure_ascii=False, sort_keys=True) + "\n")
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    return path
