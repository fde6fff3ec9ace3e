"""Settings: one TOML file, unknown keys and wrong values refused with the remedy.

The example file that operators start from is read here too, so that it cannot go stale.
"""

from pathlib import Path

import pytest

from node.primitives.errors import Misconfigured
from node.settings import LogFormat, Settings, StorageMode, load_settings, read_secret

MINIMAL = """
name = "Tsukuba"
data_dir = "data"
genesis = "genesis.json"
[key]
keystore = "node.key.json"
[p2p]
membership = "membership.json"
"""


def settings_of(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "node.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path)


def test_a_minimal_file_takes_the_defaults_and_paths_beside_it(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, MINIMAL)

    assert settings.data_dir == tmp_path / "data"
    assert settings.p2p.port == 30_303
    assert settings.storage.mode is StorageMode.LIVE


def test_every_section_can_be_set(tmp_path: Path) -> None:
    settings = settings_of(
        tmp_path,
        MINIMAL + '[rpc]\nport = 0\ncors_origins = ["*"]\n[log]\nformat = "json"\n',
    )

    assert settings.rpc.cors_origins == ("*",)
    assert settings.log.format is LogFormat.JSON


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            MINIMAL + "[rpc]\nprot = 1\n", "rpc.prot; did you mean rpc.port", id="misspelt"
        ),
        pytest.param('nmae = "x"\n' + MINIMAL, "did you mean name", id="misspelt at the top"),
        pytest.param(MINIMAL + "[rpc]\nport = true\n", "a whole number", id="bool for number"),
        pytest.param(MINIMAL + '[rpc]\nport = "1"\n', "a whole number", id="string for number"),
        pytest.param(MINIMAL + "[rpc]\nport = 70000\n", "from 0 to 65535", id="port too high"),
        pytest.param(MINIMAL + '[log]\nlevel = "loud"\n', "one of debug", id="not a choice"),
        pytest.param(MINIMAL + "rpc = 1\n", "unknown key p2p.rpc", id="key in wrong table"),
        pytest.param("rpc = 1\n" + MINIMAL, "is a table", id="value for a table"),
        pytest.param(MINIMAL.replace("keystore", "password_file"), "exactly one", id="no key"),
        pytest.param(MINIMAL.replace("name =", "#"), "name is missing", id="missing key"),
        pytest.param(MINIMAL + "[rpc]\nport = 9545\n", "different ports", id="port twice"),
        pytest.param(MINIMAL + "[rpc]\ncors_origins = 5\n", "list of strings", id="not a list"),
        pytest.param("[", "not TOML", id="not TOML"),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Misconfigured, match=said.replace("(", r"\(")) as refused:
        settings_of(tmp_path, text)
    assert "node.toml" in str(refused.value)


def test_a_missing_file_is_the_operators_error(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="--config"):
        load_settings(tmp_path / "absent.toml")


def test_a_secret_readable_by_others_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    secret.chmod(0o644)

    with pytest.raises(Misconfigured, match="chmod 600"):
        read_secret(secret)
    secret.chmod(0o600)
    assert read_secret(secret) == "correct horse"


def test_an_empty_secret_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.touch(mode=0o600)
    with pytest.raises(Misconfigured, match="empty"):
        read_secret(secret)


def test_the_example_that_operators_copy_is_accepted() -> None:
    example = Path(__file__).parents[3] / "scripts" / "deploy" / "node.toml"
    assert load_settings(example).name
