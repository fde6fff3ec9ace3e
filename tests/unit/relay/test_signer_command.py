"""RELAY-SIGNER: the command serves a keystore's key until it is asked to end."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from eth_keyfile.keyfile import create_keyfile_json

from services.relay.operations import FENCE, add_tail
from services.relay.remote_signer import open_remote_signer
from services.relay.signer import Draft, SignerRefused
from tests.support.ledger import SERVICE_KEYS

KEY = SERVICE_KEYS[0]
TARGET = SERVICE_KEYS[1].address


def write_files(folder: Path) -> None:
    secret = KEY.export_secret()
    document = create_keyfile_json(secret, b"correct horse", kdf="scrypt", iterations=2)
    (folder / "keystore.json").write_text(json.dumps(document))
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text("correct horse")


def start_signer(folder: Path) -> subprocess.Popen[bytes]:
    arguments = [
        "--keystore",
        "keystore.json",
        "--password-file",
        "password",
        "--chain-id",
        "20261",
    ]
    arguments += ["--socket", "relay.sock", "--target", "0x" + TARGET.hex()]
    code = "from services.relay.signer_command import signer; signer()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
    )
    deadline = time.monotonic() + 30
    while not (folder / "relay.sock").is_socket():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return process


async def test_the_command_signs_for_its_targets_and_ends_when_asked() -> None:
    with tempfile.TemporaryDirectory(prefix="daicho-", dir="/tmp") as name:
        folder = Path(name)
        write_files(folder)
        process = start_signer(folder)
        try:
            signer = await open_remote_signer(folder / "relay.sock", chain_id=20_261)
            data = add_tail(b"", FENCE)
            draft = Draft(nonce=0, gas_limit=30_000, to=TARGET, data=data)
            assert (await signer.sign(draft)).sender == KEY.address
            elsewhere = Draft(nonce=0, gas_limit=30_000, to=SERVICE_KEYS[2].address, data=data)
            with pytest.raises(SignerRefused, match="not among"):
                await signer.sign(elsewhere)
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(10)
        assert code == 0
        assert not (folder / "relay.sock").exists()
