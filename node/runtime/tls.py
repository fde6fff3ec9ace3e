"""The node's TLS key and certificate in its data directory: made once, renewed in time.

The certificate is signed by the node key and says nothing else, so a node can renew it alone and
no operator has to remember a date. What certificates mean is in ``p2p.certificates``.

Spec: WIRE-TLS, WIRE-EXPIRY.
"""

import os
from pathlib import Path
from typing import Final

from node.p2p.certificates import (
    RENEW_DAYS,
    NodeIdentity,
    TlsIdentity,
    check_tls_identity,
    create_tls_identity,
)
from node.primitives.errors import Misconfigured
from node.runtime.log import Log
from node.settings import check_private

LOG = Log("runtime")

KEY_FILE: Final = "tls.key"
CERTIFICATE_FILE: Final = "tls.crt"


def load_tls(data_dir: Path, identity: NodeIdentity, *, now_s: int) -> TlsIdentity:
    """Return the TLS identity kept in ``data_dir``, making or renewing it when due.

    Raises:
        Misconfigured: The files are unreadable, or belong to another node key.
        Unavailable: The signer of the node key does not answer.

    Spec: WIRE-EXPIRY.
    """
    key_path, certificate_path = data_dir / KEY_FILE, data_dir / CERTIFICATE_FILE
    if key_path.exists() and certificate_path.exists():
        check_private(key_path)
        tls = TlsIdentity(key_path.read_bytes(), certificate_path.read_bytes())
        check_tls_identity(tls, identity=identity)
        days = tls.certificate.days_left(now_s)
        if days >= RENEW_DAYS:
            return tls
        LOG.info("renewing the TLS certificate", days_left=days)
    tls = create_tls_identity(identity, now_s=now_s)
    _replace(key_path, tls.key_pem, 0o600)
    _replace(certificate_path, tls.certificate_pem, 0o644)
    return tls


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Put a file in place whole or not at all.

    Raises:
        Misconfigured: The directory cannot be written.
    """
    draft = path.with_suffix(path.suffix + ".new")
    try:
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError as error:
        raise Misconfigured(
            f"{path}: cannot be written ({error.strerror}); let the node's user own {path.parent}"
        ) from error
