"""Health: each check says in a sentence what is wrong, and only that turns readiness red."""

import json
from dataclasses import replace

import pytest
from aiohttp.test_utils import TestClient, TestServer

from node.runtime.health import Limits, Snapshot, build_health_app, check_health, render_readiness
from node.runtime.metrics import Metrics

GOOD = Snapshot(
    now_s=1_000_000,
    head_height=50,
    head_timestamp_s=999_998,
    best_peer_height=50,
    peer_count=3,
    is_syncing=False,
    stopped_reason="",
    heartbeat_s=30,
    free_bytes=10 * 2**30,
    clock_offset_ms=3,
    certificate_expiry_s=1_000_000 + 200 * 86_400,
)
LIMITS = Limits(peer_count_min=2, lag_blocks_max=2, free_bytes_min=2**30)


def verdicts(snapshot: Snapshot) -> dict[str, bool]:
    return {check.name: check.is_ok for check in check_health(snapshot, LIMITS)}


def test_a_healthy_node_is_ready() -> None:
    status, body = render_readiness(check_health(GOOD, LIMITS))
    assert status == 200
    assert json.loads(body)["ready"]


@pytest.mark.parametrize(
    ("bad", "name", "said"),
    [
        pytest.param(replace(GOOD, peer_count=1), "peers", "1 connected", id="few peers"),
        pytest.param(replace(GOOD, best_peer_height=53), "sync", "3 blocks behind", id="behind"),
        pytest.param(
            replace(GOOD, head_timestamp_s=999_699), "progress", "301 s old", id="stalled chain"
        ),
        pytest.param(replace(GOOD, stopped_reason="silent"), "signing", "silent", id="silent"),
        pytest.param(replace(GOOD, free_bytes=2**20), "disk", "1 MiB free", id="disk"),
        pytest.param(
            replace(GOOD, certificate_expiry_s=1_000_000), "certificate", "expired", id="expired"
        ),
    ],
)
def test_what_is_wrong_turns_readiness_red_and_is_named(
    bad: Snapshot, name: str, said: str
) -> None:
    checks = check_health(bad, LIMITS)
    assert [check.name for check in checks if not check.is_ok] == [name]
    assert said in next(check.reason for check in checks if check.name == name)
    assert render_readiness(checks)[0] == 503


@pytest.mark.parametrize(
    "at_the_limit",
    [
        pytest.param(replace(GOOD, peer_count=2), id="fewest peers"),
        pytest.param(replace(GOOD, best_peer_height=52), id="most blocks behind"),
        pytest.param(replace(GOOD, head_timestamp_s=999_700), id="oldest head"),
        pytest.param(replace(GOOD, free_bytes=2**30), id="least disk"),
        pytest.param(
            replace(GOOD, head_height=0, head_timestamp_s=0, best_peer_height=0),
            id="genesis is old",
        ),
        pytest.param(replace(GOOD, clock_offset_ms=None, peer_count=2), id="no clock to compare"),
    ],
)
def test_a_node_at_its_limits_is_still_ready(at_the_limit: Snapshot) -> None:
    assert all(verdicts(at_the_limit).values())


@pytest.mark.parametrize(
    ("early", "name"),
    [
        pytest.param(replace(GOOD, clock_offset_ms=-201), "clock", id="clock"),
        pytest.param(
            replace(GOOD, certificate_expiry_s=1_000_000 + 29 * 86_400), "certificate", id="expiry"
        ),
    ],
)
def test_what_will_go_wrong_warns_and_stays_ready(early: Snapshot, name: str) -> None:
    checks = check_health(early, LIMITS)
    assert [check.name for check in checks if check.is_warning] == [name]
    assert render_readiness(checks)[0] == 200


async def test_the_three_pages_answer() -> None:
    app = build_health_app(lambda: check_health(replace(GOOD, peer_count=0), LIMITS), Metrics())
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/liveness")).status == 200
        ready = await client.get("/readiness")
        assert ready.status == 503
        assert (await ready.json())["checks"][0]["name"] == "peers"
        metrics = await (await client.get("/metrics")).text()
        assert "daicho_consensus_height" in metrics
