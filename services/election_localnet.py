"""Election services for every municipality of a local trial network, laid out as files.

The first municipality is the commission; all are trustees, registrars and ballot relays. Each gets
a relay, an election service and a custodian; the commission also an attestor. The authorities of
cards are simulated, and their keys lie beside the rest: whoever has them is any resident. What is
laid out already stays as it is.
"""

import json
import secrets
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from joserfc.jwk import ECKey

from clients.identity.certificate import CertificateKind
from clients.voting.group import decode_point_xy
from clients.wallet.wallet import draw_key
from node.primitives.crypto import PrivateKey
from node.primitives.errors import Misconfigured
from node.primitives.keyfile import open_keyfile, seal_keyfile
from services.election.service import SERVICE as ELECTION
from services.kit.keys import generate_key
from services.kit.master_keys import create_master_file
from services.kit.service import migrate
from services.localnet import (
    MARK,
    RECORD_FILE,
    SETTINGS_FILE,
    LocalTown,
    choose_ports,
    find_town,
    kit_tables,
    node_tables,
    toml_text,
    write_pair,
)
from services.relay.service import SERVICE as RELAY
from services.sim.pki.authority import KeyType, SimulatedAuthority, make_key
from services.sim.pki.hierarchy import GENERATIONS, Hierarchy

CONTRACTS: Final = ("Elections", "Credentials", "BallotBox", "TallyBoard", "Bulletin")
OFFICERS: Final = ("officer-one", "officer-two")
"""Two, because some acts need a second person."""

CARD_GENERATION: Final = 3
"""Cards with elliptic curves: their keys are made quickly."""

PLAN_FILE: Final = "elections.json"
"""What the lay-out decided: ports of the services and of the simulated authorities."""

SCRYPT_WORK: Final = 2
"""Development keystores open at once; the password protects nothing here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionTown:
    """A municipality with its election services."""

    town: LocalTown
    """Municipality, keys, nodes."""
    number: int
    """Its number in ``Municipalities``."""
    relay_port: int
    """Port of its relay."""
    port: int
    """Port of its election service."""

    @property
    def folder(self) -> Path:
        """Return the election service's folder."""
        return self.town.network / "services" / f"election@{self.town.tenant}"

    @property
    def url(self) -> str:
        """Return where its election service answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        """Return the election service's name in calls."""
        return f"election-{self.town.tenant}"[:40]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectionNetwork:
    """All municipalities of a local network, and the simulated authorities."""

    root: Path
    """The network's directory."""
    towns: tuple[ElectionTown, ...]
    """The first is the commission."""
    contracts: dict[str, str]
    """Addresses of the election contracts."""
    authorities_port: int
    """Where the simulated authorities answer."""

    @property
    def authorities(self) -> Path:
        """Return the folder of the simulated authorities."""
        return self.root / "services" / f"authorities.{MARK}"


def find_network(root: Path) -> ElectionNetwork:
    """Return the election network under a directory, planning its ports when it is new.

    Raises:
        Misconfigured: There is no network, or its contracts are not recorded.
    """
    root = root.absolute()
    try:
        record: dict[str, Any] = json.loads((root / RECORD_FILE).read_text(encoding="utf-8"))
        contracts = {name: record["contracts"][name] for name in CONTRACTS}
        names = [node["name"] for node in record["nodes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(
            f"{root}: no local network with the election contracts; run `daicho network run`"
        ) from error
    towns = [find_town(root, name) for name in names]
    plan = _load_plan(root, towns)
    return ElectionNetwork(
        root=root,
        towns=tuple(
            ElectionTown(
                town=town,
                number=at,
                relay_port=plan["relays"][at - 1],
                port=plan["services"][at - 1],
            )
            for at, town in enumerate(towns, 1)
        ),
        contracts=contracts,
        authorities_port=plan["authorities"],
    )


def _load_plan(root: Path, towns: Sequence[LocalTown]) -> dict[str, Any]:
    path = root / "services" / PLAN_FILE
    if path.exists():
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return plan
    ports = choose_ports(2 * len(towns) + 1)
    relays = ports[: len(towns)]
    first = towns[0].relay / SETTINGS_FILE
    if first.exists():
        relays[0] = tomllib.loads(first.read_text(encoding="utf-8"))["kit"]["server"]["port"]
    plan = {"relays": relays, "services": ports[len(towns) : -1], "authorities": ports[-1]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan) + "\n", encoding="utf-8")
    return plan


def lay_out_elections(network: ElectionNetwork) -> tuple[Path, ...]:
    """Write keys and settings of every municipality's services unless they are there.

    Raises:
        Misconfigured: A file cannot be written.
    """
    try:
        if not network.authorities.exists():
            _write_authorities(network.authorities)
        for each in network.towns:
            if not (each.folder / SETTINGS_FILE).exists():
                _write_keys(each)
        for each in network.towns:
            if not (each.folder / SETTINGS_FILE).exists():
                _write_relay(each)
                _write_settings(network, each)
    except OSError as error:
        raise Misconfigured(f"{network.root}: services not written: {error.strerror}") from error
    return tuple(each.folder / SETTINGS_FILE for each in network.towns)


async def migrate_elections(network: ElectionNetwork) -> None:
    """Bring every relay's and election service's database to its schema, in this one process.

    Raises:
        DatabaseUnavailable: A database cannot be made.
    """
    for each in network.towns:
        for service, folder in ((RELAY, each.town.relay), (ELECTION, each.folder)):
            await migrate(service, service.load_settings(folder / SETTINGS_FILE))


def load_authorities(network: ElectionNetwork) -> Hierarchy:
    """Return the simulated authorities, as they were laid out."""
    return Hierarchy(
        authorities={
            (kind, CARD_GENERATION): _load_authority(network.authorities, kind)
            for kind in CertificateKind
        },
        make_key=make_key,
    )


def public_key_of(path: Path) -> bytes:
    """Return the compressed public key of a keystore beside whose password it lies."""
    key = load_development_key(path)
    return decode_point_xy(key.public_key[1:]).encode()


def load_development_key(path: Path) -> PrivateKey:
    """Open a keystore of the local network; the password is in the file beside it."""
    password = path.with_name(f"{path.name.partition('.')[0]}.password")
    document = json.loads(path.read_text(encoding="utf-8"))
    secret = password.read_text(encoding="ascii").strip()
    return PrivateKey(open_keyfile(document, secret.encode()))


def _write_authorities(folder: Path) -> None:
    folder.mkdir(parents=True, mode=0o700)
    plan = GENERATIONS[CARD_GENERATION]
    for kind in CertificateKind:
        keys = [make_key(KeyType.P_384) for _ in range(2)]
        authority = SimulatedAuthority(
            kind=kind,
            generation=CARD_GENERATION,
            not_before=plan.not_before,
            not_after=plan.not_after,
            key=keys[0],
            responder_key=keys[1],
        )
        for name, key in zip(("key", "responder"), keys, strict=True):
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            _write_private(folder / f"{kind.value}.{name}.{MARK}.pem", pem.decode())
        (folder / f"{kind.value}.der").write_bytes(authority.der)


def _load_authority(folder: Path, kind: CertificateKind) -> SimulatedAuthority:
    plan = GENERATIONS[CARD_GENERATION]
    keys = []
    for name in ("key", "responder"):
        pem = (folder / f"{kind.value}.{name}.{MARK}.pem").read_bytes()
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        keys.append(key)
    authority = SimulatedAuthority(
        kind=kind,
        generation=CARD_GENERATION,
        not_before=plan.not_before,
        not_after=plan.not_after,
        key=keys[0],
        responder_key=keys[1],
    )
    der = (folder / f"{kind.value}.der").read_bytes()
    authority.certificate = x509.load_der_x509_certificate(der)
    return authority


def _write_keys(each: ElectionTown) -> None:
    """Write every key of a municipality's election services."""
    folder = each.folder
    folder.mkdir(parents=True, exist_ok=True)
    write_pair(folder / "events", generate_key())
    write_pair(folder / "calls", generate_key())
    for name in OFFICERS:
        write_pair(folder / name, ECKey.generate_key("P-256"))
    _write_keystore(folder / f"receipts.{MARK}.key.json")
    _write_private(
        folder / "custodian.password", draw_key(secrets.token_bytes).export_secret().hex()
    )
    staff = "".join(
        f'[[staff]]\nid = "{name}"\ntenant = "{each.town.tenant}"\n'
        f'roles = ["election-officer"]\nkey_file = "{name}.pub.json"\n'
        f'valid_until = "2099-12-31"\nauthentication_level = 2\n\n'
        for name in OFFICERS
    )
    (folder / "staff.toml").write_text(staff, encoding="utf-8")
    if not each.town.relay.exists():
        each.town.relay.mkdir(parents=True)
        write_pair(each.town.relay / "events", generate_key())
    if each.number == 1:
        _write_keystore(folder / f"attestor.{MARK}.key.json")
        create_master_file(folder / f"master.{MARK}.keys")
        token = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
        pem = token.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_private(folder / f"tokens.{MARK}.pem", pem.decode())
        (folder / "exports").mkdir(exist_ok=True)


def _write_keystore(path: Path) -> None:
    password = secrets.token_hex(16)
    record = seal_keyfile(
        draw_key(secrets.token_bytes).export_secret(),
        password.encode(),
        work=SCRYPT_WORK,
        draw=secrets.token_bytes,
    )
    _write_private(path, json.dumps({**record, MARK: True}) + "\n")
    _write_private(path.with_name(f"{path.name.partition('.')[0]}.password"), password + "\n")


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600, exist_ok=True)
    path.write_text(text, encoding="ascii")


def _write_relay(each: ElectionTown) -> None:
    """Give the municipality a relay that works for the election service, or tell its relay so."""
    town = each.town
    client = f"""
[[clients]]
name = "election"
key_file = {toml_text(each.folder / "events.pub.json")}
endpoint = "{each.url}/events"
"""
    path = town.relay / SETTINGS_FILE
    if path.exists():
        known = path.read_text(encoding="utf-8")
        if client not in known:
            path.write_text(known + client, encoding="utf-8")
        return
    text = f"""# The relay of a local trial network. Never copy its keys into a real one.
genesis_file = {toml_text(town.network / "genesis.json")}
keystore_file = {toml_text(town.keys / f"relay.{MARK}.key.json")}
password_file = {toml_text(town.keys / "relay.password")}
events_key_file = "events.{MARK}.key.json"
anchors = "{town.anchors}"
{node_tables(town)}{client}
[kit.auth]
audience = "relay"
{kit_tables(town, town.relay, each.relay_port)}"""
    path.write_text(text, encoding="utf-8")


def account_of(each: ElectionTown) -> str:
    """Return the account of a municipality's relay, with which it acts in elections."""
    path = each.town.keys / f"relay.{MARK}.key.json"
    address: str = json.loads(path.read_text(encoding="utf-8"))["address"]
    return "0x" + address.removeprefix("0x").lower()


def node_key_of(each: ElectionTown) -> str:
    """Return the compressed public key of a municipality's node."""
    path = each.town.keys / f"node.{MARK}.key.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    password = (each.town.keys / "password").read_text(encoding="ascii").strip()
    key = PrivateKey(open_keyfile(document, password.encode()))
    return decode_point_xy(key.public_key[1:]).encode().hex()


def _write_settings(network: ElectionNetwork, each: ElectionTown) -> None:
    """Write the settings of service, custodian and attestor; the service's last."""
    folder, town = each.folder, each.town
    custodian = f"""# A trustee's custodian on a local trial network.
genesis_file = {toml_text(town.network / "genesis.json")}
elections = "{network.contracts["Elections"]}"
tally_board = "{network.contracts["TallyBoard"]}"
municipality = {each.number}
socket = {toml_text(folder / "custodian.sock")}
state = {toml_text(folder / "custodian")}
secrets = {toml_text(folder / f"secrets.{MARK}.bin")}
secrets_copy = {toml_text(folder / f"secrets-copy.{MARK}.bin")}
password_file = "custodian.password"
{node_tables(town)}"""
    (folder / "custodian.toml").write_text(custodian, encoding="utf-8")
    if each.number == 1:
        (folder / "attestor.toml").write_text(_attestor(network, each), encoding="utf-8")
    (folder / SETTINGS_FILE).write_text(_service(network, each), encoding="utf-8")


def _trust_tables(network: ElectionNetwork, prefix: str) -> str:
    tables = "".join(
        f'\n[[{prefix}authorities]]\nkind = "{kind.value}"\n'
        f"file = {toml_text(network.authorities / f'{kind.value}.der')}\n"
        for kind in CertificateKind
    )
    return f'{tables}\n[{prefix}revocation]\nurl = "http://127.0.0.1:{network.authorities_port}"\n'


def _attestor(network: ElectionNetwork, each: ElectionTown) -> str:
    return f"""# The attestor of a commission on a local trial network.
socket = {toml_text(each.folder / "attestor.sock")}
keystore_file = "attestor.{MARK}.key.json"
password_file = "attestor.password"
database_file = {toml_text(each.folder / "attestor.db")}
{_trust_tables(network, "")}"""


def _service(network: ElectionNetwork, each: ElectionTown) -> str:
    town, folder = each.town, each.folder
    contracts = "".join(
        f'{key} = "{network.contracts[name]}"\n'
        for key, name in (
            ("elections", "Elections"),
            ("credentials", "Credentials"),
            ("ballot_box", "BallotBox"),
            ("tally_board", "TallyBoard"),
            ("bulletin", "Bulletin"),
        )
    )
    role = "[witness]\nis_on = true\n"
    if each.number == 1:
        role = f"""[commission]
master_file = "master.{MARK}.keys"
receipt_keystore_file = "receipts.{MARK}.key.json"
receipt_password_file = "receipts.password"
token_key_file = "tokens.{MARK}.pem"
attestor_socket = {toml_text(folder / "attestor.sock")}
exports = {toml_text(folder / "exports")}
voting_url = "{each.url}"
batch_interval_s = 10
{_trust_tables(network, "commission.")}"""
    return f"""# An election service of a local trial network. Never copy its keys into a real one.
genesis_file = {toml_text(town.network / "genesis.json")}
events_key_file = "events.{MARK}.key.json"
files = {toml_text(folder / "files")}
{node_tables(town)}
[relay]
key_file = {toml_text(town.relay / "events.pub.json")}
endpoint = "http://127.0.0.1:{each.relay_port}/events"

[contracts]
{contracts}
[municipality]
id = {each.number}
account = "{account_of(each)}"
{_peer_tables(network, each)}
[trustee]
custodian_socket = {toml_text(folder / "custodian.sock")}
node_key = "{node_key_of(each)}"

[ballots]
receipt_key_file = "receipts.{MARK}.key.json"
password_file = "receipts.password"
batch_interval_s = 3
margin_s = 5
turn_s = 5

{role}
[kit.auth]
audience = "{each.name}"
key_file = "calls.{MARK}.key.json"
staff_file = "staff.toml"
{_partner_tables(network, each)}{kit_tables(town, folder, each.port)}"""


def _peer_tables(network: ElectionNetwork, each: ElectionTown) -> str:
    return "".join(
        f'\n[[peers]]\nmunicipality = {other.number}\nname = "{other.name}"\n'
        f'url = "{other.url}"\ntenant = "{other.town.tenant}"\n'
        for other in network.towns
        if other != each
    )


def _partner_tables(network: ElectionNetwork, each: ElectionTown) -> str:
    return "".join(
        f'\n[[kit.auth.partners]]\nname = "{other.name}"\n'
        f"key_file = {toml_text(other.folder / 'calls.pub.json')}\n"
        'purposes = ["election.files", "election.roll"]\n'
        for other in network.towns
        if other != each
    )


def load_governor(each: ElectionTown) -> PrivateKey:
    """Return the key of a municipality's voting account."""
    path = each.town.keys / f"governor.{MARK}.key.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    password = (each.town.keys / "password").read_text(encoding="ascii").strip()
    return PrivateKey(open_keyfile(document, password.encode()))


def token_modulus(path: Path) -> int:
    """Return the modulus of a token key."""
    key = load_pem_private_key(path.read_bytes(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.public_key().public_numbers().n
