"""QBFT-TIMEOUT: rounds last twice as long each time, up to a cap, however high the round."""

import pytest

from node.consensus.parameters import ROUND_MAX, ConsensusParameters
from node.consensus.timeouts import round_timeout_ms
from node.primitives.errors import Misconfigured
from node.primitives.types import Round

PARAMETERS = ConsensusParameters(round_timeout_base_ms=4_000, round_timeout_cap_ms=60_000)


def test_timeouts_double_up_to_the_cap() -> None:
    timeouts = [round_timeout_ms(PARAMETERS, Round(at)) for at in range(6)]

    assert timeouts == [4_000, 8_000, 16_000, 32_000, 60_000, 60_000]


def test_the_highest_round_has_the_cap_and_costs_no_more() -> None:
    assert round_timeout_ms(PARAMETERS, Round(ROUND_MAX)) == 60_000


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param({"period_s": 0}, id="no period"),
        pytest.param({"period_s": 31}, id="heartbeat below the period"),
        pytest.param({"round_timeout_cap_ms": 3_999}, id="cap below the base"),
        pytest.param({"future_message_count_max": 0}, id="no room"),
    ],
)
def test_parameters_the_protocol_cannot_run_by_are_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(Misconfigured):
        ConsensusParameters(**numbers)
