from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate_passcode import current as module
from dicomgate_passcode.current import CurrentUsers
from dicomgate_passcode.decoy import Decoys
from dicomgate_passcode.hashing import Cost, HashingFailedError
from dicomgate_passcode.users_file import UsersFile, read_users_file

LOGGER = "dicomgate_passcode.current"


@pytest.fixture
def current(users_file: Path, caplog: pytest.LogCaptureFixture) -> CurrentUsers:
    found = CurrentUsers(users_file)
    caplog.clear()
    caplog.set_level(logging.INFO, LOGGER)
    return found


def _errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


def test_a_wrong_file_at_the_start_is_an_error(users_file: Path) -> None:
    users_file.write_text("nonsense\n")
    with pytest.raises(ConfigError, match="line 1: no colon"):
        CurrentUsers(users_file)


def test_the_start_tells_what_is_odd(users_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, LOGGER)
    CurrentUsers(users_file)
    disabled, summary = (record.getMessage() for record in caplog.records)
    assert "line 3: user 'bert' cannot log in: disabled" in disabled
    assert "2 users; a login takes" in summary
    assert "$argon2" not in caplog.text


@pytest.mark.parametrize("in_place", [True, False])
def test_a_change_counts_at_once(current: CurrentUsers, users_file: Path, in_place: bool) -> None:
    before = current.snapshot()
    text = users_file.read_text() + users_file.read_text().splitlines()[1].replace("alice", "carol") + "\n"
    if in_place:
        users_file.write_text(text)
    else:
        fresh = users_file.with_name("fresh")
        fresh.write_text(text)
        fresh.replace(users_file)
    assert set(current.snapshot().users) == {"alice", "bert", "carol"}
    assert set(before.users) == {"alice", "bert"}


def test_a_change_of_the_same_size_and_time_counts(current: CurrentUsers, users_file: Path) -> None:
    status = users_file.stat()
    users_file.write_text(users_file.read_text().replace("alice", "clara"))
    os.utime(users_file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert "clara" in current.snapshot().users


def test_an_unchanged_file_is_not_read_again(current: CurrentUsers, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(path: Path) -> UsersFile:
        raise AssertionError("read again")

    monkeypatch.setattr(module, "read_users_file", read)
    before = current.snapshot()
    assert current.snapshot() is before


def _break(users_file: Path) -> None:
    users_file.write_text("nonsense\n")


def _open_to_everybody(users_file: Path) -> None:
    users_file.chmod(0o666)


def _open_the_folder(users_file: Path) -> None:
    users_file.parent.chmod(0o777)


def _take_away(users_file: Path) -> None:
    users_file.unlink()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_break, "line 1: no colon"),
        (_open_to_everybody, "everybody may write this file"),
        (_open_the_folder, "everybody may write the folder"),
        (_take_away, "No such file"),
    ],
)
def test_the_last_good_file_stays_and_is_said_once_a_change(
    change: Callable[[Path], None],
    said: str,
    current: CurrentUsers,
    users_file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = users_file.read_text()
    change(users_file)
    for _ in range(3):
        assert set(current.snapshot().users) == {"alice", "bert"}
    (error,) = _errors(caplog)
    assert said in error
    assert "\n" not in error

    users_file.parent.chmod(0o755)
    users_file.write_text(good.replace("alice", "clara"))
    users_file.chmod(0o600)
    assert set(current.snapshot().users) == {"clara", "bert"}
    assert len(_errors(caplog)) == 1

    change(users_file)
    assert set(current.snapshot().users) == {"clara", "bert"}
    assert len(_errors(caplog)) == 2


def test_a_torn_file_is_not_taken_over(current: CurrentUsers, users_file: Path) -> None:
    good = users_file.read_text()
    users_file.write_text(good[: good.index("\nbert") - 30])  # in the middle of the hash of alice
    assert set(current.snapshot().users) == {"alice", "bert"}
    users_file.write_text(good)
    assert set(current.snapshot().users) == {"alice", "bert"}


def test_a_file_that_could_not_be_opened_is_tried_again_without_a_change(
    current: CurrentUsers, users_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    users_file.write_text(users_file.read_text().replace("alice", "clara"))

    def exhausted(path: Path) -> UsersFile:
        raise ConfigError(f"{path}: cannot be read: Too many open files") from OSError(24, "Too many open files")

    monkeypatch.setattr(module, "read_users_file", exhausted)
    for _ in range(3):
        assert "alice" in current.snapshot().users
    assert len(_errors(caplog)) == 1
    monkeypatch.setattr(module, "read_users_file", read_users_file)
    assert "clara" in current.snapshot().users


def test_a_warning_is_not_repeated_at_each_change(
    current: CurrentUsers, users_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users_file.write_text(users_file.read_text() + "carol:!\n")
    current.snapshot()
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "'carol'" in warnings[0]


def test_the_decoy_follows_the_costliest_hash(
    current: CurrentUsers, users_file: Path, cheap_hash: Callable[..., str]
) -> None:
    assert current.snapshot().decoy.scheme == "argon2id"
    users_file.write_text(f"alice:{cheap_hash(scheme='sha512-crypt')}\n")
    assert current.snapshot().decoy.scheme == "sha512-crypt"
    # A disabled user's hash costs nothing: it is never verified.
    users_file.write_text(f"alice:{cheap_hash()}\nbert:!{cheap_hash(scheme='sha512-crypt')}\n")
    assert current.snapshot().decoy.scheme == "argon2id"


def test_nobody_waits_for_the_reload_of_another(
    current: CurrentUsers, users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(path: Path) -> UsersFile:
        reading.set()
        assert go_on.wait(10)
        return read_users_file(path)

    monkeypatch.setattr(module, "read_users_file", slow)
    users_file.write_text(users_file.read_text().replace("alice", "clara"))
    thread = threading.Thread(target=current.snapshot)
    thread.start()
    try:
        assert reading.wait(10)
        assert "alice" in current.snapshot().users
    finally:
        go_on.set()
        thread.join(10)
    assert "clara" in current.snapshot().users


def test_a_slow_file_is_a_warning(
    users_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "_SLOW", 0.0)
    CurrentUsers(users_file)
    assert any("a login takes" in r.getMessage() and r.levelno == logging.WARNING for r in caplog.records)


def test_no_memory_for_the_decoy_is_an_error_at_the_start(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def costliest(self: object, costs: list[Cost]) -> None:
        raise HashingFailedError

    monkeypatch.setattr(Decoys, "costliest", costliest)
    with pytest.raises(ConfigError, match="no memory"):
        CurrentUsers(users_file)
