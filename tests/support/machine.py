"""What a figure was measured on: machine, Python and commit."""

import platform
import subprocess
import sys

from tests.support.source import ROOT


def describe_machine() -> dict[str, str]:
    """Return processor, Python and commit, to stand beside every recorded figure."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "machine": f"{platform.machine()}, {_processor()}",
        "python": sys.version.split()[0],
        "commit": commit.stdout.strip() or "unknown",
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            names = [
                line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
            ]
    except OSError:
        names = []
    return f"{len(names)} x {names[0]}" if names else platform.processor()
