"""The doctor: every finding has a name and a verdict, and what is bad has a remedy."""

from pathlib import Path

import pytest

from node.runtime.doctor import Finding, Verdict, examine
from node.runtime.localnet import LocalNetwork, LocalNode, LocalPlan

NOW_S = 2_000_000_000
A_YEAR_S = 365 * 86_400


@pytest.fixture
def node(tmp_path: Path) -> LocalNode:
    return LocalNetwork.create(tmp_path, LocalPlan()).nodes[0]


def examined(config: Path, now_s: int = NOW_S) -> dict[str, Finding]:
    return {finding.check: finding for finding in examine(config, now_s=now_s)}


def edit(node: LocalNode, old: str, new: str) -> None:
    text = node.settings_path.read_text(encoding="utf-8")
    assert old in text
    node.settings_path.write_text(text.replace(old, new), encoding="utf-8")


def test_all_checks_run_on_a_node_before_its_first_start(node: LocalNode) -> None:
    found = examined(node.settings_path)
    wanted = {"python", "crypto", "clock", "settings", "data directory", "disk", "key"}
    wanted |= {"certificate", "database", "p2p port", "rpc port", "membership", "peer goka"}
    assert wanted <= set(found)
    assert [name for name, each in found.items() if each.verdict is Verdict.BAD] == []
    warned = [each for each in found.values() if each.verdict is Verdict.WARNING]
    assert [each.check for each in warned if not each.remedy and each.check != "clock"] == []


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        pytest.param("[rpc]", "[rpcs]", "settings", id="unknown key"),
        pytest.param("membership.json", "absent.json", "documents", id="no membership"),
        pytest.param("node.development-only.key.json", "absent.json", "key", id="no key"),
        pytest.param("[log]", "[storage]\nfree_mb_min = 1000000\n[log]", "disk", id="disk"),
    ],
)
def test_what_is_bad_is_named_with_a_remedy(
    node: LocalNode, old: str, new: str, check: str
) -> None:
    edit(node, old, new)
    found = examined(node.settings_path)[check]
    assert found.verdict is Verdict.BAD
    assert found.remedy


def test_a_membership_document_past_its_date_is_a_warning(node: LocalNode) -> None:
    found = examined(node.settings_path, now_s=NOW_S + 20 * A_YEAR_S)
    assert found["membership"].verdict is Verdict.WARNING


def test_a_damaged_database_is_named(node: LocalNode) -> None:
    chain = node.path / "data" / "chain"
    chain.mkdir(parents=True)
    (chain / "CURRENT").write_text("nonsense")
    assert examined(node.settings_path)["database"].verdict is Verdict.BAD
