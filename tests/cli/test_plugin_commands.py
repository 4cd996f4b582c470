from __future__ import annotations

from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate.cli.plugin_commands import authenticators, tables
from dicomgate_passcode import Passcode

GATEWAY = """
[[listener]]
name = "clinical"
bind = "127.0.0.1:0"
cleartext_passcodes = true
tls = { certificate = "which-nobody-reads.pem" }

[[upstream]]
name = "pacs"
address = "127.0.0.1:4242"
called_ae_titles = ["*"]
"""
TABLE = """
[[authenticator]]
use = "passcode"
name = "%s"
file = "%s"
"""
OTHER = '\n[[authenticator]]\nuse = "no-such-plugin"\n'


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "good.htpasswd").touch(mode=0o600)
    return tmp_path / "dicomgate.toml"


def test_those_of_one_kind_are_made_in_their_order(config: Path) -> None:
    config.write_text(GATEWAY + TABLE % ("staff", "good.htpasswd") + OTHER + TABLE % ("guests", "good.htpasswd"))
    made = authenticators(config, "passcode")
    assert list(made) == ["staff", "guests"]
    assert all(isinstance(one, Passcode) for one in made.values())


def test_all_that_is_wrong_is_told_with_its_place(config: Path) -> None:
    config.write_text(
        GATEWAY + TABLE % ("staff", "bad") + TABLE % ("well", "good.htpasswd") + TABLE % ("guests", "worse")
    )
    with pytest.raises(ConfigError) as caught:
        authenticators(config, "passcode")
    first, second = (str(problem) for problem in caught.value.problems)
    assert first.startswith(f"{config}:13: authenticator[0]")
    assert second.startswith(f"{config}:23: authenticator[2]")


def test_the_options_are_read_and_nothing_is_made(config: Path) -> None:
    pace = 'unknown_user = "pass"\n'
    config.write_text(GATEWAY + TABLE % ("staff", "nowhere") + pace + OTHER + TABLE % ("guests", "/etc/guests"))
    assert tables(config, "passcode") == {
        "staff": {"file": config.parent / "nowhere", "unknown_user": "pass"},
        "guests": {"file": Path("/etc/guests")},
    }
    config.write_text(TABLE % ("staff", "users"))
    assert list(tables(config, "passcode")) == ["staff"], "the file of a program that opens its own port"


def test_none_is_an_error(config: Path) -> None:
    config.write_text(GATEWAY + TABLE % ("staff", "good.htpasswd"))
    with pytest.raises(ConfigError, match=r'no \[\[authenticator\]\] with use = "jwt"'):
        authenticators(config, "jwt")
    with pytest.raises(ConfigError, match="cannot be read"):
        authenticators(config.parent / "elsewhere.toml", "passcode")


def test_an_unknown_key_is_found_in_a_table_as_when_the_authenticator_is_made(config: Path) -> None:
    config.write_text(GATEWAY + TABLE % ("staff", "good.htpasswd") + 'fil = "x"\n')
    said = []
    for read in (authenticators, tables):
        with pytest.raises(ConfigError, match="unknown key, did you mean 'file'") as caught:
            read(config, "passcode")
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert said[0].startswith(f"{config}:17: authenticator[0].fil: ")
    with pytest.raises(ConfigError, match=r'no \[\[authenticator\]\] with use = "jwt"'):
        tables(config, "jwt")
