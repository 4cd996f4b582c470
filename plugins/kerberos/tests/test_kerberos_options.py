"""The keys of the table, what they may not be, and what is said where the libraries are missing."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from dicomgate import ConfigError, Unavailable
from dicomgate.testing.kdc import REALM, SERVICE
from dicomgate_kerberos import libkrb5
from dicomgate_kerberos.authenticator import Realms
from dicomgate_kerberos.errors import KerberosError
from plugins.kerberos.tests.conftest import Check, Make, accepted, ask
from plugins.kerberos.tests.craft import ap_req, framed
from plugins.kerberos.tests.initiator import Gss
from plugins.kerberos.tests.matrix import CURRENT


def test_the_table_of_a_configuration(check: Check, kerberos: Make, tmp_path: Path) -> None:
    options: dict[str, Any] = {"realms": [REALM, "ELSEWHERE.EXAMPLE"], "strip_realms": [REALM], "forms": ["gss"]}
    result = check("check", replay_cache="replays", **options)
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
    result = check("check", **options)
    assert result.exit_code == 2
    assert words in result.stderr
    assert check("check").exit_code == 0


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
        with pytest.raises(KerberosError):
            REALMS.user(principal)
    else:
        assert REALMS.user(principal) == user


def test_a_realm_of_nobodys_cannot_be_allowed() -> None:
    with pytest.raises(KerberosError, match="anonymous"):
        Realms(["WELLKNOWN:ANONYMOUS"], []).user("alice@WELLKNOWN:ANONYMOUS")


def test_without_libkrb5(kerberos: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kerberos()
    monkeypatch.setattr(libkrb5, "load", libkrb5.load.__wrapped__)  # not the one in the cache
    monkeypatch.setattr(ctypes, "CDLL", Mock(side_effect=OSError("libkrb5.so.3: cannot open shared object file")))
    with pytest.raises(ConfigError, match=r"libkrb5\.so\.3: cannot open .*; install libkrb5-3 \(Debian\)"):
        kerberos()


def test_without_python_gssapi(check: Check, tmp_path: Path) -> None:
    """The plugin says what to install; everything else goes on."""
    assert check("check").exit_code == 0
    script = "import sys; sys.modules['gssapi'] = None; from dicomgate.cli import main; main()"
    for command in (["check", "--config", str(tmp_path / "dicomgate.toml")], ["kerberos", "check"], ["plugins"]):
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        assert done.returncode == (0 if command == ["plugins"] else 2)
        assert "Traceback" not in said
        if command != ["plugins"]:
            assert "install libgssapi-krb5-2 (Debian)" in said
            assert "pip install gssapi, for which gcc, python3-dev and libkrb5-dev" in said


@pytest.mark.parametrize("form", [bytes, framed])
def test_a_configuration_of_kerberos_that_is_broken(
    kerberos: Make, crafted_keytab: Path, monkeypatch: pytest.MonkeyPatch, form: Callable[[bytes], bytes]
) -> None:
    conf = crafted_keytab.with_name("krb5.conf")
    conf.write_text("[libdefaults]\nclockskew = soon\n")
    monkeypatch.setenv("KRB5_CONFIG", str(conf))
    judge = kerberos(keytab=crafted_keytab)
    assert judge.acceptor.skew == 300
    assert accepted(judge, form(ap_req(CURRENT, version=3)))
    conf.write_text("[libdefaults\nclockskew = 5\n")
    assert isinstance(ask(judge, form(ap_req(CURRENT, version=3))), Unavailable)
    with pytest.raises(ConfigError, match="libkrb5 cannot read its configuration"):
        kerberos()
    conf.write_text("[libdefaults]\n")
    assert accepted(judge, form(ap_req(CURRENT, version=3)))
