from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate_passcode import file_writer
from dicomgate_passcode.file_writer import (
    FileBusyError,
    UserExistsError,
    check_writable,
    remove,
    renew_hash,
    set_hash,
    set_hashes,
)
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash


@pytest.fixture(scope="module")
def other() -> str:
    return cheap_hash(b"other")


@contextmanager
def _locked_by_somebody_else(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path, other: str) -> None:
    old = os.umask(0)
    try:
        set_hash(tmp_path / "users", "alice", other, replace=False)
    finally:
        os.umask(old)
    assert (tmp_path / "users").read_text() == f"alice:{other}\n"
    assert _mode(tmp_path / "users") == 0o600


def test_a_user_is_added_at_the_end_and_all_else_stays(users_file: Path, other: str) -> None:
    before = users_file.read_text()
    users_file.chmod(0o640)
    set_hash(users_file, "chloé", other, replace=False)
    assert users_file.read_text() == before + f"chloé:{other}\n"
    assert _mode(users_file) == 0o640
    assert [path.name for path in users_file.parent.iterdir()] == [users_file.name]


def test_the_mode_0644_of_a_file_is_kept_and_not_made(users_file: Path, other: str) -> None:
    users_file.chmod(0o644)
    set_hash(users_file, "carol", other, replace=False)
    assert _mode(users_file) == 0o644


def test_a_last_line_without_end_is_ended_first(users_file: Path, other: str) -> None:
    users_file.write_text(users_file.read_text().rstrip("\n"))
    set_hash(users_file, "carol", other, replace=False)
    assert set(read_users_file(users_file).users) == {"alice", "bert", "carol"}


def test_an_existing_user_is_replaced_only_if_asked_for(users_file: Path, other: str) -> None:
    with pytest.raises(UserExistsError):
        set_hash(users_file, "alice", other, replace=False)
    assert read_users_file(users_file).users["alice"].hash != other
    set_hash(users_file, "alice", other, replace=True)
    users = read_users_file(users_file).users
    assert users["alice"].hash == other
    assert list(users) == ["alice", "bert"]
    assert users_file.read_text().startswith("# staff\n")


def test_windows_line_endings_stay(users_file: Path, other: str) -> None:
    users_file.write_bytes(users_file.read_bytes().replace(b"\n", b"\r\n"))
    set_hash(users_file, "alice", other, replace=True)
    data = users_file.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == 3
    assert read_users_file(users_file).users["alice"].hash == other


def test_a_user_is_removed(users_file: Path) -> None:
    assert remove(users_file, "alice") is True
    assert list(read_users_file(users_file).users) == ["bert"]
    assert users_file.read_text().startswith("# staff\nbert:")
    assert remove(users_file, "alice") is False


def test_a_hash_is_renewed(users_file: Path, other: str) -> None:
    user = read_users_file(users_file).users["alice"]
    assert renew_hash(users_file, user, other) is True
    assert read_users_file(users_file).users["alice"].hash == other


@pytest.mark.parametrize("meanwhile", ["removed", "disabled", "replaced"])
def test_renewal_never_undoes_what_happened_meanwhile(meanwhile: str, users_file: Path, other: str) -> None:
    user = read_users_file(users_file).users["alice"]
    if meanwhile == "removed":
        remove(users_file, "alice")
    elif meanwhile == "disabled":
        users_file.write_text(users_file.read_text().replace("alice:", "alice:!"))
    else:
        set_hash(users_file, "alice", cheap_hash(b"new"), replace=True)
    before = users_file.read_bytes()
    assert renew_hash(users_file, user, other) is False
    assert users_file.read_bytes() == before


def test_renewal_finds_the_user_on_another_line(users_file: Path, other: str) -> None:
    user = read_users_file(users_file).users["alice"]
    users_file.write_text("# one more line\n" + users_file.read_text())
    assert renew_hash(users_file, user, other) is True
    assert read_users_file(users_file).users["alice"].hash == other
    assert read_users_file(users_file).users["bert"].cost is None


def test_a_read_only_file_is_not_renewed_even_by_the_superuser(users_file: Path, other: str) -> None:
    user = read_users_file(users_file).users["alice"]
    users_file.chmod(0o440)
    with pytest.raises(PermissionError):
        renew_hash(users_file, user, other)
    assert read_users_file(users_file).users["alice"] == user


def test_the_owner_is_kept_or_nothing_is_written(users_file: Path, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def fchown(descriptor: int, owner: int, group: int) -> None:
        asked.append((owner, group))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", fchown)
    before = users_file.read_bytes()
    status = users_file.stat()
    set_hash(users_file, "carol", other, replace=False)  # the owner is right as it is: nothing to ask for
    assert asked == []
    users_file.write_bytes(before)

    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[stat.ST_UID] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(PermissionError):
        set_hash(users_file, "carol", other, replace=False)
    assert asked == [(status.st_uid, status.st_gid)]
    assert users_file.read_bytes() == before
    assert [path.name for path in users_file.parent.iterdir()] == [users_file.name]


def test_a_crash_while_writing_leaves_the_old_file_alone(
    users_file: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = users_file.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        set_hash(users_file, "carol", other, replace=False)
    assert users_file.read_bytes() == before
    assert [path.name for path in users_file.parent.iterdir()] == [users_file.name]


def test_a_broken_file_is_not_touched(users_file: Path, other: str) -> None:
    users_file.write_text(users_file.read_text() + "nonsense\n")
    before = users_file.read_bytes()
    for change in (
        lambda: set_hash(users_file, "carol", other, replace=False),
        lambda: remove(users_file, "alice"),
    ):
        with pytest.raises(ConfigError, match="line 4: no colon"):
            change()
    assert users_file.read_bytes() == before


def test_a_login_does_not_wait_for_the_lock_and_a_command_does(
    users_file: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = read_users_file(users_file).users["alice"]
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    with _locked_by_somebody_else(users_file.parent):
        with pytest.raises(FileBusyError):
            renew_hash(users_file, user, other)
        assert naps == []
        monkeypatch.setattr(file_writer, "_COMMAND_PATIENCE", 0.01)
        with pytest.raises(FileBusyError):
            remove(users_file, "alice")
        assert naps
    assert renew_hash(users_file, user, other) is True


def test_a_link_stays_a_link(users_file: Path, tmp_path: Path, other: str) -> None:
    link = tmp_path / "link"
    link.symlink_to(users_file)
    set_hash(link, "carol", other, replace=False)
    assert link.is_symlink()
    assert "carol" in read_users_file(users_file).users


def test_no_file_is_made_where_everybody_may_write(tmp_path: Path, other: str) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        set_hash(tmp_path / "users", "alice", other, replace=False)
    assert list(tmp_path.iterdir()) == []


def test_of_many_users_each_line_is_changed_or_added_and_all_else_stays(users_file: Path, other: str) -> None:
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    users_file.chmod(0o640)
    set_hashes(users_file, {"carol": other, "bert": other, "dora": other}, replace=True)
    users = read_users_file(users_file).users
    assert list(users) == ["alice", "bert", "carol", "dora"]
    assert [users[name].hash == other for name in users] == [False, True, True, True]
    assert users_file.read_bytes().startswith(b"# staff\r\nalice:$argon2id")
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n"))
    set_hashes(users_file, {"bert": other, "dora": other}, replace=True)
    assert users_file.read_bytes().endswith(f"\ndora:{other}".encode())
    assert _mode(users_file) == 0o640


def test_all_users_are_added_or_none(users_file: Path, tmp_path: Path, other: str) -> None:
    before = users_file.read_bytes()
    with pytest.raises(UserExistsError):
        set_hashes(users_file, {"carol": other, "bert": other}, replace=False)
    assert users_file.read_bytes() == before
    set_hashes(tmp_path / "new", {"carol": other, "bert": other}, replace=False)
    assert (tmp_path / "new").read_text() == f"carol:{other}\nbert:{other}\n"


def test_no_file_is_written_that_is_too_large_to_be_read(
    users_file: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = users_file.read_bytes()
    size = len(before) + len(f"carol:{other}\n")
    monkeypatch.setattr(file_writer, "LARGEST_FILE", size - 1)
    with pytest.raises(ConfigError, match="would be larger than"):
        set_hash(users_file, "carol", other, replace=False)
    assert users_file.read_bytes() == before
    monkeypatch.setattr(file_writer, "LARGEST_FILE", size)
    set_hash(users_file, "carol", other, replace=False)
    assert len(users_file.read_bytes()) == size


def test_whether_it_can_be_written_is_known_before(
    users_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = tmp_path / "link"
    (tmp_path / "folder").mkdir()
    link.symlink_to(tmp_path / "folder" / "users")
    for path in (users_file, tmp_path / "new", link):
        check_writable(path)
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "none" / "users")
    monkeypatch.setattr(os, "access", lambda path, _: path != tmp_path / "folder")
    check_writable(users_file)
    with pytest.raises(PermissionError, match="folder"):
        check_writable(link)
    (tmp_path / "folder").chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        check_writable(tmp_path / "folder" / "users")
