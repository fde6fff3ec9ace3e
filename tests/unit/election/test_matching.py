"""ROLL-MATCH: two spellings of one person are one, and another person is not."""

from dataclasses import replace
from datetime import date

import pytest

from clients.identity.attributes import FourAttributes, Sex
from services.election.commission.matching import (
    MatchedAttributes,
    find_differences,
    normalise_address,
)

ON_ROLL = MatchedAttributes(
    name="台帳 花子",
    address="茨城県猿島郡境町架空1-2-3",
    birth_date=date(1990, 2, 17),
    sex=Sex.FEMALE,
)
ON_CARD = FourAttributes(
    name="台帳　花子",
    address="茨城県猿島郡境町架空一丁目２番３号",
    birth_date=date(1990, 2, 17),
    sex=Sex.FEMALE,
)


def test_widths_spaces_and_blocks_do_not_matter() -> None:
    assert find_differences(ON_ROLL, ON_CARD) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("架空十二丁目３番地の４", "架空12-3-4"),
        ("架空１２３番地", "架空123"),
        ("架空百二十三番地４", "架空123-4"),
        ("架空１ー２ー３", "架空1-2-3"),
        ("三番町５", "3番町5"),
    ],
)
def test_addresses_written_in_two_ways_are_one(one: str, other: str) -> None:
    assert normalise_address(one) == normalise_address(other)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"name": "台帳　華子"}, ("name",)),
        ({"address": "茨城県猿島郡境町架空一丁目２番４号"}, ("address",)),
        ({"birth_date": date(1990, 2, 18)}, ("birth_date",)),
        ({"birth_date": None}, ("birth_date",)),
        ({"sex": Sex.MALE}, ("sex",)),
    ],
)
def test_another_person_is_told_by_what_differs(
    changes: dict[str, object], found: tuple[str, ...]
) -> None:
    assert find_differences(ON_ROLL, replace(ON_CARD, **changes)) == found  # type: ignore[arg-type]


def test_a_stand_in_matches_one_character_and_no_more() -> None:
    assert (
        find_differences(ON_ROLL, replace(ON_CARD, name="台●　花子", name_substitutes=(1,))) == ()
    )
    assert find_differences(ON_ROLL, replace(ON_CARD, name="台●花子", name_substitutes=())) == (
        "name",
    )
    assert find_differences(ON_ROLL, replace(ON_CARD, name="●花子", name_substitutes=(0,))) == (
        "name",
    )


def test_sex_is_compared_only_where_the_roll_has_it() -> None:
    assert find_differences(replace(ON_ROLL, sex=None), replace(ON_CARD, sex=Sex.MALE)) == ()
