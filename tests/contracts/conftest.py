"""The two genesis contracts standing in a local EVM, as their artifacts and genesis put them."""

from collections.abc import Iterator

import boa
import pytest

from tests.support.city import City


@pytest.fixture(scope="session")
def founded() -> City:
    """Put the contracts at their addresses, with four founders, once."""
    return City()


@pytest.fixture
def city(founded: City) -> Iterator[City]:
    """Give each test the state at genesis."""
    with boa.env.anchor():
        yield founded
