"""`dicomgate kerberos check` and `dicomgate echo --kerberos`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import Result

from dicomgate.testing.commandline import dicomgate
from dicomgate.testing.kdc import OTHER_SERVICE, REALM, SERVICE, Kdc
from dicomgate.testing.peers.pynetdicom_pacs import PynetdicomPacs
from dicomgate.testing.peers.spy import RELEASE_RP, Spy, accept_all, with_server_response
from dicomgate.testing.system_gateway import StartGateway, configuration
from dicomgate_kerberos.gss import Login
from plugins.kerberos.tests.conftest import Check, Make, accepted


@pytest.fixture
def check(check: Check) -> Check:
    return partial(check, "kerberos", "check")


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
    assert re.match(r"the KDC's is \+(199|200|201|3999|400\d)\b", detail), detail
    assert result.exit_code == (verdict == "wrong")


def test_a_login_that_fails(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = check(realms=["ELSEWHERE.EXAMPLE"])
    monkeypatch.setattr(Login, "verify", lambda self, answer: "another key")
    unproved = check()
    assert (refused.exit_code, unproved.exit_code) == (1, 1)
    assert rows(refused)["login"] == [("wrong", f"its realm '{REALM}' is not among the realms")]
    assert rows(unproved)["login"] == [("wrong", "the answer does not prove the service: another key")]


def test_what_the_gateway_would_not_start_with(check: Check, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = check(keytab=tmp_path / "gone")
    assert result.exit_code == 2
    assert "gone: cannot be read: No such file or directory" in result.stderr
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


def wrongly_answered(request: bytes) -> bytes:
    return with_server_response(accept_all(request), b"\x60\x02\x06\x00")


def test_echo_is_not_content_with_a_server_that_proves_nothing() -> None:
    """One that lets everybody in: without an answer, and with another one's."""
    for accepting, words in ((accept_all, "no AP-REP"), (wrongly_answered, "")):
        with Spy([accepting, RELEASE_RP]) as pacs:
            result = dicomgate("echo", "{}:{}".format(*pacs.address), "--kerberos", SERVICE)
        assert result.exit_code == 1
        assert f"accepted, but the server does not prove that it is {SERVICE}" in result.stderr
        assert words in result.stderr
        assert "C-ECHO" not in result.stdout


def test_echo_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE, "--user", "alice", "--no-passcode")
    assert (both.exit_code, both.stderr) == (2, "--kerberos is an identity by itself: give no other one with it\n")
    monkeypatch.setenv("KRB5CCNAME", f"FILE:{tmp_path}/none")
    ticketless = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE)
    assert ticketless.exit_code == 2
    assert "No Kerberos credentials available" in ticketless.stderr
    monkeypatch.setitem(sys.modules, "gssapi", None)
    missing = dicomgate("echo", "127.0.0.1:9", "--kerberos", SERVICE)
    assert missing.exit_code == 2
    assert "--kerberos needs python-gssapi" in missing.stderr
    assert "pip install gssapi" in missing.stderr


def test_a_login_is_proved_by_its_own_answer_alone(kerberos: Make) -> None:
    judge = kerberos()
    one, other = Login(SERVICE), Login(SERVICE)
    answers = [accepted(judge, login.token).server_response or b"" for login in (one, other)]
    assert f"it is not the AP-REP of {SERVICE}: " in other.verify(answers[0])
    assert one.verify(answers[0]) == ""
    assert "it is empty" in Login(SERVICE).verify(b"")
