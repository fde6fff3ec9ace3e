"""RPC-RATE: a source spends what its bucket holds, and no other source's."""

from node.rpc.limits import RpcLimits
from node.rpc.rates import RateLimiter


def limiter(**limits: int) -> RateLimiter:
    return RateLimiter(RpcLimits(**{"rate_per_s": 10, "rate_burst": 20, **limits}))


def test_a_full_bucket_is_spent_to_the_last_unit() -> None:
    rates = limiter()

    assert rates.spend("a", 20, now_ms=0)
    assert not rates.spend("a", 1, now_ms=0)
    assert rates.spend("b", 20, now_ms=0)


def test_time_refills_it_up_to_the_burst() -> None:
    rates = limiter()
    rates.spend("a", 20, now_ms=0)

    assert not rates.spend("a", 1, now_ms=99)
    assert rates.spend("a", 1, now_ms=100)
    assert not rates.spend("a", 21, now_ms=10_000)
    assert rates.spend("a", 20, now_ms=10_000)


def test_a_refused_request_costs_nothing() -> None:
    rates = limiter()
    rates.spend("a", 15, now_ms=0)

    assert not rates.spend("a", 6, now_ms=0)
    assert rates.spend("a", 5, now_ms=0)


def test_a_clock_that_goes_back_gives_nothing() -> None:
    rates = limiter()
    rates.spend("a", 20, now_ms=1_000)

    assert not rates.spend("a", 1, now_ms=0)


def test_many_sources_cost_bounded_memory() -> None:
    rates = limiter(rate_sources_max=3)

    for at in range(10):
        rates.spend(f"source {at}", 1, now_ms=0)

    assert len(rates) == 3
