from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from dicomgate_passcode import commands
from dicomgate_passcode.file_writer import set_hashes
from dicomgate_passcode.hashing import HashingFailedError, make_hash, verify
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash, unchanged

Run = Callable[..., Result]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """What is to be imported: carol with a passcode, dora with another."""
    path = tmp_path / "users.csv"
    path.write_text("carol,passcode of hers\ndora,another of these\n")
    return path


def test_all_users_of_the_file_can_log_in(run: Run, users_file: Path, source: Path) -> None:
    text = cheap_hash(b"known elsewhere", scheme="bcrypt")
    with source.open("a") as file:
        file.write(f"eve:{text}\n")
    before = users_file.read_text()
    result = run("import", str(source))
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"3 users added, 0 replaced: {users_file}\n"
    assert users_file.read_text().startswith(before)
    users = read_users_file(users_file).users
    assert list(users) == ["alice", "bert", "carol", "dora", "eve"]
    assert verify(b"passcode of hers", users["carol"].hash)
    assert verify(b"another of these", users["dora"].hash)
    assert users["eve"].hash == text
    assert not users["carol"].cost.outdated  # type: ignore[union-attr]
    assert run("verify", "alice", stdin="secret").exit_code == 0


def test_a_missing_file_is_made_for_its_owner_alone(run: Run, source: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.htpasswd"
    assert run("import", str(source), file=path).exit_code == 0
    assert list(read_users_file(path).users) == ["carol", "dora"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_one_wrong_line_adds_no_user(run: Run, users_file: Path, source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with source.open("a") as file:
        file.write("eve,sunshine\nfred\n\nalice,the new one of hers\n")
    monkeypatch.setattr(commands, "make_hash", lambda _: pytest.fail("hashed before all lines were looked at"))
    with unchanged(users_file):
        result = run("import", str(source))
    assert (result.exit_code, result.stdout) == (2, "")
    told = result.stderr.splitlines()
    assert [line.split(":")[0] for line in told] == ["line 3", "line 4", "line 6", "no user was added"]
    assert "a common one" in told[0]
    assert "neither name,passcode nor name:hash" in told[1]
    assert "--replace" in told[2]
    assert not [word for word in ("eve", "sunshine", "fred", "alice", "hers") if word in result.stderr]


def test_many_wrong_lines_are_counted(run: Run, users_file: Path) -> None:
    for lines, last in ((20, "\nno user was added\n"), (25, "\n5 more lines are wrong; no user was added\n")):
        with unchanged(users_file):
            result = run("import", "-", stdin="wrong\n" * lines)
        assert len(result.stderr.splitlines()) == 21
        assert result.stderr.endswith(last)


def test_existing_users_are_replaced_only_if_asked_for(run: Run, users_file: Path, source: Path) -> None:
    with source.open("a") as file:
        file.write("bert,passcode of his\nalice,the new one of hers\n")
    with unchanged(users_file):
        assert run("import", str(source)).exit_code == 2
    result = run("import", str(source), "--replace")
    assert result.exit_code == 0
    assert result.stderr == f"2 users added, 2 replaced: {users_file}\n"
    assert list(read_users_file(users_file).users) == ["alice", "bert", "carol", "dora"]
    assert users_file.read_text().startswith("# staff\n")
    for user, passcode in (("alice", "the new one of hers"), ("bert", "passcode of his"), ("dora", "another of these")):
        assert run("verify", user, stdin=passcode).exit_code == 0
    assert run("verify", "alice", stdin="secret").exit_code == 1


def test_a_user_added_meanwhile_is_not_replaced(
    run: Run, users_file: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def while_somebody_adds(passcode: bytes) -> str:
        if "dora" not in read_users_file(users_file).users:
            set_hashes(users_file, {"dora": cheap_hash(b"first come")}, replace=False, seen={})
        return make_hash(passcode)

    monkeypatch.setattr(commands, "make_hash", while_somebody_adds)
    result = run("import", str(source))
    assert result.exit_code == 2
    assert "has a user dora already" in result.stderr
    assert list(read_users_file(users_file).users) == ["alice", "bert", "dora"]
    assert run("verify", "dora", stdin="first come").exit_code == 0


def test_a_hash_that_fails_adds_no_user(
    run: Run, users_file: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(passcode: bytes) -> str:
        if passcode == b"another of these":
            raise HashingFailedError("the hash could not be computed")
        return make_hash(passcode)

    monkeypatch.setattr(commands, "make_hash", exhausted)
    with unchanged(users_file):
        result = run("import", str(source))
    assert (result.exit_code, result.stderr) == (2, "the hash could not be computed\n")


def test_the_minimum_length_is_an_option_of_what_sets_passcodes(run: Run, users_file: Path, source: Path) -> None:
    result = run("import", str(source), "--minimum-length", "17")
    assert result.exit_code == 2
    assert result.stderr.count("shorter than 17 characters") == 2
    assert run("import", str(source), "--minimum-length", "16").exit_code == 0
    assert run("add", "fay", "--minimum-length", "12", stdin="eleven char\n").exit_code == 2
    assert run("add", "fay", "--minimum-length", "11", stdin="eleven char\n").exit_code == 0
    assert len(run("add", "fred", "--generate", "--minimum-length", "64").stdout.strip()) == 64
    for wrong in ("7", "0", "-1", "65", "x"):
        assert run("add", "gina", "--minimum-length", wrong, stdin="passcode of hers" * 5).exit_code == 2
    assert "gina" not in read_users_file(users_file).users


def test_what_cannot_be_read_or_written_is_told_at_once(
    run: Run, users_file: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "make_hash", lambda _: pytest.fail("hashed before the files were checked"))
    result = run("import", str(tmp_path / "none.csv"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "none.csv: cannot be read: No such file" in result.stderr
    assert "No such file" in run("import", str(source), file=tmp_path / "none" / "users").stderr
    monkeypatch.setattr(os, "access", lambda path, _: Path(path) != users_file.parent)
    result = run("import", str(source))
    assert result.exit_code == 2
    assert "Permission denied" in result.stderr
    monkeypatch.undo()
    assert run("import", str(source)).exit_code == 0


def test_a_pipe_is_a_file_too(run: Run, users_file: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = threading.Thread(target=pipe.write_text, args=("carol,passcode of hers\n",), daemon=True)
    writing.start()
    assert run("import", str(pipe)).exit_code == 0
    writing.join(20)
    assert "carol" in read_users_file(users_file).users


def test_at_a_terminal_it_says_how_far_it_is(users_file: Path, source: Path, at_terminal: Any, run: Run) -> None:
    terminal = at_terminal("import", str(source), "--file", str(users_file))
    terminal.expect("hashing")
    terminal.expect("100%")
    terminal.expect("2 users added")
    assert terminal.finish() == 0
    assert "of hers" not in terminal.shown
    assert "hashing" not in run("import", str(source), "--replace").output
