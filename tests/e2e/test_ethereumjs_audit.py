"""AUDIT-REPLAY, AUDIT-BUNDLE: @ethereumjs and the auditor agree on good bundles and on bad ones.

The two share no code. The peer knows neither permissions nor whose seals count, so it is asked only
about what an EVM and a hash can tell.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clients.auditor.checks import Conclusion
from node.primitives.block import Block
from node.primitives.bundle import BundleHeader, EndRecord
from tests.support.audit_chain import AuditedChain, audit_of, make_audited_chain
from tests.support.javascript import run_peer
from tests.support.tampering import Draft, load_draft

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def chain() -> AuditedChain:
    return make_audited_chain()


def both(chain: AuditedChain, folder: Path, change: Callable[[Draft], object]) -> tuple[bool, bool]:
    """Return whether the peer and the auditor confirm a bundle after ``change``."""
    draft = load_draft(chain.export(folder / "good"))
    change(draft)
    (folder / "bundle").write_bytes(draft.encode())
    (folder / "genesis.json").write_bytes(chain.ledger.genesis_file)
    peer: Any = run_peer("replay.mjs", str(folder / "genesis.json"), str(folder / "bundle"))
    report = audit_of(chain).run(folder / "bundle")
    return peer["passed"], report.conclusion is Conclusion.CONFIRMED


def without_transactions(draft: Draft) -> None:
    draft.put(7, Block(header=draft.block(7).header))


def with_another_digest(draft: Draft) -> None:
    draft.edit(EndRecord, digest=bytes(32))
    draft.is_closed = False


def without_block_5(draft: Draft) -> None:
    del draft.records[draft.index(5)]


def test_both_confirm_the_good_bundle(chain: AuditedChain, tmp_path: Path) -> None:
    assert both(chain, tmp_path, lambda _draft: None) == (True, True)


@pytest.mark.parametrize(
    "lie",
    [
        pytest.param(lambda draft: draft.reclaim(6, state_root=bytes(32)), id="state root"),
        pytest.param(lambda draft: draft.reclaim(6, receipts_root=bytes(32)), id="receipts root"),
        pytest.param(lambda draft: draft.reclaim(6, gas_used=21_000), id="gas used"),
        pytest.param(lambda draft: draft.reclaim(6, bloom=bytes(256)), id="bloom"),
        pytest.param(lambda draft: draft.reclaim(6, parent_hash=bytes(32)), id="parent hash"),
        pytest.param(without_transactions, id="transactions left out"),
        pytest.param(without_block_5, id="a block left out"),
        pytest.param(lambda draft: draft.receipts(3, list.reverse), id="receipts"),
        pytest.param(with_another_digest, id="digest"),
        pytest.param(
            lambda draft: draft.edit(BundleHeader, genesis_hash=bytes(32)), id="another network"
        ),
    ],
)
def test_both_refute_a_lie(
    chain: AuditedChain, tmp_path: Path, lie: Callable[[Draft], object]
) -> None:
    assert both(chain, tmp_path, lie) == (False, False)
