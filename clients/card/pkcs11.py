"""Signatures through OpenSC's PKCS#11 module: a request to a process of its own, with a time limit.

A driver may wait for a card for ever, or fall. Nothing of this process's environment reaches it
but where the PC/SC daemon listens: one variable would have OpenSC write commands, codes included,
into a file. What it answers is checked like what any stranger sends.

Spec: CARD-PKCS11.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from clients.card.codes import Code
from clients.card.errors import CardSilent, Pkcs11Missing
from clients.identity.certificate import CertificateKind

MODULE: Final = "opensc-pkcs11.so"
"""OpenSC's module, found as the system finds libraries."""

TIMEOUT_S: Final = 30.0
"""Longest a signature may take, with the forty commands that lead to it."""

ANSWER_SIZE_MAX: Final = 64 * 1024
"""Longest answer read, in characters."""

_WORKER: Final = Path(__file__).with_name("pkcs11_worker.py")
_SETTINGS: Final = Path(__file__).with_name("opensc.conf")
_DAEMON_VARIABLE: Final = "PCSCLITE_CSOCK_NAME"
_TOKENS: Final = {
    CertificateKind.AUTHENTICATION: "User Authentication",
    CertificateKind.SIGNING: "Digital Signature",
}
_KEY_IDS: Final = {CertificateKind.AUTHENTICATION: "01", CertificateKind.SIGNING: "02"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSignature:
    """What a module gave; nothing in it is checked yet."""

    certificate: bytes = field(repr=False)
    """In DER."""
    signature: bytes = field(repr=False)
    """Over the payload."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRefusal:
    """Why a module gave no signature, in its own words; the card knows better."""

    outcome: str
    """One of the worker's words, or the module's name for an error."""


def sign_by_module(
    kind: CertificateKind,
    payload: bytes,
    code: Code,
    *,
    reader: str,
    module: str = MODULE,
    timeout_s: float = TIMEOUT_S,
) -> ModuleSignature | ModuleRefusal:
    """Have the key in a reader pad and sign ``payload``.

    Args:
        kind: Which key.
        payload: The DigestInfo, built by this client.
        code: Opens the key.
        reader: The reader's whole name.
        module: File name or path of a PKCS#11 module.
        timeout_s: When to give up.

    Raises:
        CardSilent: No answer in time; the driver's process was ended.
        Pkcs11Missing: The module or python-pkcs11 is not there.

    Spec: CARD-PKCS11.
    """
    request = {
        "module": module,
        "reader": reader,
        "token": _TOKENS[kind],
        "key_id": _KEY_IDS[kind],
        "payload": payload.hex(),
        "pin": code.value.decode("ascii"),
    }
    try:
        worker = subprocess.run(  # noqa: S603 - a fixed program, no shell
            [sys.executable, "-I", str(_WORKER)],
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # Without `from`: the exception carries what was said to the process, the code among it.
        raise CardSilent(
            f"card: no signature within {timeout_s:g} s; the driver was ended", rule="CARD-PKCS11"
        ) from None
    return _read(worker.stdout[:ANSWER_SIZE_MAX], worker.returncode)


def _environment() -> dict[str, str]:
    """Return the variables of the worker.

    Spec: CARD-PKCS11.
    """
    daemon = os.environ.get(_DAEMON_VARIABLE)
    kept = {} if daemon is None else {_DAEMON_VARIABLE: daemon}
    return {**kept, "OPENSC_CONF": str(_SETTINGS)}


def _read(answer: bytes, returned: int) -> ModuleSignature | ModuleRefusal:
    try:
        record = json.loads(answer)
        outcome = str(record["outcome"])
        if outcome == "signed":
            return ModuleSignature(
                certificate=bytes.fromhex(record["certificate"]),
                signature=bytes.fromhex(record["signature"]),
            )
    except (ValueError, TypeError, KeyError, RecursionError):
        outcome = "no-module" if returned == 1 and not answer else f"ended with {returned}"
    if outcome == "no-module":
        raise Pkcs11Missing(
            "card: OpenSC's PKCS#11 module does not load; install opensc-pkcs11 and python-pkcs11",
            rule="CARD-PKCS11",
        )
    return ModuleRefusal(outcome=outcome)
