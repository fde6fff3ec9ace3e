"""Every demand of a policy, and every fault of a token, is refused by its own name."""

import base64
import hmac
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc.jwk import ECKey

from services.kit.auth import (
    Access,
    Anyone,
    AuthenticationTooWeak,
    DelegateRefused,
    Delegation,
    OtherTenant,
    Partner,
    Policy,
    ProofingTooLow,
    PurposeNotGranted,
    Resident,
    RoleMissing,
    Staff,
    TokenMissing,
    WrongCaller,
    check_policy,
    choose_tenant,
)
from services.kit.keys import generate_key
from services.kit.replays import ReplayMemory, ReplayMemoryFull
from services.kit.tokens import (
    IncomingRequest,
    ProofInvalid,
    TokenExpired,
    TokenFault,
    TokenInvalid,
    Trust,
    identify,
    sign_service_token,
)
from tests.support.tokens import GOKA, NOW, NOW_S, SAKAI, People

PEOPLE = People()
OUTSIDER_KEY = generate_key()

POLICY = Policy(
    purpose="board.write",
    access=frozenset({Access.RESIDENT, Access.STAFF}),
    proofing_level=2,
    authentication_level=2,
    roles=frozenset({"board-editor"}),
)
RESIDENT = Resident(
    subject="pairwise-1",
    tenant=GOKA,
    purposes=frozenset({"board.write"}),
    proofing_level=2,
    authentication_level=2,
)
CLERK = Staff(
    subject="clerk", tenant=GOKA, roles=frozenset({"board-editor"}), authentication_level=2
)
RELAY = Partner(name="relay", tenant=GOKA, purposes=frozenset({"board.write"}))


def changed(caller: Any, **changes: Any) -> Any:
    """Return the caller with some fields replaced."""
    fields = {name: getattr(caller, name) for name in caller.__slots__}
    return type(caller)(**{**fields, **changes})


@pytest.mark.parametrize(
    ("delegation", "place", "passes"),
    [
        (Delegation.NONE, None, False),
        (Delegation.ANYWHERE, None, True),
        (Delegation.ANYWHERE, "hall", False),
        (Delegation.PLACED, None, True),
        (Delegation.PLACED, "hall", True),
    ],
)
def test_who_acts_for_another_passes_where_the_operation_says_so(
    delegation: Delegation, place: str | None, passes: bool
) -> None:
    policy = replace(POLICY, delegation=delegation)
    caller = changed(RESIDENT, delegate="helper", place=place)
    if passes:
        check_policy(policy, caller, GOKA)
    else:
        with pytest.raises(DelegateRefused):
            check_policy(policy, caller, GOKA)


@pytest.mark.parametrize("caller", [RESIDENT, CLERK], ids=["resident", "staff"])
def test_a_caller_who_meets_every_demand_passes(caller: Any) -> None:
    check_policy(POLICY, caller, GOKA)


@pytest.mark.parametrize(
    ("caller", "refusal"),
    [
        pytest.param(Anyone(), TokenMissing, id="no token"),
        pytest.param(RELAY, WrongCaller, id="a service"),
        pytest.param(changed(RESIDENT, tenant=SAKAI), OtherTenant, id="resident elsewhere"),
        pytest.param(changed(CLERK, tenant=SAKAI), OtherTenant, id="staff elsewhere"),
        pytest.param(
            changed(RESIDENT, purposes=frozenset({"board.read"})),
            PurposeNotGranted,
            id="another purpose",
        ),
        pytest.param(changed(RESIDENT, delegate="helper"), DelegateRefused, id="a delegate"),
        pytest.param(changed(RESIDENT, proofing_level=1), ProofingTooLow, id="proofing below"),
        pytest.param(
            changed(RESIDENT, proofing_level=3, authentication_level=1),
            AuthenticationTooWeak,
            id="proofing does not make up for a weak login",
        ),
        pytest.param(
            changed(RESIDENT, proofing_level=1, authentication_level=3),
            ProofingTooLow,
            id="a strong login does not make up for proofing",
        ),
        pytest.param(changed(CLERK, roles=frozenset({"reader"})), RoleMissing, id="other role"),
        pytest.param(
            changed(CLERK, authentication_level=1), AuthenticationTooWeak, id="weak staff key"
        ),
    ],
)
def test_a_demand_that_is_not_met_is_refused_by_name(caller: Any, refusal: type) -> None:
    with pytest.raises(refusal) as raised:
        check_policy(POLICY, caller, GOKA)

    assert type(raised.value) is refusal


def test_a_service_needs_its_purpose_too() -> None:
    policy = Policy(purpose="board.count", access=frozenset({Access.SERVICE}))

    check_policy(policy, changed(RELAY, purposes=frozenset({"board.count"})), GOKA)
    with pytest.raises(PurposeNotGranted):
        check_policy(policy, RELAY, GOKA)


@pytest.mark.parametrize(
    "demands",
    [
        pytest.param({"purpose": "", "access": {Access.PUBLIC}}, id="no purpose"),
        pytest.param({"access": set()}, id="for nobody"),
        pytest.param({"access": {Access.PUBLIC}, "proofing_level": 1}, id="public with a level"),
        pytest.param({"access": {Access.PUBLIC, Access.STAFF}, "roles": {"a"}}, id="public too"),
        pytest.param({"access": {Access.STAFF}}, id="staff without a role"),
        pytest.param({"access": {Access.RESIDENT}, "roles": {"a"}}, id="a resident's role"),
        pytest.param({"access": {Access.RESIDENT}, "proofing_level": 4}, id="no such level"),
        pytest.param({"access": {Access.SERVICE}, "proofing_level": 1}, id="proofed service"),
    ],
)
def test_a_policy_that_contradicts_itself_does_not_load(demands: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Policy(
            **{
                "purpose": "x",
                **demands,
                "access": frozenset(demands["access"]),
                "roles": frozenset(demands.get("roles", ())),
            }
        )


@pytest.mark.parametrize(
    ("named", "host", "caller", "chosen"),
    [
        pytest.param("sakai", GOKA, RESIDENT, SAKAI, id="what is named comes first"),
        pytest.param("tsukuba", GOKA, RESIDENT, None, id="named and not served"),
        pytest.param(None, SAKAI, RESIDENT, SAKAI, id="then the host"),
        pytest.param(None, None, RESIDENT, GOKA, id="then the token"),
        pytest.param(None, None, Anyone(), None, id="nothing tells"),
    ],
)
def test_the_tenant_is_found(named: str | None, host: Any, caller: Any, chosen: Any) -> None:
    found = choose_tenant(caller, named=named, host_tenant=host, served=(GOKA, SAKAI))

    assert found == chosen


def test_the_only_tenant_needs_no_name() -> None:
    assert choose_tenant(Anyone(), named=None, host_tenant=None, served=(GOKA,)) == GOKA


def base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


async def ask(token: str | None, *, proof: str | None = None, trust: Trust | None = None) -> Any:
    """Identify the caller of a GET of /notices."""
    return await identify(
        IncomingRequest(
            method="GET",
            path="/notices",
            authorization=None if token is None else f"Bearer {token}",
            proof=proof,
        ),
        trust or PEOPLE.trust(),
        NOW,
    )


async def ask_bound(proof_of: dict[str, Any] | None = None, **claims: Any) -> Any:
    """Identify the sender of a resident's token with proof."""
    token = PEOPLE.resident_token(**claims)
    return await ask(token, proof=PEOPLE.proof(token, **(proof_of or {})))


async def test_a_residents_token_with_proof_names_the_resident() -> None:
    assert await ask_bound() == Resident(
        subject="pairwise-1",
        tenant=GOKA,
        purposes=frozenset({"board.write", "board.read"}),
        proofing_level=3,
        authentication_level=2,
        device=PEOPLE.device_key.thumbprint(),
    )


async def test_a_token_under_a_grant_names_who_acts_and_where() -> None:
    acting = await ask_bound(act={"sub": "pairwise-2"}, place="hall")

    assert acting == changed(await ask_bound(), delegate="pairwise-2", place="hall")


async def test_staff_have_the_roles_of_the_table_whatever_their_token_says() -> None:
    caller = await ask(PEOPLE.staff_token(roles=["mayor"], authentication_level=3))

    assert caller == CLERK


async def test_a_service_signs_a_token_that_its_partner_takes() -> None:
    token = sign_service_token(
        PEOPLE.relay_key, name="relay", audience="noticeboard", tenant=GOKA, now=NOW
    )

    assert await ask(token) == Partner(
        name="relay", tenant=GOKA, purposes=frozenset({"board.count"})
    )


async def test_no_token_is_anyone() -> None:
    assert await ask(None) == Anyone()


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        pytest.param({"iss": "https://else.example"}, TokenFault.ISSUER, id="unknown issuer"),
        pytest.param({"header": {"kid": "k2"}}, TokenFault.KEY, id="unknown key"),
        pytest.param({"header": {"kid": None}}, TokenFault.KEY, id="no key named"),
        pytest.param({"key": OUTSIDER_KEY}, TokenFault.SIGNATURE, id="another's signature"),
        pytest.param({"header": {"typ": "JWT"}}, TokenFault.TYPE, id="an identity token"),
        pytest.param({"header": {"typ": None}}, TokenFault.TYPE, id="no type"),
        pytest.param({"act": "helper"}, TokenFault.CLAIMS, id="an actor of no form"),
        pytest.param({"act": {}}, TokenFault.CLAIMS, id="a nameless actor"),
        pytest.param({"act": {"sub": "a", "act": {}}}, TokenFault.CLAIMS, id="a chain of actors"),
        pytest.param({"place": "hall"}, TokenFault.CLAIMS, id="a place and nobody acting"),
        pytest.param({"aud": "library"}, TokenFault.AUDIENCE, id="for another service"),
        pytest.param({"aud": ["noticeboard", "library"]}, TokenFault.AUDIENCE, id="for two"),
        pytest.param({"aud": None}, TokenFault.AUDIENCE, id="for nobody"),
        pytest.param({"iat": NOW_S + 31, "exp": NOW_S + 600}, TokenFault.NOT_YET, id="future"),
        pytest.param({"exp": NOW_S + 601}, TokenFault.LIFETIME, id="over ten minutes"),
        pytest.param({"exp": NOW_S}, TokenFault.LIFETIME, id="no time at all"),
        pytest.param({"exp": None}, TokenFault.CLAIMS, id="no end"),
        pytest.param({"iat": NOW_S + 0.5}, TokenFault.CLAIMS, id="a fraction"),
        pytest.param({"sub": None}, TokenFault.CLAIMS, id="no subject"),
        pytest.param({"sub": "x" * 201}, TokenFault.CLAIMS, id="long subject"),
        pytest.param({"scope": None}, TokenFault.CLAIMS, id="no purposes"),
        pytest.param({"scope": " ".join("a" * 33)}, TokenFault.CLAIMS, id="33 purposes"),
        pytest.param({"proofing_level": True}, TokenFault.CLAIMS, id="level not a number"),
        pytest.param({"proofing_level": 4}, TokenFault.CLAIMS, id="level 4"),
        pytest.param({"authentication_level": None}, TokenFault.CLAIMS, id="no level"),
        pytest.param({"tenant": "tsukuba"}, TokenFault.TENANT, id="issuer not for that tenant"),
        pytest.param({"cnf": "key"}, TokenFault.CLAIMS, id="binding not a table"),
    ],
)
async def test_a_fault_in_a_residents_token_is_named(
    claims: dict[str, Any], fault: TokenFault
) -> None:
    with pytest.raises(TokenInvalid) as raised:
        await ask_bound(**claims)

    assert raised.value.fault is fault


async def test_thirty_seconds_of_skew_are_allowed_and_not_more() -> None:
    await ask_bound(iat=NOW_S + 30, exp=NOW_S + 600)
    await ask_bound(iat=NOW_S - 600, exp=NOW_S - 29)

    with pytest.raises(TokenExpired):
        await ask_bound(iat=NOW_S - 600, exp=NOW_S - 30)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"method": "POST"}, TokenFault.REQUEST, id="another method"),
        pytest.param({"path": "/notices/1"}, TokenFault.REQUEST, id="another path"),
        pytest.param({"htu": "https://else.example/notices"}, TokenFault.REQUEST, id="host"),
        pytest.param({"htu": "http://[::/notices"}, TokenFault.REQUEST, id="no address"),
        pytest.param({"ath": "AAAA"}, TokenFault.REQUEST, id="another token"),
        pytest.param({"iat": NOW_S - 61}, TokenFault.STALE, id="a minute old"),
        pytest.param({"iat": NOW_S + 31}, TokenFault.STALE, id="from the future"),
        pytest.param({"key": OUTSIDER_KEY}, TokenFault.KEY, id="another key"),
        pytest.param({"header": {"jwk": {"kty": "oct", "k": "AAAA"}}}, TokenFault.KEY, id="oct"),
        pytest.param({"header": {"typ": "JWT"}}, TokenFault.TYPE, id="not a proof"),
        pytest.param({"jti": None}, TokenFault.CLAIMS, id="no identifier"),
    ],
)
async def test_a_fault_in_the_senders_proof_is_named(
    changes: dict[str, Any], fault: TokenFault
) -> None:
    with pytest.raises(ProofInvalid) as raised:
        await ask_bound(changes)

    assert raised.value.fault is fault


async def test_a_bound_token_without_proof_is_refused() -> None:
    with pytest.raises(ProofInvalid) as raised:
        await ask(PEOPLE.resident_token())

    assert raised.value.fault is TokenFault.MISSING


async def test_an_unbound_token_passes_only_where_the_operator_allows_it() -> None:
    token = PEOPLE.resident_token(cnf=None)

    with pytest.raises(ProofInvalid) as raised:
        await ask(token)
    caller = await ask(token, trust=PEOPLE.trust(is_sender_constrained=False))

    assert raised.value.fault is TokenFault.UNBOUND
    assert caller.device is None


async def test_a_proof_that_holds_the_private_key_is_refused() -> None:
    key = ECKey.generate_key("P-256")

    with pytest.raises(ProofInvalid) as raised:
        await ask_bound(
            {"key": key, "header": {"jwk": key.as_dict(private=True)}},
            cnf={"jkt": key.thumbprint()},
        )

    assert raised.value.fault is TokenFault.KEY


async def test_a_proof_that_the_devices_key_did_not_sign_is_refused() -> None:
    device = PEOPLE.device_key.as_dict(private=False)

    with pytest.raises(ProofInvalid) as raised:
        await ask_bound({"key": ECKey.generate_key("P-256"), "header": {"jwk": device}})

    assert raised.value.fault is TokenFault.SIGNATURE


async def test_a_proof_passes_once() -> None:
    trust = PEOPLE.trust()
    token = PEOPLE.resident_token()
    proof = PEOPLE.proof(token)

    await ask(token, proof=proof, trust=trust)
    with pytest.raises(ProofInvalid) as raised:
        await ask(token, proof=proof, trust=trust)

    assert raised.value.fault is TokenFault.REPLAYED


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        pytest.param({"iss": "leaver"}, TokenFault.ISSUER, id="not in the table"),
        pytest.param({"key": OUTSIDER_KEY}, TokenFault.ALGORITHM, id="another kind of key"),
        pytest.param(
            {"key": ECKey.generate_key("P-256")}, TokenFault.SIGNATURE, id="another's key"
        ),
        pytest.param({"tenant": "sakai"}, TokenFault.TENANT, id="another municipality"),
        pytest.param({"aud": "library"}, TokenFault.AUDIENCE, id="for another service"),
        pytest.param({"exp": NOW_S + 601}, TokenFault.LIFETIME, id="over ten minutes"),
    ],
)
async def test_a_fault_in_a_staff_token_is_named(claims: dict[str, Any], fault: TokenFault) -> None:
    with pytest.raises(TokenInvalid) as raised:
        await ask(PEOPLE.staff_token(**claims))

    assert raised.value.fault is fault


async def test_a_registration_that_has_ended_lets_nobody_in() -> None:
    request = IncomingRequest(
        method="GET",
        path="/",
        authorization=f"Bearer {PEOPLE.staff_token()}",
        proof=None,
    )

    with pytest.raises(TokenInvalid) as raised:
        await identify(request, PEOPLE.trust(), NOW + timedelta(days=30))

    assert raised.value.fault is TokenFault.ISSUER


@pytest.mark.parametrize(
    ("claims", "fault"),
    [
        pytest.param({"iss": "library"}, TokenFault.ISSUER, id="unknown service"),
        pytest.param({"key": OUTSIDER_KEY}, TokenFault.SIGNATURE, id="another's key"),
        pytest.param({"tenant": "sakai"}, TokenFault.TENANT, id="not for that municipality"),
        pytest.param({"exp": NOW_S + 61}, TokenFault.LIFETIME, id="over a minute"),
        pytest.param({"jti": None}, TokenFault.CLAIMS, id="no identifier"),
    ],
)
async def test_a_fault_in_a_services_token_is_named(
    claims: dict[str, Any], fault: TokenFault
) -> None:
    with pytest.raises(TokenInvalid) as raised:
        await ask(PEOPLE.partner_token(**claims))

    assert raised.value.fault is fault


async def test_a_services_token_passes_once() -> None:
    trust = PEOPLE.trust()
    token = PEOPLE.partner_token()

    await ask(token, trust=trust)
    with pytest.raises(TokenInvalid) as raised:
        await ask(token, trust=trust)

    assert raised.value.fault is TokenFault.REPLAYED


def forged(header: dict[str, Any], secret: bytes | None = None) -> str:
    """Return a token of the resident's claims under a forged header."""
    claims = PEOPLE.resident_token().split(".")[1]
    full = {"typ": "at+jwt", "kid": "k1", **header}
    text = f"{base64url(json.dumps(full).encode())}.{claims}"
    mac = b"" if secret is None else hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64url(mac)}"


PUBLIC_PEM = PEOPLE.issuer_key.as_pem(private=False)


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        pytest.param(forged({"alg": "none"}), TokenFault.ALGORITHM, id="unsigned"),
        pytest.param(
            forged({"alg": "HS256"}, PUBLIC_PEM), TokenFault.ALGORITHM, id="public key as a secret"
        ),
        pytest.param(forged({"alg": "ES256"}), TokenFault.ALGORITHM, id="not the key's"),
        pytest.param(forged({"alg": ["Ed25519"]}), TokenFault.ALGORITHM, id="not a text"),
        pytest.param(forged({"alg": "Ed25519"}), TokenFault.SIGNATURE, id="empty signature"),
        pytest.param(
            forged({"alg": "Ed25519", "crit": ["x"]}), TokenFault.ALGORITHM, id="critical header"
        ),
        pytest.param(forged({"alg": "Ed25519", "kid": 1}), TokenFault.KEY, id="kid not a text"),
    ],
)
async def test_a_forged_header_is_refused(token: str, fault: TokenFault) -> None:
    with pytest.raises(TokenInvalid) as raised:
        await ask(token)

    assert raised.value.fault is fault


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param("Basic dXNlcjpwYXNz", id="a password"),
        pytest.param("Bearer", id="nothing"),
        pytest.param("Bearer a.b", id="two parts"),
        pytest.param("Bearer a.b.c", id="not base64"),
        pytest.param("Bearer WzFd.WzFd.AA", id="not an object"),
        pytest.param("Bearer " + "a" * 4_097, id="too long"),
        pytest.param("Bearer ÿ.ÿ.ÿ", id="not ascii"),
        pytest.param(f"Bearer {base64url(b'[' * 3_000)}.e30.AA", id="nested"),
    ],
)
async def test_what_is_no_token_is_refused(authorization: str) -> None:
    request = IncomingRequest(method="GET", path="/", authorization=authorization, proof=None)

    with pytest.raises(TokenInvalid) as raised:
        await identify(request, PEOPLE.trust(), NOW)

    assert raised.value.fault is TokenFault.FORM


def test_a_full_replay_memory_refuses_rather_than_forgets() -> None:
    memory = ReplayMemory(count_max=2)
    later = NOW + timedelta(seconds=60)
    assert memory.remember("a", now=NOW, until=later)
    assert memory.remember("b", now=NOW, until=later)

    with pytest.raises(ReplayMemoryFull):
        memory.remember("c", now=NOW, until=later)

    assert memory.remember("c", now=later, until=later + timedelta(seconds=60))
