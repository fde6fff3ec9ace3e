"""A kiosk's settings file, and what it names: authorities, lists, keys and the journal.

Paths are relative to the file. A key file that others may read stops the kiosk.
"""

from dataclasses import dataclass
from pathlib import Path

from clients.identity.certificate import CertificateKind
from clients.identity.crl import RevocationList, accept_revocation_list
from clients.identity.path import TrustStore, build_trust_store
from clients.identity.statement import is_audience
from clients.kiosk.journal import Journal, open_journal
from clients.kiosk.ladder import KioskTrust
from node.primitives.crypto import PrivateKey
from node.primitives.errors import InvalidInput, Misconfigured
from node.settings import load_record, read_secret


class KioskMisconfigured(Misconfigured):
    """A kiosk's settings, or a file they name, cannot be used."""

    code = "kiosk.misconfigured"


@dataclass(frozen=True, slots=True, kw_only=True)
class KioskSettings:
    """What a kiosk is set to."""

    audience: str
    """Name of the identity service that reads its statements."""
    service_key: Path
    """Public record key of that service, in hexadecimal."""
    kiosk_key: Path
    """The kiosk's own secret key, in hexadecimal; readable by its user alone."""
    journal: Path
    """Where it writes what it takes down."""
    authorities: tuple[Path, ...]
    """Certificates in DER of the authorities for user authentication, every generation."""
    revocation_lists: tuple[Path, ...] = ()
    """Their last lists in DER."""

    def load_trust(self) -> KioskTrust:
        """Read authorities and lists.

        Raises:
            KioskMisconfigured: A file is missing, or no trusted authority's.
        """
        try:
            store = build_trust_store(
                tuple((CertificateKind.AUTHENTICATION, _read(path)) for path in self.authorities)
            )
        except InvalidInput as error:
            raise _misconfigured(f"authorities: {error}") from error
        lists = tuple(_accept_list(path, store) for path in self.revocation_lists)
        return KioskTrust(store=store, lists=lists)

    def load_key(self) -> PrivateKey:
        """Read the kiosk's key.

        Raises:
            Misconfigured: It is missing, malformed, or others may read it.
        """
        secret = read_secret(self.kiosk_key)
        try:
            return PrivateKey(bytes.fromhex(secret))
        except (InvalidInput, ValueError) as error:
            raise _misconfigured(f"{self.kiosk_key}: expected a key in hexadecimal") from error

    def open_journal(self) -> Journal:
        """Open the journal, or start it.

        Raises:
            KioskMisconfigured: A key cannot be used.
            JournalBroken: The file was tampered with.
        """
        try:
            service_key = bytes.fromhex(_read(self.service_key).decode())
        except ValueError as error:
            raise _misconfigured(f"{self.service_key}: expected hexadecimal") from error
        return open_journal(self.journal, key=self.load_key(), service_key=service_key)


def load_settings(path: Path) -> KioskSettings:
    """Read a kiosk's settings.

    Raises:
        Misconfigured: The file cannot be read, holds a key or value that is wrong, or the audience
            is no host name.
    """
    settings = load_record(KioskSettings, path)
    if not is_audience(settings.audience):
        raise _misconfigured(f"{path}: audience is the identity service's host name")
    return settings


def _accept_list(path: Path, store: TrustStore) -> RevocationList:
    """Accept a list for whichever authority's key signed it."""
    data = _read(path)
    for authority in store.authorities:
        try:
            return accept_revocation_list(data, authority=authority)
        except InvalidInput:
            continue
    raise _misconfigured(f"{path}: no configured authority signed this revocation list")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _misconfigured(f"{path}: cannot be read: {error.strerror}") from error


def _misconfigured(what: str) -> KioskMisconfigured:
    return KioskMisconfigured(f"kiosk: {what}")
