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
    set_hashes,
)
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash, unchanged

OTHER = cheap_hash(b"other")


def _set(path: Path, name: str, text: str = OTHER, *, replace: bool = False) -> None:
    set_hashes(path, {name: text}, replace=replace)


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


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        _set(tmp_path / "users", "alice")
    finally:
        os.umask(old)
    assert (tmp_path / "users").read_text() == f"alice:{OTHER}\n"
    assert _mode(tmp_path / "users") == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_user_is_added_at_the_end_and_all_else_stays(mode: int, users_file: Path) -> None:
    before = users_file.read_text()
    users_file.chmod(mode)
    _set(users_file, "chloé")
    assert users_file.read_text() == before + f"chloé:{OTHER}\n"
    assert _mode(users_file) == mode
    assert [path.name for path in users_file.parent.iterdir()] == [users_file.name]


def test_an_existing_user_is_replaced_only_if_asked_for(users_file: Path) -> None:
    with pytest.raises(UserExistsError):
        _set(users_file, "alice")
    assert read_users_file(users_file).users["alice"].hash != OTHER
    _set(users_file, "alice", replace=True)
    users = read_users_file(users_file).users
    assert users["alice"].hash == OTHER
    assert list(users) == ["alice", "bert"]
    assert users_file.read_text().startswith("# staff\n")


def test_a_user_is_removed(users_file: Path) -> None:
    assert remove(users_file, "alice") is True
    assert list(read_users_file(users_file).users) == ["bert"]
    assert users_file.read_text().startswith("# staff\nbert:")
    assert remove(users_file, "alice") is False


@pytest.mark.parametrize("meanwhile", ["removed", "disabled", "replaced"])
def test_renewal_never_undoes_what_happened_meanwhile(meanwhile: str, users_file: Path) -> None:
    user = read_users_file(users_file).users["alice"]
    if meanwhile == "removed":
        remove(users_file, "alice")
    elif meanwhile == "disabled":
        users_file.write_text(users_file.read_text().replace("alice:", "alice:!"))
    else:
        _set(users_file, "alice", cheap_hash(b"new"), replace=True)
    with unchanged(users_file):
        assert renew_hash(users_file, user, OTHER) is False


def test_renewal_finds_the_user_on_another_line(users_file: Path) -> None:
    user = read_users_file(users_file).users["alice"]
    users_file.write_text("# one more line\n" + users_file.read_text())
    assert renew_hash(users_file, user, OTHER) is True
    assert read_users_file(users_file).users["alice"].hash == OTHER
    assert read_users_file(users_file).users["bert"].cost is None


def test_a_read_only_file_is_not_renewed_even_by_the_superuser(users_file: Path) -> None:
    user = read_users_file(users_file).users["alice"]
    users_file.chmod(0o440)
    with pytest.raises(PermissionError):
        renew_hash(users_file, user, OTHER)
    assert read_users_file(users_file).users["alice"] == user


def test_the_owner_is_kept_or_nothing_is_written(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def fchown(descriptor: int, owner: int, group: int) -> None:
        asked.append((owner, group))
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", fchown)
    status = users_file.stat()
    _set(users_file, "carol")  # the owner is right as it is: nothing to ask for
    assert asked == []
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = list(real(descriptor))
        found[stat.ST_UID] += 1
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", fstat)
    with unchanged(users_file), pytest.raises(PermissionError):
        _set(users_file, "dora")
    assert asked == [(status.st_uid, status.st_gid)]


def test_a_crash_while_writing_leaves_the_old_file_alone(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with unchanged(users_file), pytest.raises(OSError, match="No space left"):
        _set(users_file, "carol")


def test_a_broken_file_is_not_touched(users_file: Path) -> None:
    users_file.write_text(users_file.read_text() + "nonsense\n")
    for change in (lambda: _set(users_file, "carol"), lambda: remove(users_file, "alice")):
        with unchanged(users_file), pytest.raises(ConfigError, match="line 4: no colon"):
            change()


def test_a_login_does_not_wait_for_the_lock_and_a_command_does(
    users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = read_users_file(users_file).users["alice"]
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    with _locked_by_somebody_else(users_file.parent):
        with pytest.raises(FileBusyError):
            renew_hash(users_file, user, OTHER)
        assert naps == []
        monkeypatch.setattr(file_writer, "_COMMAND_PATIENCE", 0.01)
        with pytest.raises(FileBusyError):
            remove(users_file, "alice")
        assert naps
    assert renew_hash(users_file, user, OTHER) is True


def test_a_link_stays_a_link(users_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(users_file)
    _set(link, "carol")
    assert link.is_symlink()
    assert "carol" in read_users_file(users_file).users


def test_no_file_is_made_where_everybody_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        _set(tmp_path / "users", "alice")
    assert list(tmp_path.iterdir()) == []


def test_of_many_users_each_line_is_changed_or_added_and_all_else_stays(users_file: Path) -> None:
    comment, _, bert = users_file.read_bytes().splitlines()
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    users_file.chmod(0o640)
    set_hashes(users_file, {"carol": OTHER, "alice": OTHER, "dora": OTHER}, replace=True)
    other = OTHER.encode()
    assert users_file.read_bytes().split(b"\n") == [
        *(comment + b"\r", b"alice:" + other + b"\r", bert, b"carol:" + other, b"dora:" + other, b"")
    ]
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n"))
    set_hashes(users_file, {"bert": OTHER, "dora": OTHER}, replace=True)
    assert users_file.read_bytes().endswith(f"\nbert:{OTHER}\ncarol:{OTHER}\ndora:{OTHER}".encode())
    assert _mode(users_file) == 0o640


def test_all_users_are_added_or_none(users_file: Path, tmp_path: Path) -> None:
    with unchanged(users_file), pytest.raises(UserExistsError):
        set_hashes(users_file, {"carol": OTHER, "bert": OTHER}, replace=False)
    set_hashes(tmp_path / "new", {"carol": OTHER, "bert": OTHER}, replace=False)
    assert (tmp_path / "new").read_text() == f"carol:{OTHER}\nbert:{OTHER}\n"


def test_no_file_is_written_that_is_too_large_to_be_read(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(users_file.read_bytes()) + len(f"carol:{OTHER}\n")
    monkeypatch.setattr(file_writer, "LARGEST_FILE", size - 1)
    with unchanged(users_file), pytest.raises(ConfigError, match="would be larger than"):
        _set(users_file, "carol")
    monkeypatch.setattr(file_writer, "LARGEST_FILE", size)
    _set(users_file, "carol")
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
