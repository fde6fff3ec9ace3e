"""What a campaign has found so far, in a file, so that one that was stopped goes on where it was.

One JSON line for the campaign (format, code, faults), then one for each seed, written when its
report is there. A line cut off by a kill is dropped and its seed is run again. A seed means
something only together with the code that ran it: a record of other code is refused.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import node
from node.primitives.errors import Misconfigured
from node.simulation.checkers import Violation
from node.simulation.run import Report

FORMAT: Final = "daicho-simulation/1"

PACKAGES: Final = ("consensus", "primitives", "simulation", "storage")
"""Packages of ``node`` that decide how a seed ends."""

REMEDY: Final = "name another file, or remove this one to begin anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of one seed."""

    seed: int
    """It."""
    violation: Violation | None
    """The invariant that broke, if one did."""
    digest: str
    """Digest of the trace."""


class CampaignRecord:
    """The record of one campaign, open for more."""

    def __init__(self, path: Path, verdicts: Iterable[Verdict]) -> None:
        """Hold the path and what stands there; ``open_record`` reads it."""
        self.verdicts = {verdict.seed: verdict for verdict in verdicts}
        self._path = path

    def add(self, report: Report) -> None:
        """Write down what came of a seed."""
        verdict = Verdict(seed=report.seed, violation=report.violation, digest=report.digest)
        self.verdicts[report.seed] = verdict
        with self._path.open("a") as file:
            file.write(_encode_verdict(verdict))


def open_record(path: Path, *, faults: str, is_kind: bool) -> CampaignRecord:
    """Open the record of a campaign, or begin one where there is no file.

    Raises:
        Misconfigured: The file is no record, or of a campaign with other faults or code.
    """
    head = json.dumps(
        {"format": FORMAT, "code": compute_code_digest(), "faults": faults, "kind": is_kind}
    )
    if not path.exists() or not path.stat().st_size:
        path.write_text(head + "\n")
        return CampaignRecord(path, ())
    whole, _, torn = path.read_text().rpartition("\n")
    found, *lines = whole.split("\n")
    if found != head:
        raise Misconfigured(
            f"{path} is not the record of this campaign by this code (expected {head}): {REMEDY}"
        )
    if torn:
        path.write_text(whole + "\n")
    try:
        verdicts = tuple(_decode_verdict(line) for line in lines)
    except (ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{path} holds a line that is no verdict: {REMEDY}") from error
    return CampaignRecord(path, verdicts)


def compute_code_digest() -> str:
    """Return a digest of the code that decides how a seed ends."""
    root = Path(node.__path__[0])
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).glob("*.py")):
            digest.update(f"{package}/{path.name}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _encode_verdict(verdict: Verdict) -> str:
    violation = verdict.violation
    shown = None if violation is None else [violation.invariant, violation.detail]
    fields = {"seed": verdict.seed, "digest": verdict.digest, "violation": shown}
    return json.dumps(fields) + "\n"


def _decode_verdict(line: str) -> Verdict:
    fields = json.loads(line)
    shown = fields["violation"]
    violation = None if shown is None else Violation(invariant=shown[0], detail=shown[1])
    return Verdict(seed=int(fields["seed"]), violation=violation, digest=str(fields["digest"]))
