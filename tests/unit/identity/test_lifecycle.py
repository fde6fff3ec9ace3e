"""ID-LIFECYCLE, ID-FLAG: the table of the specification, read from the specification itself."""

from datetime import UTC, datetime, timedelta

import pytest

from clients.identity.certificate import CertificateKind
from clients.identity.lifecycle import (
    FLAG_LIFETIME,
    Consequence,
    FlagStatus,
    RecordEvent,
    combine_consequences,
    find_expiry_consequence,
    find_record_consequence,
    find_revocation_consequence,
    find_warning,
    renew_flag,
)
from clients.identity.revocation import Good, RevocationMethod, RevocationReason
from tests.support.source import ROOT

AUTHENTICATION, SIGNING = CertificateKind.AUTHENTICATION, CertificateKind.SIGNING
NOW = datetime(2026, 4, 1, tzinfo=UTC)


def written() -> dict[str, tuple[str, ...]]:
    """Return the rows of the table in docs/spec/identity.md, by event."""
    text = (ROOT / "docs" / "spec" / "identity.md").read_text()
    rows = (
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in text.partition("| event |")[2].splitlines()[2:]
        if line.startswith("|")
    )
    return {row[0]: row[1:] for row in rows}


def spoken(consequence: Consequence) -> tuple[str, ...]:
    """Return a consequence in the words of the table."""
    words = [
        value.name.lower().replace("_", " ")
        for value in (
            consequence.scope,
            consequence.devices,
            consequence.attributes,
            consequence.flag,
        )
    ]
    words[1] = words[1].replace("grace", "grace of 30 days")
    return tuple(words)


R = RevocationReason


@pytest.mark.parametrize(
    ("event", "consequences"),
    [
        (
            "0 destroyed before delivery, 1 key compromised, 6 on hold",
            [
                find_revocation_consequence(reason, kind)
                for reason in (R.DESTROYED_BEFORE_DELIVERY, R.KEY_COMPROMISED, R.ON_HOLD)
                for kind in CertificateKind
            ],
        ),
        (
            "2 authority compromised",
            [
                find_revocation_consequence(R.AUTHORITY_COMPROMISED, kind)
                for kind in CertificateKind
            ],
        ),
        (
            "3 contents changed, signing certificate",
            [find_revocation_consequence(R.CONTENTS_CHANGED, SIGNING)],
        ),
        (
            "4 renewed, 5 no longer needed, 3 on an authentication certificate",
            [
                find_revocation_consequence(R.RENEWED, AUTHENTICATION),
                find_revocation_consequence(R.RENEWED, SIGNING),
                find_revocation_consequence(R.NO_LONGER_NEEDED, AUTHENTICATION),
                find_revocation_consequence(R.NO_LONGER_NEEDED, SIGNING),
                find_revocation_consequence(R.CONTENTS_CHANGED, AUTHENTICATION),
            ],
        ),
        ("authentication certificate ends", [find_expiry_consequence(AUTHENTICATION)]),
        ("signing certificate ends", [find_expiry_consequence(SIGNING)]),
        ("died, left", [find_record_consequence(event) for event in RecordEvent]),
    ],
)
def test_each_event_has_the_consequence_written(
    event: str, consequences: list[Consequence]
) -> None:
    assert {spoken(consequence) for consequence in consequences} == {written()[event]}


def test_the_table_holds_no_other_row() -> None:
    assert len(written()) == 7


def test_several_events_have_the_strictest_consequence_in_each_respect() -> None:
    moved = find_revocation_consequence(R.CONTENTS_CHANGED, SIGNING)
    lost = find_revocation_consequence(R.ON_HOLD, AUTHENTICATION)

    combined = combine_consequences([moved, lost])

    assert combined is not None
    assert spoken(combined) == ("card", "suspend", "stale", "suspended")
    assert combine_consequences([]) is None


@pytest.mark.parametrize("method", list(RevocationMethod))
def test_a_flag_lives_from_the_authoritys_word(method: RevocationMethod) -> None:
    good = Good(method=method, as_of=NOW)
    flag = renew_flag(
        FlagStatus.VERIFIED, good=good, certificate_not_after=NOW + timedelta(days=400)
    )

    assert flag.status_at(NOW + FLAG_LIFETIME - timedelta(seconds=1)) is FlagStatus.VERIFIED
    assert flag.status_at(NOW + FLAG_LIFETIME) is FlagStatus.EXPIRED


def test_a_flag_does_not_outlive_its_certificate() -> None:
    end = NOW + timedelta(hours=1)
    good = Good(method=RevocationMethod.CRL, as_of=NOW)
    flag = renew_flag(FlagStatus.VERIFIED, good=good, certificate_not_after=end)

    assert flag.status_at(end) is FlagStatus.VERIFIED
    assert flag.status_at(end + timedelta(seconds=1)) is FlagStatus.EXPIRED


@pytest.mark.parametrize("status", list(FlagStatus))
def test_what_stopped_somebody_does_not_expire(status: FlagStatus) -> None:
    good = Good(method=RevocationMethod.CRL, as_of=NOW)
    flag = renew_flag(status, good=good, certificate_not_after=NOW + timedelta(days=400))

    later = flag.status_at(NOW + timedelta(days=30))

    is_stop = status in (FlagStatus.SUSPENDED, FlagStatus.REMOVED)
    assert later is (status if is_stop else FlagStatus.EXPIRED)


@pytest.mark.parametrize(
    ("left", "warning"),
    [
        pytest.param(timedelta(days=91), None, id="early"),
        pytest.param(timedelta(days=90), 90, id="90 days"),
        pytest.param(timedelta(days=31), 90, id="31 days"),
        pytest.param(timedelta(days=30), 30, id="30 days"),
        pytest.param(timedelta(days=7), 7, id="7 days"),
        pytest.param(timedelta(0), 7, id="last second"),
        pytest.param(timedelta(seconds=-1), None, id="over"),
    ],
)
def test_holders_are_warned_in_time(left: timedelta, warning: int | None) -> None:
    assert find_warning(NOW + left, NOW) == warning
