"""CODE-ISSUE: the inbox hears that a code can be collected, without name or number, and no more."""

from pathlib import Path

from services.election.commission.part import inbox_subscribers
from services.election.settings import CommissionSettings, RevocationSettings

INBOX = "https://inbox.example.lg.jp/events"


def settings(endpoint: str | None) -> CommissionSettings:
    """Return a commission's settings with this inbox."""
    file = Path("none")
    return CommissionSettings(
        master_file=file,
        receipt_keystore_file=file,
        receipt_password_file=file,
        token_key_file=file,
        attestor_socket=file,
        exports=file,
        authorities=(),
        revocation=RevocationSettings(url="http://127.0.0.1:1"),
        voting_url="https://vote.example.lg.jp",
        inbox_endpoint=endpoint,
    )


def test_the_inbox_hears_of_codes_and_of_nothing_else() -> None:
    (inbox,) = inbox_subscribers(settings(INBOX), "tsukuba")

    assert (inbox.tenant, inbox.endpoint) == ("tsukuba", INBOX)
    assert inbox.wants("jp.daicho.election.code-ready.v1")
    assert not inbox.wants("jp.daicho.chain.transaction-intended.v1")
    assert not inbox.wants("jp.daicho.audit.root-ready.v1")


def test_without_an_inbox_nobody_is_told() -> None:
    assert inbox_subscribers(settings(None), "tsukuba") == ()
