"""No command ends in a traceback, whatever the system refuses: a line, and a status as docs/commands.md has it."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dicomgate.auth.loading import how_to_install
from dicomgate.testing.commandline import DICOMGATE, dicomgate
from dicomgate.testing.pages import ROOT

CONFIGURED: list[tuple[str, ...]] = [
    ("serve",), ("check",), ("ask",), ("ask", "--user", "alice"), ("throttle", "list"), ("throttle", "clear", "--all"),
    ("jwt", "inspect", "-"), ("saml", "inspect", "-"), ("saml", "metadata"), ("kerberos", "check"),
    ("passcode", "add", "bo", "--generate"), ("passcode", "import", "-"), ("passcode", "remove", "bo"),
    ("passcode", "list"), ("passcode", "verify", "bo"),
]  # fmt: skip
FILES: list[tuple[str, ...]] = [
    ("init", "PATH/content/below"), ("demo", "--folder", "PATH"),
    ("ask", "--jwt", "PATH"), ("ask", "--user", "a", "--passcode-file", "PATH"), ("ask", "--certificate", "PATH"),
    ("echo", "127.0.0.1:1", "--saml", "PATH"), ("echo", "127.0.0.1:1", "--tls", "--ca", "PATH"),
    ("echo", "127.0.0.1:1", "--tls", "--certificate", "PATH"), ("jwt", "inspect", "PATH"), ("saml", "inspect", "PATH"),
    ("rules", "suggest", "--from", "PATH"),
    ("passcode", "import", "PATH"), ("passcode", "add", "bo", "--generate", "--file", "PATH/content/below"),
]  # fmt: skip
PRINTING: list[tuple[str, ...]] = [("--version",), ("plugins",), ("help", "ask"), ("rules", "services")]


@pytest.fixture(params=["a folder", "below a file", "a name too long", "a loop", "nothing"])
def strange(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "content").touch()
    names = {"a folder": "folder", "below a file": "file/below", "a name too long": "x" * 300, "a loop": "loop"}
    return tmp_path / names.get(request.param, "nothing")


def _told(arguments: tuple[str, ...]) -> None:
    result = dicomgate(*arguments, stdin=b"passcode\n")  # raises what the command raises
    assert result.exit_code in (2, 3), (arguments, result.output)
    assert "defect" not in result.output, arguments
    assert result.stderr.strip() or arguments[0] == "serve", arguments  # its log is written by a thread


def test_a_configuration_that_is_something_else(strange: Path) -> None:
    for arguments in CONFIGURED:
        _told((*arguments, "--config", str(strange)))


def test_a_file_that_is_something_else(strange: Path, gate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(gate.parent)
    for arguments in FILES:
        if strange.name == "nothing" and arguments[0] in ("init", "demo", "passcode"):
            continue  # they would write there
        _told(tuple(argument.replace("PATH", str(strange)) for argument in arguments))


def test_init_where_it_may_not_look(run: Any, one_line: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(Path, "exists", forbid)
    assert "/elsewhere/x/dicomgate.toml: Permission denied" in one_line(run("init", "/elsewhere/x"), 3)


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        ("PermissionError(13, 'Permission denied', '/vault/x')", 3, "/vault/x: Permission denied"),
        ("OSError(28, 'No space left on device')", 3, "No space left on device"),
        ("OSError('canary')", 3, "OSError"),
        ("IsADirectoryError(21, 'Is a directory', b'/\\xff\\n')", 3, r"/\udcff\n: Is a directory"),
        ("StateUnavailable('out of reach')", 3, "out of reach"),
        ("FetchError('not fetched')", 3, "not fetched"),
        ("KeyError('canary')", 3, "a defect of dicomgate: KeyError in acme_login.py:"),
        ("UnicodeEncodeError('ascii', 'canary', 0, 1, 'canary')", 3, "a defect of dicomgate: UnicodeEncodeError"),
        ("RecursionError('canary')", 3, "a defect of dicomgate: RecursionError"),
        ("MemoryError('canary')", 3, "a defect of dicomgate: MemoryError"),
        ("KeyboardInterrupt()", 130, "interrupted"),
        ("typer.Abort()", 130, "interrupted"),
    ],
)
def test_whatever_is_raised_is_one_line(
    error: str, status: int, said: str, run: Any, distribution: Any, one_line: Any
) -> None:
    source = f"import typer\nfrom dicomgate.errors import *\ndef acme(): raise {error}\n"
    distribution(source, "[dicomgate.commands]\nacme = acme_login:acme\n")
    line = one_line(run("acme"), status)
    assert said in line
    assert "canary" not in line


def test_a_reader_that_has_gone_is_told_nothing(run: Any, distribution: Any) -> None:
    distribution(
        "def acme(): raise BrokenPipeError(32, 'Broken pipe')\n", "[dicomgate.commands]\nacme = acme_login:acme\n"
    )
    result = run("acme")
    assert (result.exit_code, result.stderr) == (3, "")


def test_init_takes_back_what_it_wrote_when_it_is_interrupted(
    tmp_path: Path, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dicomgate_passcode.commands.set_hashes", interrupt)
    result = run("init", tmp_path)
    assert result.exit_code == 130
    assert "Next" not in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", PRINTING)
def test_output_that_nobody_takes(arguments: tuple[str, ...]) -> None:
    readable, writable = os.pipe()
    os.close(readable)
    with os.fdopen(writable, "wb") as broken, open("/dev/full", "wb") as full:  # noqa: PTH123
        for output, said in ((broken, ""), (full, os.strerror(errno.ENOSPC))):
            done = subprocess.run(
                [*DICOMGATE, *arguments], stdout=output, stderr=subprocess.PIPE, text=True, timeout=60
            )
            assert (done.returncode, done.stderr.strip()) == (3, said)
    closed = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *DICOMGATE, *arguments], stderr=subprocess.PIPE, timeout=60)
    assert (closed.returncode, closed.stderr) == (0, b"")


def test_letters_that_a_terminal_cannot_show_are_escaped(gate: Path) -> None:
    # typer writes UTF-8 where Python would write ASCII: of a locale that says so, it assumes that it is none.
    shown = {"iso8859-5": rb'user "J\xfcrgen\u202e"', "ascii": 'user "Jürgen\\u202e"'.encode()}
    secret = "canary-7f3a-passcode"
    subprocess.run(
        [*DICOMGATE, "passcode", "add", "Jürgen\u202e", "--file", gate.parent / "users.htpasswd"],
        input=secret, text=True, check=True, timeout=60, capture_output=True, env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    for encoding, line in shown.items():
        done = subprocess.run(
            [*DICOMGATE, "ask", "--config", gate, "--user", "Jürgen\u202e".encode()],
            input=secret.encode(), capture_output=True, timeout=60,
            env=os.environ | {"PYTHONIOENCODING": encoding, "LC_ALL": "C"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert line in done.stdout


def test_help_is_found_however_it_is_asked_for(run: Any, one_line: Any) -> None:
    for asked in (("help", "throttle", "clear"), ("throttle", "clear", "-h"), ("throttle", "clear", "--help")):
        assert "Clear counters" in run(*asked).stdout
    assert "Write dicomgate.toml" in re.sub(r"\s+", " ", run("help").stdout)
    assert "has no command 'sing'; there are: init, " in one_line(run("help", "sing"), 2)
    assert "has no command 'x'" in one_line(run("help", "throttle", "clear", "x"), 2)


def test_a_plugin_of_ours_that_is_not_installed_is_told(
    run: Any, one_line: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("cli.group", "auth.loading"):
        monkeypatch.setattr(f"dicomgate.{module}.entry_points", lambda **_: ())
    for arguments in (("saml", "inspect", "x"), ("plugins", "saml")):
        assert "is not installed. The bundle has it; from the checkout: pip install ./plugins/saml" in one_line(
            run(*arguments), 2
        )


def test_a_plugin_of_ours_that_has_no_command_is_no_command(run: Any) -> None:
    assert "No such command 'network'" in run("network").stderr
    assert all(how_to_install(folder.name) for folder in (ROOT / "plugins").iterdir() if folder.is_dir())
    assert how_to_install("acme") == ""


def test_a_plugin_may_end_the_process_itself(run: Any, distribution: Any) -> None:
    distribution("def acme(): raise SystemExit(7)\n", "[dicomgate.commands]\nacme = acme_login:acme\n")
    assert run("acme").exit_code == 7


def test_bash_completes_commands_and_options(tmp_path: Path) -> None:
    script = """eval "$(dicomgate --show-completion)"
    complete() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dicomgate_completion dicomgate; echo "${COMPREPLY[@]}"; }
    complete dicomgate thr; complete dicomgate throttle cl; complete dicomgate check --conn"""
    (tmp_path / "script").write_text(script)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", tmp_path / "script"], env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["throttle", "clear", "--connect"], done.stderr


def test_echo_takes_the_port_as_a_word_of_its_own(run: Any, one_line: Any) -> None:
    assert "127.0.0.1:1: Connection refused" in one_line(run("echo", "127.0.0.1", "1"), 3)
    assert "[::1]:1: " in one_line(run("echo", "::1", "1"), 3)
    assert 'an address is "host:port"' in one_line(run("echo", "127.0.0.1:1", "1"), 2)
