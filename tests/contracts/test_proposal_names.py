"""PERM-MAJORITY: each vote stands under the keccak of its own call data, never under another's."""

import pytest
from eth_utils import keccak

from tests.support.city import City, actor
from tests.support.ledger import encode_call

CANDIDATE, TARGET, SELECTOR = actor("candidate"), actor("target"), b"\x01\x02\x03\x04"
EVERYONE = (1, 2, 3)


@pytest.mark.parametrize(
    ("contract", "signature", "arguments"),
    [
        ("permissions", "add_governor(address)", (CANDIDATE,)),
        ("permissions", "remove_governor(address)", (CANDIDATE,)),
        ("permissions", "expel_service(address)", (CANDIDATE,)),
        ("permissions", "grant_attestation(address)", (CANDIDATE,)),
        ("permissions", "revoke_attestation(address)", (CANDIDATE,)),
        ("permissions", "open_call(address,bytes4,uint256)", (TARGET, SELECTOR, 5)),
        ("permissions", "close_call(address,bytes4)", (TARGET, SELECTOR)),
        (
            "municipalities",
            "register(string,address,address,uint256,string)",
            ("守谷市", CANDIDATE, TARGET, 2, "https://moriya.example"),
        ),
        ("municipalities", "activate(uint256)", (4,)),
        ("municipalities", "deactivate(uint256)", (4,)),
        ("municipalities", "set_account(uint256,address)", (4, CANDIDATE)),
        ("municipalities", "set_validator(uint256,address)", (4, CANDIDATE)),
        ("municipalities", "set_role(uint256,uint256)", (4, 2)),
    ],
    ids=lambda value: value.split("(")[0] if isinstance(value, str) else "",
)
def test_a_vote_stands_under_its_own_call(
    city: City, contract: str, signature: str, arguments: tuple[object, ...]
) -> None:
    call = signature.split("(", maxsplit=1)[0]
    rules = city.permissions
    if call == "remove_governor":
        city.vote(rules, "add_governor", CANDIDATE, voters=EVERYONE)
    if call in ("expel_service", "grant_attestation", "revoke_attestation"):
        city.vote(rules, "add_service", CANDIDATE, voters=(1,))
    if call == "revoke_attestation":
        city.vote(rules, "grant_attestation", CANDIDATE, voters=EVERYONE)
    if call == "close_call":
        city.vote(rules, "open_call", TARGET, SELECTOR, 5, voters=EVERYONE)
    if call == "activate":
        city.vote(city.municipalities, "deactivate", 4, voters=EVERYONE)
    chosen = getattr(city, contract)

    city.vote(chosen, call, *arguments, voters=(2,))

    voters, _ = chosen.proposal(keccak(encode_call(signature, *arguments)))
    assert voters == 0b00100
