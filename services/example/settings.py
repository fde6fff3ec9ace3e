"""What the noticeboard is told by its operator."""

from dataclasses import dataclass, field
from pathlib import Path

from services.kit.settings import KitSettings, NodeSettings, RelaySettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """The noticeboard's settings file."""

    genesis_file: Path
    """The network's genesis file; reading starts there."""
    anchors: str
    """Address of the contract Anchors."""
    master_file: Path
    """Master keys under which contacts are sealed."""
    events_key_file: Path
    """Key with which the noticeboard signs its events, a JWK."""
    nodes: tuple[NodeSettings, ...]
    """Nodes to ask, in this order."""
    relay: RelaySettings
    """The relay."""
    notice_days: int = 30
    """How long a notice stays up."""
    kit: KitSettings = field()
    """The kit's table; exactly one tenant."""
