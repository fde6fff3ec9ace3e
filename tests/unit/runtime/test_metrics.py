"""Metrics: every name is documented, and dashboards and alerts use only names that exist."""

import json
import re
from pathlib import Path

import pytest

from node.runtime.metrics import Metrics
from tests.support.source import ROOT

DEPLOY = ROOT / "scripts" / "deploy"
NAME = re.compile(r"\b(daicho_[a-z0-9_]+|process_[a-z_]+)\b")
SUFFIXES = ("_bucket", "_total", "_sum", "_count", "_created")


def metric_names() -> set[str]:
    return {metric.name for metric in Metrics().registry.collect()}


def stem(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "operate" / "metrics.md").read_text(encoding="utf-8")
    ours = {name for name in metric_names() if name.startswith("daicho_")}
    assert sorted(name for name in ours if f"`{name}`" not in page) == []


@pytest.mark.parametrize("file", ["grafana-dashboard.json", "alerts.yml"])
def test_dashboard_and_alerts_name_metrics_that_exist(file: str) -> None:
    used = {stem(name) for name in NAME.findall((DEPLOY / file).read_text(encoding="utf-8"))}
    assert used
    assert sorted(used - metric_names() - {"daicho_get_evidence"}) == []


def test_the_dashboard_is_one_panel_to_a_place() -> None:
    panels = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}
    assert len(places) == len(panels)


def test_two_nodes_in_one_process_do_not_share_figures() -> None:
    one, two = Metrics(), Metrics()
    one.height.set(7)
    assert b"daicho_consensus_height 7.0" in one.expose()
    assert b"daicho_consensus_height 0.0" in two.expose()


@pytest.mark.parametrize(
    "unit", ["daicho.service", "daicho-signer.service", "daicho-relay-signer.service"]
)
def test_units_do_not_restart_what_an_operator_must_change(unit: str) -> None:
    text = Path(DEPLOY / unit).read_text(encoding="utf-8")
    assert "RestartPreventExitStatus=2" in text
    assert "NoNewPrivileges=yes" in text
