"""The keys of the table, what they may not be, and what is said where the libraries are missing."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dicomgate import ConfigError, Unavailable
from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.kdc import REALM, SERVICE
from dicomgate.testing.system_gateway import configuration
from dicomgate_kerberos import libkrb5
from dicomgate_kerberos.authenticator import NotAllowedError, Realms
from plugins.kerberos.tests.conftest import Make, accepted, ask
from plugins.kerberos.tests.craft import ap_req, framed, new_key, write_keytab
from plugins.kerberos.tests.initiator import Gss

Check = Callable[..., Result]


@pytest.fixture
def check(keytab: Path) -> Check:
    """What `dicomgate check` says of a configuration with this table, in the keytab's folder."""

    def check(**options: Any) -> Result:
        table = {"use": "kerberos", "keytab": keytab.name, "principal": SERVICE, **options}
        given = {key: value for key, value in table.items() if value is not None}
        config = keytab.parent / "dicomgate.toml"
        config.write_text(as_toml({**configuration(("127.0.0.1", 9)), "authenticator": [given]}), "utf-8")
        return dicomgate("check", "--config", config)

    return check


def test_the_table_of_a_configuration(check: Check, kerberos: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"realms": [REALM, "ELSEWHERE.EXAMPLE"], "strip_realms": [REALM], "forms": ["gss"]}
    result = check(replay_cache="replays", **options)
    assert result.exit_code == 0, result.output
    assert not (tmp_path / "replays").exists()  # or it would be that user's who has checked
    accept = accepted(kerberos(replay_cache=tmp_path / "replays", **options), Gss().token)
    assert accept.user == "alice"
    assert (tmp_path / "replays").stat().st_size > 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"principal": "dicom/gateway.hospital.example"}, "principal: must be of the form"),
        ({"principal": "@HOSPITAL.EXAMPLE"}, "principal: must be of the form"),
        ({"principal": "dicom/@HOSPITAL.EXAMPLE"}, "principal: must be of the form"),
        ({"principal": "dicom/a\\@b@HOSPITAL.EXAMPLE"}, "principal: must be of the form"),
        ({"principal": f"{SERVICE}\n"}, "principal: must be of the form"),
        ({"strip_realms": ["ELSEWHERE.EXAMPLE"]}, "strip_realms: has a realm that is not among the realms"),
        ({"realms": ["A", "B"], "strip_realms": ["A", "B"]}, "strip_realms: at most one"),
        ({"forms": []}, "forms: must be one or more of gss, raw, spnego"),
        ({"forms": ["gss", "ntlm"]}, "forms: must be one or more of gss, raw, spnego"),
        ({"keytabs": "x"}, "unknown key, did you mean 'keytab'?"),
        ({"realms": 5}, "realms: "),
        ({"keytab": None}, "keytab: is missing"),
        ({"principal": None}, "principal: is missing"),
    ],
)
def test_what_a_key_may_not_be(check: Check, options: dict[str, Any], words: str) -> None:
    result = check(**options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert check().exit_code == 0


REALMS = Realms([REALM, "OTHER.EXAMPLE"], [REALM])


@pytest.mark.parametrize(
    ("principal", "user"),
    [
        (f"alice@{REALM}", "alice"),
        ("alice@OTHER.EXAMPLE", "alice@OTHER.EXAMPLE"),
        (f"host/ct1.hospital.example@{REALM}", "host/ct1.hospital.example"),
        (f"zoë@{REALM}", "zoë"),
        (f"wellknown@{REALM}", "wellknown"),
        (f"alice@{REALM.lower()}", None),
        (f"alice@SUB.{REALM}", None),
        (f"alice@{REALM}@ELSEWHERE", None),
        ("alice", None),
        ("", None),
        (f"@{REALM}", None),
        (f"alice\\@OTHER.EXAMPLE@{REALM}", None),
        (f"alice@OTHER.EXAMPLE@{REALM}", None),
        (f"WELLKNOWN/ANONYMOUS@{REALM}", None),
        (f"WELLKNOWN/FEDERATED@{REALM}", None),
        (f"alice\u202e@{REALM}", None),
        (f"alice\x1b@{REALM}", None),
        (f"{'a' * 257}@{REALM}", None),
    ],
)
def test_who_somebody_is(principal: str, user: str | None) -> None:
    if user is None:
        with pytest.raises(NotAllowedError):
            REALMS.user(principal)
    else:
        assert REALMS.user(principal) == user


def test_a_realm_of_nobodys_cannot_be_allowed() -> None:
    with pytest.raises(NotAllowedError, match="anonymous"):
        Realms(["WELLKNOWN:ANONYMOUS"], []).user("alice@WELLKNOWN:ANONYMOUS")


@pytest.fixture
def _no_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file: No such file or directory")

    libkrb5.load.cache_clear()
    monkeypatch.setattr(ctypes, "CDLL", missing)
    yield
    libkrb5.load.cache_clear()


@pytest.mark.usefixtures("_no_library")
def test_without_libkrb5(kerberos: Make) -> None:
    with pytest.raises(ConfigError, match=r"libkrb5\.so\.3: cannot open .*; install libkrb5-3 \(Debian\)"):
        kerberos()


def test_without_python_gssapi(check: Check, tmp_path: Path) -> None:
    """The plugin says what to install; everything else goes on."""
    assert check().exit_code == 0
    script = "import sys; sys.modules['gssapi'] = None; from dicomgate.cli import main; main()"
    for command in (["check", "--config", str(tmp_path / "dicomgate.toml")], ["kerberos", "check"], ["plugins"]):
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == (0 if command == ["plugins"] else 2)
        assert "Traceback" not in said
        if command != ["plugins"]:
            assert "install libgssapi-krb5-2 (Debian)" in said
            assert "pip install gssapi, for which gcc, python3-dev and libkrb5-dev" in said


def test_a_configuration_of_kerberos_that_is_broken(
    kerberos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "krb5.conf").write_text("[libdefaults\nclockskew = 5\n")
    monkeypatch.setenv("KRB5_CONFIG", str(tmp_path / "krb5.conf"))
    with pytest.raises(ConfigError, match="libkrb5 cannot read its configuration"):
        kerberos()
    (tmp_path / "krb5.conf").write_text("[libdefaults]\nclockskew = soon\n")
    assert kerberos().acceptor.skew == 300


@pytest.mark.parametrize("form", [bytes, framed])
def test_a_configuration_of_kerberos_that_breaks(
    kerberos: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[bytes], bytes]
) -> None:
    key = new_key()
    conf = tmp_path / "krb5.conf"
    conf.write_text("[libdefaults]\n")
    monkeypatch.setenv("KRB5_CONFIG", str(conf))
    judge = kerberos(keytab=write_keytab(tmp_path / "crafted.keytab", (SERVICE, 1, key)))
    assert accepted(judge, form(ap_req(key)))
    conf.write_text("[libdefaults\n")
    assert isinstance(ask(judge, form(ap_req(key))), Unavailable)
    conf.write_text("[libdefaults]\n")
    assert accepted(judge, form(ap_req(key)))
