"""What the election service is told by its operator."""

from dataclasses import dataclass, field
from pathlib import Path

from clients.identity.certificate import CertificateKind
from clients.identity.revocation import RevocationMethod
from services.kit.settings import KitSettings, NodeSettings, RelaySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSettings:
    """Addresses of the five election contracts."""

    elections: str
    """``Elections``."""
    credentials: str
    """``Credentials``."""
    ballot_box: str
    """``BallotBox``."""
    tally_board: str
    """``TallyBoard``."""
    bulletin: str
    """``Bulletin``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MunicipalitySettings:
    """This municipality, as the ledger knows it."""

    id: int
    """Its number in ``Municipalities``."""
    account: str
    """Account of its relay, with which it acts in elections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerSettings:
    """Another municipality's election service."""

    municipality: int
    """Its number in ``Municipalities``."""
    name: str
    """Its ``kit.auth.audience``, and the name it signs its calls with."""
    url: str
    """Where it is."""
    tenant: str
    """Its tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrusteeSettings:
    """The trustee's role; the keys are with the custodian."""

    custodian_socket: Path
    """Unix socket of ``daicho service election custodian``."""
    node_key: str
    """Public key of the municipality's node, compressed, in hexadecimal digits."""
    workers: int = 1
    """Processes that mix, verify and decrypt; about 1 GB of memory each at 200,000 rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BallotSettings:
    """The ballot relay's role."""

    receipt_key_file: Path
    """Keystore of the key that signs ballot receipts, and nothing else."""
    password_file: Path
    """File with the keystore's password."""
    queue_max: int = 20_000
    """Most ballots of one election that wait."""
    address_max: int = 300
    """Most ballots and withdrawals that one network address may hand in within a minute."""
    batch_interval_s: int = 120
    """Seconds between two batches: a pause in which ballots mingle."""
    margin_s: int = 30
    """Seconds before closing from which nothing is promised any more."""
    turn_s: int = 20
    """Seconds that one relay waits for another to close the box."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthoritySettings:
    """An authority whose card certificates are trusted."""

    kind: CertificateKind
    """Which certificates it issues."""
    file: Path
    """Its own certificate in DER."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RevocationSettings:
    """Where the status of certificates is learnt."""

    url: str
    """Address of the verifier's connection."""
    method: RevocationMethod = RevocationMethod.OCSP
    """How."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionSettings:
    """The commission's role: of the municipality that holds the election."""

    master_file: Path
    """Master keys under which the restricted store is sealed."""
    receipt_keystore_file: Path
    """Keystore of the key that signs receipts; the manifest names its public part."""
    receipt_password_file: Path
    """File with the keystore's password."""
    token_key_file: Path
    """RSA key of the admission tokens, used for nothing else, in PEM."""
    attestor_socket: Path
    """Unix socket of ``daicho service election attestor``."""
    exports: Path
    """Folder of encrypted exports for accredited auditors."""
    authorities: tuple[AuthoritySettings, ...]
    """Trust store of card certificates."""
    revocation: RevocationSettings
    """Where their status is learnt."""
    voting_url: str
    """Address that letters name, where electors log in with their code."""
    batch_interval_s: int = 600
    """Seconds between two batches of the roll."""
    inbox_endpoint: str | None = None
    """Where residents' inboxes hear that a code can be collected; none tells nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSettings:
    """The witness's role: of the other municipalities. ``kit.auth.key_file`` signs its calls."""

    is_on: bool = True
    """Check and confirm what commissions add to their rolls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionSettings:
    """The election service's settings file. A role without its table is off."""

    genesis_file: Path
    """The network's genesis file; reading starts there."""
    events_key_file: Path
    """Key with which the service signs its events, a JWK."""
    files: Path
    """Folder of the elections' files."""
    nodes: tuple[NodeSettings, ...]
    """Nodes to ask, in this order."""
    relay: RelaySettings
    """The relay."""
    contracts: ContractSettings
    """The contracts."""
    municipality: MunicipalitySettings
    """This municipality."""
    peers: tuple[PeerSettings, ...] = ()
    """The other municipalities' services."""
    trustee: TrusteeSettings | None = None
    """Trustee and mixer."""
    ballots: BallotSettings | None = None
    """Ballot relay."""
    commission: CommissionSettings | None = None
    """Commission."""
    witness: WitnessSettings | None = None
    """Witness of other commissions."""
    kit: KitSettings = field()
    """The kit's table; exactly one tenant."""
