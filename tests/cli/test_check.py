from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trustme

from dicomgate.testing.commandline import DICOMGATE


def test_a_right_configuration_is_described(gate: Path, run: Any) -> None:
    result = run("check", "--config", gate)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "listener plain: 127.0.0.1:0, no TLS, identity required, asks staff",
        "authenticator staff: passcode, has 2 s for its answer",
        "upstream pacs: 127.0.0.1:1, no TLS, called AE title PACS, identity stripped",
    ]
    assert result.stderr == ""


def test_the_page_is_described(gate: Path, run: Any) -> None:
    table = '[admin]\nbind = "127.0.0.1:0"\nviewers = ["group:it"]\noperators = ["user:staff/alice"]\n'
    gate.write_text(f"{table}{gate.read_text()}")
    assert run("check", "--config", gate).stdout.splitlines()[1:3] == [
        "admin: 127.0.0.1:0, no TLS, health checks and metrics",
        "admin: status page, asks staff; viewers: 1, operators: 1",
    ]


def test_rules_are_described(gate: Path, run: Any) -> None:
    rules = """
[[rule]]
name = "readers"
allow = ["find", "move"]
destinations = ["own", "TEACHING"]
groups = ["radiology", "surgery"]
attributes = { site = "north" }
users = ["alice", "bob"]
[[rule]]
name = "all"
allow = "echo"
"""
    gate.write_text(gate.read_text() + rules)
    result = run("check", "--config", gate)
    assert result.stdout.splitlines()[0].endswith("asks staff, rules enforced")
    assert result.stdout.splitlines()[-2:] == [
        "rule readers: find, move to own or TEACHING; for groups radiology or surgery, site north, 2 users by name",
        "rule all: echo; for everybody",
    ]
    assert result.stderr.startswith("warning: rule readers: destinations = ")
    gate.write_text(gate.read_text().replace("cleartext", 'rules = "report"\ncleartext'))
    result = run("check", "--config", gate)
    assert result.stdout.splitlines()[0].endswith("asks staff, rules only reported")
    assert result.stderr.startswith('warning: listener plain: rules = "report"')


def test_what_is_right_but_not_meant_is_a_warning(gate: Path, run: Any) -> None:
    gate.write_text(gate.read_text().replace("cleartext", 'identity = "optional"\ncleartext'))
    result = run("check", "--config", gate)
    assert result.exit_code == 0
    assert result.stderr.startswith("warning: listener plain: identity is optional, but no authenticator takes")


def test_all_that_is_wrong_is_said_at_once_with_file_line_and_key(gate: Path, run: Any, configuration: Any) -> None:
    listener = '[[listener]]\nname = "tls"\nbind = "127.0.0.1:0"\ntls = { certificate = "none.pem" }\n'
    gate.write_text(
        configuration(listeners=listener)
        + '[[authenticator]]\nuse = "passcod"\n'
        + '[[authenticator]]\nuse = "passcode"\nname = "b"\nfiel = "x"\n'
    )
    result = run("check", "--config", gate)
    assert result.exit_code == 2
    assert result.stdout == ""
    for line, said in (
        (7, "listener[0].tls.certificate: "),
        (16, "authenticator[1]: no authenticator is called 'passcod', did you mean 'passcode'?"),
        (21, "authenticator[2].fiel: unknown key, did you mean 'file'?"),
        (18, "authenticator[2].file: is missing"),
    ):
        assert f"{gate}:{line}: {said}" in result.stderr, (line, said, result.stderr)
    assert "Traceback" not in result.stderr


def test_a_certificate_that_cannot_be_read_is_named(gate: Path, run: Any, one_line: Any, configuration: Any) -> None:
    listener = '[[listener]]\nname = "tls"\nbind = "127.0.0.1:0"\ntls = { certificate = "gate.pem" }\n'
    gate.write_text(configuration(listeners=listener))
    (gate.parent / "gate.pem").write_text("no certificate")
    assert "listener[0].tls.certificate: " in one_line(run("check", "--config", gate), 2)
    own = trustme.CA().issue_cert("127.0.0.1")
    own.private_key_and_cert_chain_pem.write_to_path(str(gate.parent / "gate.pem"))
    (gate.parent / "gate.pem").chmod(0o600)
    assert run("check", "--config", gate).exit_code == 0


def test_paths_may_lead_to_the_credentials_that_systemd_hands_over(
    gate: Path, run: Any, configuration: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = gate.parent / "credentials"
    credentials.mkdir()
    (gate.parent / "users.htpasswd").rename(credentials / "users")
    trustme.CA().issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(credentials / "gate.pem"))
    for path, mode in (credentials / "users", 0o400), (credentials / "gate.pem", 0o440), (credentials, 0o500):
        path.chmod(mode)
    listener = (
        '[[listener]]\nname = "a"\nbind = "127.0.0.1:0"\ntls = { certificate = "$CREDENTIALS_DIRECTORY/gate.pem" }\n'
    )
    text = configuration(listeners=listener)
    gate.write_text(text.replace("users.htpasswd", "$CREDENTIALS_DIRECTORY/users"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    assert run("check", "--config", gate).exit_code == 0
    gate.write_text(text.replace("users.htpasswd", "$HOME/users"))
    assert f"{gate.parent}/$HOME/users: cannot be read" in run("check", "--config", gate).stderr
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    gate.write_text(text)
    why = "$CREDENTIALS_DIRECTORY is not set: LoadCredential= in the unit sets it"
    assert f"{gate}:7: listener[0].tls.certificate: {why}" in run("check", "--config", gate).stderr
    gate.write_text(configuration().replace("users.htpasswd", "$CREDENTIALS_DIRECTORY/users"))
    assert f"{gate}:15: authenticator[0].file: {why}" in run("check", "--config", gate).stderr


def test_a_missing_file_is_a_line(tmp_path: Path, run: Any, one_line: Any) -> None:
    assert "none.toml: cannot be read" in one_line(run("check", "--config", tmp_path / "none.toml"), 2)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import no_such_module_anywhere", "does not import: ModuleNotFoundError: No module named 'no_such"),
        ("raise RuntimeError('two\\nlines')", "does not import: RuntimeError: two lines"),
        ("def Login():\n    raise KeyError('canary-secret')", "has a defect: KeyError in acme_login.py:2"),
    ],
)
def test_a_plugin_that_is_broken_is_told_from_one_that_is_not_there(
    source: str, said: str, gate: Path, run: Any, one_line: Any, configuration: Any, distribution: Any
) -> None:
    gate.write_text(configuration(authenticators='[[authenticator]]\nuse = "acme"\n'))
    assert "no authenticator is called 'acme'" in one_line(run("check", "--config", gate), 2)
    distribution(source, "[dicomgate.authenticators]\nacme = acme_login:Login\n")
    line = one_line(run("check", "--config", gate), 2)
    assert said in line
    assert "canary-secret" not in line


def test_what_a_start_would_fail_at_fails_the_check(gate: Path, run: Any, one_line: Any, serving: Any) -> None:
    gate.write_text(gate.read_text().replace("audit.jsonl", "nowhere/audit.jsonl"))
    line = one_line(run("check", "--config", gate), 3)
    folder = gate.parent / "nowhere"
    why = f"there is no folder {folder}; make it, and give it to the gateway's user"
    assert line == f"the audit file {folder}/audit.jsonl cannot be written: {why}\n"
    with serving(gate) as gateway:
        assert gateway.finished() == 3
    assert gateway.lines[-1].endswith(line.rstrip())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_root_checks_what_the_user_of_the_service_may_read(gate: Path, run: Any, one_line: Any) -> None:
    assert run("check", "--config", gate, "--user", "root").exit_code == 0
    assert "there is no user 'nosuchuser'" in one_line(run("check", "--config", gate, "--user", "nosuchuser"), 2)
    # In a process of its own: it does not become root again.
    asked = [sys.executable, *DICOMGATE[1:], "check", "--config", str(gate), "--user", "nobody"]
    # What measures the tests has a file that nobody may write.
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    result = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False, env=unmeasured)
    assert result.returncode == 2
    assert result.stdout == "checked as user nobody\n"
    assert result.stderr == f"{gate}: cannot be read: Permission denied\n"


def test_check_connects_to_the_upstreams(gate: Path, run: Any, pacs: int) -> None:
    alone = run("check", "--config", gate, "--connect")
    assert alone.exit_code == 3
    assert alone.stderr == "upstream pacs: cannot be reached: 127.0.0.1:1: Connection refused\n"
    gate.write_text(gate.read_text().replace("127.0.0.1:1", f"127.0.0.1:{pacs}"))
    result = run("check", "--config", gate, "--connect")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == (
        "upstream pacs: reached, a C-ECHO from DICOMGATE to PACS is answered with status 0000H"
    )
    gate.write_text(gate.read_text().replace("[[authenticator]]", "tls = {}\n[[authenticator]]"))
    without_tls = run("check", "--config", gate, "--connect")
    assert without_tls.exit_code == 3
    assert "upstream pacs: cannot be reached: 127.0.0.1" in without_tls.stderr
    assert "TLS" in without_tls.stderr
