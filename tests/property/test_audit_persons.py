"""ROLL-MATCH: auditor and commission, who share no code for it, tell the same people apart."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from clients.auditor.election.persons import find_person_faults, write_blocks
from clients.auditor.election.restricted import ElectorLine
from clients.identity.attributes import FourAttributes, Sex
from services.election.commission.matching import (
    MatchedAttributes,
    find_differences,
    normalise_address,
)

SIGNS = st.text("一二三〇十百丁目番地の号条区画町架空０1２ー－-− 　Aａ", max_size=14)
PLACES = st.sets(st.integers(0, 3), max_size=2)


@given(SIGNS)
def test_addresses_are_written_alike(text: str) -> None:
    assert write_blocks(text) == normalise_address(text)


@given(SIGNS.filter(bool), SIGNS.filter(bool), PLACES, st.booleans(), st.sampled_from(Sex))
def test_the_same_attributes_differ(
    known: str, shown: str, places: set[int], is_one: bool, sex: Sex
) -> None:
    text = known if is_one else shown
    card = FourAttributes(
        name=text,
        birth_date=date(1990, 2, 17) if is_one else None,
        sex=sex,
        address=text,
        name_substitutes=tuple(sorted(at for at in places if at < len(text))),
        address_substitutes=tuple(sorted(at for at in places if at < len(text))),
    )
    elector = ElectorLine(
        kind="elector",
        slot="00" * 32,
        number="1",
        name=known,
        address=known,
        birth_date="1990-02-17",
        sex="female",
        district="",
        style=1,
        certificate_name="",
        certificate_address="",
    )
    matched = MatchedAttributes(
        name=known, address=known, birth_date=date(1990, 2, 17), sex=Sex.FEMALE
    )

    found = find_person_faults(elector, card)

    assert tuple(each.replace(" ", "_") for each in found) == find_differences(matched, card)
