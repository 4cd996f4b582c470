"""What the passcode authenticator adds to `dicomgate.kit.watched`: warnings, the dummy hash, no memory for it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate.testing.watching import no_descriptor_left
from dicomgate_passcode import watched_users
from dicomgate_passcode.dummy_hash import DummyHash, DummyHashes
from dicomgate_passcode.hashing import HashingFailedError
from dicomgate_passcode.watched_users import WatchedUsers
from plugins.passcode.tests.users import cheap_hash


@pytest.fixture
def watched(users_file: Path, caplog: pytest.LogCaptureFixture) -> WatchedUsers:
    found = WatchedUsers(users_file)
    caplog.clear()
    caplog.set_level(logging.INFO)
    return found


def _logged(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


def test_the_start_logs_warnings_and_a_summary(users_file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    WatchedUsers(users_file)
    disabled, summary = (record.getMessage() for record in caplog.records)
    assert "line 3: user 'bert' cannot log in: disabled" in disabled
    assert summary.startswith(f"{users_file}: 2 users; a login takes ")
    assert "$argon2" not in caplog.text


def test_a_change_counts_at_once_and_is_logged_without_the_warnings_of_before(
    watched: WatchedUsers, users_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    users_file.write_text(users_file.read_text() + "carol:!\n")
    assert set(watched.current().users) == {"alice", "bert", "carol"}
    (summary,) = _logged(caplog, logging.INFO)
    assert summary.startswith(f"{users_file}: 3 users; a login takes ")
    (warning,) = _logged(caplog, logging.WARNING)
    assert "'carol'" in warning


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: path.write_text("nonsense\n"), "line 1: no colon"),
        (lambda path: path.write_text(path.read_text()[:50]), "damaged or cut off"),
        (lambda path: path.chmod(0o666), "everybody may write this file"),
        (lambda path: path.parent.chmod(0o777), "everybody may write the folder"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_the_last_good_file_stays_and_the_change_is_logged_once(
    change: Callable[[Path], object],
    said: str,
    watched: WatchedUsers,
    users_file: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    good = users_file.read_text()
    change(users_file)
    for _ in range(3):
        assert set(watched.current().users) == {"alice", "bert"}
    (logged,) = _logged(caplog, logging.ERROR)
    assert said in logged
    assert "\n" not in logged
    users_file.parent.chmod(0o755)
    users_file.write_text(good.replace("alice", "clara"))
    users_file.chmod(0o600)
    assert set(watched.current().users) == {"clara", "bert"}


def test_a_removed_user_is_not_trusted_because_one_read_failed(watched: WatchedUsers, users_file: Path) -> None:
    new = users_file.with_name("new")
    new.write_text(users_file.read_text().replace("alice", "clara"))
    new.replace(users_file)
    with no_descriptor_left():
        assert "alice" in watched.current().users
    assert set(watched.current().users) == {"clara", "bert"}


def test_no_memory_for_the_dummy_is_an_error_at_the_start_and_later_tried_again(
    watched: WatchedUsers, users_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_memory(self: object, costs: object) -> DummyHash:
        raise HashingFailedError

    users_file.write_text(users_file.read_text().replace("alice", "clara"))
    with monkeypatch.context() as exhausted:
        exhausted.setattr(DummyHashes, "costliest", no_memory)
        for _ in range(3):
            assert "alice" in watched.current().users
        assert len(_logged(caplog, logging.ERROR)) == 1
        with pytest.raises(ConfigError, match="not enough memory"):
            WatchedUsers(users_file)
    assert "clara" in watched.current().users


def test_the_dummy_follows_the_costliest_hash(watched: WatchedUsers, users_file: Path) -> None:
    assert watched.current().dummy.scheme == "argon2id"
    users_file.write_text(f"alice:{cheap_hash(scheme='sha512-crypt')}\n")
    assert watched.current().dummy.scheme == "sha512-crypt"
    # A disabled user's hash costs nothing: it is never verified.
    users_file.write_text(f"alice:{cheap_hash()}\nbert:!{cheap_hash(scheme='sha512-crypt')}\n")
    assert watched.current().dummy.scheme == "argon2id"


def test_a_slow_file_is_a_warning(
    users_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    WatchedUsers(users_file)
    assert "a login takes" not in "".join(_logged(caplog, logging.WARNING))
    monkeypatch.setattr(watched_users, "_SLOW", 0.0)
    WatchedUsers(users_file)
    assert "a login takes" in "".join(_logged(caplog, logging.WARNING))
