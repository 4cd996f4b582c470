from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dicomgate_passcode.hashing import verify
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash, unchanged

Run = Callable[..., Result]
GOOD = "pass phrase"


def _refused(result: Result, status: int) -> str:
    """The one line on standard error."""
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_add_takes_the_first_line_of_standard_input(run: Run, users_file: Path) -> None:
    result = run("add", "carol", stdin="pass phrase \r\nsecond line\n")
    assert result.exit_code == 0
    assert "pass phrase" not in result.output
    assert verify(b"pass phrase ", read_users_file(users_file).users["carol"].hash)
    assert run("verify", "carol", stdin="pass phrase ").exit_code == 0


def test_add_generates_a_passcode_and_prints_it_alone(run: Run, users_file: Path) -> None:
    results = [run("add", name, "--generate") for name in ("carol", "dora")]
    assert [result.exit_code for result in results] == [0, 0]
    first, second = (result.stdout.removesuffix("\n") for result in results)
    assert first != second
    assert len(first) == 26
    assert verify(first.encode(), read_users_file(users_file).users["carol"].hash)
    assert first not in results[0].stderr


def test_add_replaces_only_if_told_to(run: Run, users_file: Path) -> None:
    with unchanged(users_file):
        assert "--replace" in _refused(run("add", "alice", stdin=f"{GOOD}\n"), 2)
    assert run("add", "alice", "--replace", stdin=f"{GOOD}\n").exit_code == 0
    assert run("verify", "alice", stdin=f"{GOOD}\n").exit_code == 0
    assert run("verify", "alice", stdin="secret\n").exit_code == 1


def test_add_refuses_an_existing_user_before_it_asks_for_a_passcode(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ask(user: str, *, twice: bool) -> bytes:
        asked.append(user)
        return GOOD.encode()

    monkeypatch.setattr("dicomgate.cli.plugin_commands.ask_for_passcode", ask)
    assert run("add", "alice").exit_code == 2
    assert asked == []
    assert run("add", "carol").exit_code == 0
    assert asked == ["carol"]


@pytest.mark.parametrize(
    ("passcode", "said"),
    [
        (b"", "empty"),
        (b"\n", "empty"),
        (b"\xff\xfe\n", "not UTF-8"),
        (b"x" * 1025 + b"\n", "longer than 1024 bytes"),
        (b"x" * 100_000, "longer than 1024 bytes"),
        (b"7 chars\n", "shorter than 8 characters"),
        (b"my name is Carol\n", "the name of the user"),
    ],
)
def test_add_refuses_passcodes_that_may_not_be_set(passcode: bytes, said: str, run: Run, users_file: Path) -> None:
    with unchanged(users_file):
        assert said in _refused(run("add", "carol", stdin=passcode), 2)


@pytest.mark.parametrize("passcode", ["8 chars!", "x" * 1024, "a b" * 16, "pässwörd", "é" * 512])
def test_add_takes_all_else(passcode: str, run: Run) -> None:
    assert run("add", "carol", stdin=passcode + "\n").exit_code == 0
    assert run("verify", "carol", stdin=passcode + "\r\n").exit_code == 0
    assert run("verify", "carol", stdin=passcode[:-1]).exit_code == 1


@pytest.mark.parametrize("user", ["", " alice", "a:b", "#a", "a\nb", "a" * 256])
def test_add_refuses_names_that_the_file_cannot_have(user: str, run: Run, users_file: Path) -> None:
    with unchanged(users_file):
        assert "the user" in _refused(run("add", user, stdin="secret\n"), 2)


def test_a_passcode_on_the_command_line_is_wrong_usage(run: Run, users_file: Path) -> None:
    with unchanged(users_file):
        assert run("add", "carol", "secret").exit_code == 2
        assert run("add", "carol", "--passcode", "secret").exit_code == 2


def test_remove(run: Run, users_file: Path) -> None:
    assert run("remove", "alice").exit_code == 0
    assert list(read_users_file(users_file).users) == ["bert"]
    assert "no user 'alice'" in _refused(run("remove", "alice"), 1)


def test_list_is_plain_where_there_is_no_terminal(run: Run, users_file: Path) -> None:
    assert run("add", "carol", "--generate").exit_code == 0
    with users_file.open("a") as file:
        file.write(f"dora:{cheap_hash(scheme='bcrypt')}\n[red]eve:$apr1$x$y\n")
    result = run("list")
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "alice\targon2id\toutdated",
        "bert\t-\tdisabled",
        "carol\targon2id\tcurrent",
        "dora\tbcrypt\toutdated",
        "[red]eve\tapr1 (MD5)\tcannot log in: its scheme is not read",
    ]
    assert "$" not in result.output


def test_verify_answers_by_its_exit_status(run: Run) -> None:
    assert run("verify", "alice", stdin="secret\n").exit_code == 0
    for user, passcode in (("alice", "Secret"), ("alice", ""), ("alice", "x" * 5000), ("bert", "secret")):
        assert _refused(run("verify", user, stdin=passcode), 1)
    assert "no user 'zoe'" in _refused(run("verify", "zoe", stdin="secret"), 1)


def test_verify_says_no_where_the_library_would_raise(run: Run, users_file: Path) -> None:
    users_file.write_text(f"dora:{cheap_hash(b'x' * 72, scheme='bcrypt')}\n")
    assert run("verify", "dora", stdin="x" * 72).exit_code == 0
    assert run("verify", "dora", stdin="x" * 73).exit_code == 1


COMMANDS = [["add", "x", "--generate"], ["import", "-"], ["remove", "x"], ["list"], ["verify", "x"]]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_file_and_a_missing_folder_are_one_line_and_status_2(
    command: list[str], run: Run, users_file: Path, tmp_path: Path
) -> None:
    users_file.write_text("nonsense\n")
    with unchanged(users_file):
        assert "line 1: no colon" in _refused(run(*command, stdin="secret\n"), 2)
        assert "No such file" in _refused(run(*command, stdin="secret\n", file=tmp_path / "none" / "users"), 2)


def _configure(tmp_path: Path, text: str) -> Path:
    config = tmp_path / "etc" / "dicomgate.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(text)
    return config


STAFF = '[[authenticator]]\nuse = "passcode"\nname = "staff"\nfile = "../users.htpasswd"\n'
MACHINES = '[[authenticator]]\nuse = "passcode"\nfile = "machines"\n'
TOKENS = '[[authenticator]]\nuse = "jwt"\nfile = "other"\n'


def test_the_file_of_the_configuration_here_is_relative_to_it(
    run: Run, users_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _configure(tmp_path, TOKENS + STAFF)
    assert run("list", "--config", str(config), file=None).stdout.startswith("alice\t")
    monkeypatch.chdir(config.parent)
    assert run("list", file=None).stdout.startswith("alice\t")
    monkeypatch.chdir(tmp_path)
    assert "dicomgate.toml: cannot be read: there is no such file; --config names another one" in _refused(
        run("list", file=None), 2
    )


def test_a_name_picks_one_of_several(run: Run, users_file: Path, tmp_path: Path) -> None:
    config = str(_configure(tmp_path, STAFF + MACHINES))
    assert run("list", "-c", config, "--name", "staff", file=None).stdout.startswith("alice\t")
    added = run("add", "ct1", "--generate", "--config", config, "--name", "passcode", file=None)
    assert added.exit_code == 0
    assert (tmp_path / "etc" / "machines").exists()


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (STAFF + MACHINES, [], "choose one of the passcode authenticators with --name: staff, passcode"),
        (STAFF + STAFF, ["--name", "staff"], "authenticator[1].name: a second authenticator is called 'staff'"),
        (STAFF, ["--name", "other"], "choose one of the passcode authenticators with --name: staff"),
        ("", [], "authenticator: is missing"),
        ("authenticator = 3\n", [], "dicomgate.toml:1: authenticator: "),
        ('[[authenticator]]\nuse = "passcode"\n', [], "authenticator[0].file: is missing"),
        ("[[nonsense\n", [], "dicomgate.toml"),
    ],
)
def test_a_configuration_that_names_no_one_file(
    text: str, options: list[str], said: str, run: Run, tmp_path: Path
) -> None:
    config = _configure(tmp_path, text)
    assert said in _refused(run("list", "--config", str(config), *options, file=None), 2)


def test_at_a_terminal_the_passcode_is_asked_for_twice_and_not_shown(users_file: Path, at_terminal: Any) -> None:
    terminal = at_terminal("add", "carol", "--file", str(users_file))
    terminal.expect("Passcode for carol: ")
    terminal.type("pass phrase\n")
    terminal.expect("Repeat for confirmation: ")
    terminal.type("pass phrase\n")
    terminal.expect("carol can log in")
    assert terminal.finish() == 0
    assert "pass phrase" not in terminal.shown
    assert verify(b"pass phrase", read_users_file(users_file).users["carol"].hash)


def test_at_a_terminal_the_list_is_a_table(users_file: Path, at_terminal: Any) -> None:
    with users_file.open("a") as file:
        file.write("[red]eve:!\n")
    terminal = at_terminal("list", "--file", str(users_file))
    terminal.expect("[red]eve")
    assert terminal.finish() == 0
    assert "scheme" in terminal.shown
    assert "argon2id" in terminal.shown
    assert "$argon2id" not in terminal.shown


def test_hash_prints_what_a_database_needs_and_nothing_else(run: Run) -> None:
    result = run("hash", "carol", stdin=f"{GOOD}\n", file=None)
    assert (result.exit_code, result.stderr) == (0, "")
    assert verify(GOOD.encode(), result.stdout.removesuffix("\n"))
    assert "contains the name" in _refused(run("hash", "carol", stdin="carol's passcode\n", file=None), 2)
