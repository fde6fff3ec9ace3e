"""SYNC-SNAPSHOT, SYNC-CHECKPOINT, SYNC-SERVE: a newcomer beside peers that serve a false state.

Whole networks on loopback. The liars agree on one manifest whose header is the checkpoint's and
whose chunks fit it, but whose state is another: only the restored root tells.
"""

from pathlib import Path

import pytest

from node.p2p.restore import restore_from_peers
from node.p2p.snapshot_sync import SnapshotSync
from node.primitives.errors import Unavailable
from node.storage.snapshot import decode_manifest
from tests.support.peers import TestNode, mesh_of, node_key, running, until
from tests.support.snapshots import Served, Town, build_town, with_altered_state


def serve(node: TestNode, town: Town, served: Served) -> None:
    """Let a node's ledger hold ``served``."""
    node.ledger.manifests = {town.height: served.manifest}
    node.ledger.chunks = {(town.height, at): chunk for at, chunk in enumerate(served.chunks)}


async def test_a_newcomer_restores_the_honest_state_and_throws_the_liars_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = build_town(tmp_path, monkeypatch)
    newcomer, honest, *liars = mesh_of(tmp_path, 4)
    lie = with_altered_state(town.honest)
    serve(honest, town, town.honest)
    for liar in liars:
        serve(liar, town, lie)
    async with running(newcomer, honest, *liars):
        await until(lambda: len(newcomer.network.connected()) == 3)
        manifest = await restore_from_peers(
            newcomer.network, SnapshotSync(town.checkpoint), town.restore
        )
        await until(lambda: newcomer.network.connected() == (node_key(1).address,))

        assert manifest == decode_manifest(town.honest.manifest)
        assert all("forged_snapshot" in newcomer.peer(liar.index).why_not for liar in liars)


async def test_without_an_honest_peer_nothing_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town = build_town(tmp_path, monkeypatch)
    newcomer, liar, empty = mesh_of(tmp_path, 3)
    serve(liar, town, with_altered_state(town.honest))
    async with running(newcomer, liar, empty):
        await until(lambda: len(newcomer.network.connected()) == 2)
        with pytest.raises(Unavailable, match="no connected peer offers a good snapshot"):
            await restore_from_peers(newcomer.network, SnapshotSync(town.checkpoint), town.restore)
