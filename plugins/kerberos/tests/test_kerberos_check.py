"""`dicomgate kerberos check` and `dicomgate echo --kerberos`."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.gateway import as_toml
from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE, Kdc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_kerberos.gss import Login
from plugins.kerberos.tests.conftest import Make, accepted
from plugins.kerberos.tests.craft import RC4, new_key, write_keytab

Check = Callable[..., Result]
NOWHERE = ("127.0.0.1", 9)


@pytest.fixture
def check(tmp_path: Path, keytab: Path) -> Check:
    """Run `kerberos check` on a configuration with this table."""

    def check(**options: Any) -> Result:
        table = {"use": "kerberos", "name": "realm", "principal": SERVICE, "keytab": keytab, **options}
        config = tmp_path / "dicomgate.toml"
        config.write_text(as_toml({**configuration(NOWHERE), "authenticator": [table]}), "utf-8")
        return dicomgate("kerberos", "check", "--config", config)

    return check


def rows(result: Result) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in result.stdout.splitlines():
        who, what, verdict, detail = line.split("\t")
        assert who == "realm"
        found.setdefault(what, []).append((verdict, detail))
    return found


def test_all_is_well(check: Check, keytab: Path, tmp_path: Path) -> None:
    result = check(replay_cache=tmp_path / "replays")
    assert result.exit_code == 0, result.output
    found = rows(result)
    assert list(found) == ["keytab", "principal", "key", "replay cache", "clock", "login"]
    assert found["keytab"] == [("ok", str(keytab))]
    assert found["principal"] == [("ok", SERVICE)]
    assert sorted(found["key"]) == [
        ("ok", "version 1, aes128-cts-hmac-sha1-96"),
        ("ok", "version 1, aes256-cts-hmac-sha1-96"),
    ]
    assert found["replay cache"] == [("ok", str(tmp_path / "replays"))]
    assert found["clock"] == [("ok", "the KDC's is +0 s ahead of ours; 300 s are allowed")]
    ((verdict, detail),) = found["login"]
    assert verdict == "ok"
    assert detail.startswith(f"user alice@{REALM}, until ")
    assert detail.endswith("; the answer proves the service")
    del os.environ["KRB5RCACHENAME"]
    assert rows(check())["replay cache"] == [("ok", str(tmp_path / f"krb5_{os.geteuid()}.rcache2"))]


def test_without_tickets(check: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    result = check()
    assert result.exit_code == 0
    ((verdict, detail),) = rows(result)["login"]
    assert verdict == "-"
    assert detail.startswith("not tried, no ticket available (kinit): No Kerberos credentials available")
    ((verdict, detail),) = rows(check(forms=["raw"]))["login"]
    assert (verdict, detail) == ("-", 'not tried: "gss" is not among the configured forms')


def test_the_kdc_is_down(check: Check, own_kdc: Kdc) -> None:
    keytab = own_kdc.keytab(SERVICE)
    own_kdc.log_in("alice")
    Login(SERVICE)
    own_kdc.stop()
    result = check(keytab=keytab)
    assert result.exit_code == 0
    ((verdict, detail),) = rows(result)["clock"]
    assert verdict == "-"
    assert "Cannot contact any KDC" in detail
    assert rows(result)["login"][0][0] == "ok"


def test_a_key_that_the_kdc_has_no_longer(check: Check, own_kdc: Kdc, tmp_path: Path) -> None:
    keytab = own_kdc.keytab(SERVICE)
    own_kdc.keytab(SERVICE, name="next.keytab", norandkey=False)
    own_kdc.log_in("alice")
    result = check(keytab=keytab)
    assert result.exit_code == 1
    assert result.stderr == "something is wrong: see above\n"
    assert rows(result)["clock"][0][0] == "-"
    ((verdict, detail),) = rows(result)["login"]
    assert verdict == "wrong"
    assert detail.startswith(f"Cannot find key for {SERVICE} kvno 2 in keytab")
    assert check(keytab=own_kdc.folder / "next.keytab").exit_code == 0


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed: apt-get install faketime")
@pytest.mark.parametrize(("own_kdc", "verdict"), [("+200s", "ok"), ("+4000s", "wrong")], indirect=["own_kdc"])
def test_the_kdcs_clock(check: Check, own_kdc: Kdc, verdict: str) -> None:
    result = check(keytab=own_kdc.keytab(SERVICE))
    ((found, detail),) = rows(result)["clock"]
    assert found == verdict
    assert detail.startswith(("the KDC's is +200", "the KDC's is +199", "the KDC's is +4000", "the KDC's is +3999"))
    assert result.exit_code == (verdict == "wrong")


def test_a_realm_that_may_not_come(check: Check) -> None:
    result = check(realms=["ELSEWHERE.EXAMPLE"])
    assert result.exit_code == 1
    assert rows(result)["login"] == [("wrong", f"its realm '{REALM}' is not among the realms")]


def test_an_answer_that_proves_nothing(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Login, "is_proved_by", lambda self, answer: False)
    result = check()
    assert result.exit_code == 1
    assert rows(result)["login"] == [("wrong", "the answer does not prove the service")]


def test_what_the_gateway_would_not_start_with(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weak = write_keytab(tmp_path / "weak.keytab", (SERVICE, 1, new_key(RC4)))
    for options, words in (
        ({"keytab": tmp_path / "gone"}, "gone: cannot be read: No such file or directory"),
        ({"principal": f"ftp/gateway.hospital.example@{REALM}"}, f"has no key of ftp/gateway.hospital.example@{REALM}"),
        ({"keytab": weak}, f"has no AES key of {SERVICE}"),
    ):
        result = check(**options)
        assert result.exit_code == 2
        assert words in result.stderr
        assert result.stderr.count("\n") == 1
    monkeypatch.setenv("KRB5RCACHENAME", "none:")
    assert "without a replay cache" in check().stderr
    monkeypatch.setenv("KRB5RCACHENAME", "dfl:")
    assert check().exit_code == 0


def test_echo_logs_in_and_verifies_the_answer(gateway: StartGateway, keytab: Path) -> None:
    table = {"use": "kerberos", "name": "realm", "principal": SERVICE, "keytab": keytab, "timeout": "20s"}
    with PynetdicomPacs() as pacs:
        running = gateway({**configuration(pacs.address), "authenticator": [table]})
        server = "{}:{}".format(*running.address)
        for service in (SERVICE, SERVICE.partition("@")[0]):
            result = dicomgate("echo", server, "--kerberos", service)
            assert result.exit_code == 0, result.output
            assert "the response proves the service: the server has its key\nC-ECHO succeeded" in result.stdout
        refused = dicomgate("echo", server, "--kerberos", OTHER_SERVICE)
        assert refused.exit_code == 1
        assert refused.stderr.startswith("refused: A-ASSOCIATE-RJ 1,2,1")
        assert len(running.wait_for("Decided", 2, outcome="accept")) == 2


def test_echo_is_not_content_with_a_server_that_proves_nothing() -> None:
    """One that lets everybody in: without an answer, and with another one's."""
    for options, words in (({}, "no AP-REP"), ({"answer": b"\x60\x02\x06\x00"}, "")):
        with Spy([_accepting(**options), RELEASE_RP]) as pacs:
            result = dicomgate("echo", "{}:{}".format(*pacs.address), "--kerberos", SERVICE)
        assert result.exit_code == 1
        assert f"accepted, but the server does not prove that it is {SERVICE}" in result.stderr
        assert words in result.stderr
        assert "C-ECHO" not in result.stdout


def _accepting(answer: bytes = b"") -> Any:
    if not answer:
        return accept_all

    def accept(request: bytes) -> bytes:
        pdu = accept_all(request)
        added = b"\x59\0" + (len(answer) + 2).to_bytes(2) + len(answer).to_bytes(2) + answer
        at = pdu.rindex(b"\x50\0")
        length = int.from_bytes(pdu[at + 2 : at + 4]) + len(added)
        body = pdu[6 : at + 2] + length.to_bytes(2) + pdu[at + 4 :] + added
        return pdu[:2] + len(body).to_bytes(4) + body

    return accept


def test_echo_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE, "--user", "alice", "--no-passcode")
    assert (both.exit_code, both.stderr) == (2, "--kerberos is an identity by itself: give no other one with it\n")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    ticketless = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE)
    assert ticketless.exit_code == 2
    assert "No Kerberos credentials available" in ticketless.stderr
    real = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "gssapi":
            raise ImportError("No module named 'gssapi'")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    missing = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE)
    assert missing.exit_code == 2
    assert "--kerberos needs python-gssapi" in missing.stderr
    assert "pip install 'dicomgate[kerberos]'" in missing.stderr


def test_a_login_is_proved_by_its_own_answer_alone(kerberos: Make) -> None:
    judge = kerberos()
    one, other = Login(SERVICE), Login(SERVICE)
    answers = [accepted(judge, login.token).server_response for login in (one, other)]
    assert not other.is_proved_by(answers[0])
    assert one.is_proved_by(answers[0])
    assert not Login(SERVICE).is_proved_by(None)
