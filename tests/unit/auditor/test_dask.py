"""AUDIT-PARALLEL: ranges run on a Dask cluster named by its address, and find the same.

The cluster is one worker on this machine. Dask is an extra; without it only its absence is tested.
"""

import importlib.util
from pathlib import Path

import pytest

from clients.auditor.executors import open_executor
from node.primitives.errors import Misconfigured
from tests.support.audit_chain import audit_of, make_audited_chain

HAS_DASK = importlib.util.find_spec("distributed") is not None


@pytest.mark.skipif(HAS_DASK, reason="Dask is installed")
def test_without_dask_an_address_is_refused_with_the_remedy() -> None:
    with (
        pytest.raises(Misconfigured, match=r"daicho\[dask\]"),
        open_executor(1, "tcp://127.0.0.1:8786"),
    ):
        pass


@pytest.mark.skipif(not HAS_DASK, reason="Dask is not installed: pip install daicho[dask]")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_finds_what_one_process_finds(tmp_path: Path) -> None:
    distributed = importlib.import_module("distributed")
    chain = make_audited_chain()
    bundle = chain.export(tmp_path / "bundle")
    audit = audit_of(chain)
    alone = audit.run(bundle)
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        ) as cluster,
        open_executor(1, cluster.scheduler_address) as executor,
    ):
        assert executor is not None

        assert audit.run(bundle, executor=executor) == alone
