from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicomgate import ConfigError
from dicomgate_passcode import exchange, file_writer
from dicomgate_passcode.file_writer import (
    FileBusyError,
    UserExistsError,
    check_writable,
    remove,
    set_hashes,
)
from dicomgate_passcode.users_file import read_users_file
from plugins.passcode.tests.users import cheap_hash, unchanged

OTHER = cheap_hash(b"other")


def _set(path: Path, name: str, text: str = OTHER, *, replace: bool = False) -> None:
    _set_all(path, {name: text}, replace=replace)


def _set_all(path: Path, hashes: dict[str, str], *, replace: bool) -> None:
    """As a command does, which looks first."""
    seen = read_users_file(path).users if path.exists() else {}
    set_hashes(path, hashes, replace=replace, seen=seen)


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


def test_a_command_waits_for_the_lock_of_another(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    naps: list[float] = []
    monkeypatch.setattr(time, "sleep", naps.append)
    monkeypatch.setattr(file_writer, "_PATIENCE", 0.01)
    with _locked_by_somebody_else(users_file.parent), pytest.raises(FileBusyError):
        remove(users_file, "alice")
    assert naps
    assert remove(users_file, "alice")


OTHERS: dict[str, Callable[[Path], object]] = {
    "sed -i": lambda path: subprocess.run(["sed", "-i", "/^alice:/d", path], check=True),
    "rename": lambda path: _written(path.with_name("new"), _without_alice(path)).replace(path),
    "in place": lambda path: _written(path, _without_alice(path)),
}
"""How other programs remove alice. None of them knows a lock of ours."""


def _without_alice(path: Path) -> str:
    return "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("alice:"))


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("others", [*([one] for one in OTHERS), ["rename", "sed -i"], ["in place", "rename", "rename"]])
def test_what_other_programs_take_away_stays_away(
    others: list[str], users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One before our version is put in its place, each further one before that is undone."""
    real, coming = exchange._exchange, [OTHERS[other] for other in others]

    def raced(new: Path, target: Path) -> bool:
        if coming:
            coming.pop(0)(target)
        return real(new, target)

    monkeypatch.setattr(exchange, "_exchange", raced)
    _set(users_file, "carol")
    assert not coming
    assert list(read_users_file(users_file).users) == ["bert", "carol"]
    assert [path.name for path in users_file.parent.iterdir()] == [users_file.name]


def test_without_exchange_a_file_that_was_replaced_before_is_seen(
    users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "_exchange", lambda *_: False)
    look, others = exchange._version, [OTHERS["rename"]]

    def late(path: Path) -> tuple[int, ...]:
        if path == users_file and others:
            others.pop()(path)
        return look(path)

    monkeypatch.setattr(exchange, "_version", late)
    _set(users_file, "carol")
    assert list(read_users_file(users_file).users) == ["bert", "carol"]


def test_a_mode_that_is_set_meanwhile_stays(users_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = exchange._exchange

    def raced(new: Path, target: Path) -> bool:
        if _mode(target) == 0o600:
            target.chmod(0o400)
        return real(new, target)

    monkeypatch.setattr(exchange, "_exchange", raced)
    _set(users_file, "carol")
    assert _mode(users_file) == 0o400
    assert "carol" in read_users_file(users_file).users


def test_a_file_that_is_taken_away_meanwhile_is_not_made_again(
    users_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raced(new: Path, target: Path) -> bool:
        target.unlink()
        raise FileNotFoundError

    monkeypatch.setattr(exchange, "_exchange", raced)
    with pytest.raises(ConfigError, match="No such file"):
        remove(users_file, "alice")
    assert list(users_file.parent.iterdir()) == []


@pytest.mark.parametrize("other", ["sed -i", "rename"])
def test_no_race_with_another_program_brings_a_user_back(other: str, users_file: Path) -> None:
    before = users_file.read_text()
    for number in range(15):
        with ThreadPoolExecutor(2) as both:
            writing = both.submit(set_hashes, users_file, {"carol": OTHER}, replace=False, seen={})
            time.sleep(number * 0.0002)
            both.submit(OTHERS[other], users_file).result()
            writing.result()
        assert "alice" not in read_users_file(users_file).users
        users_file.write_text(before)


@pytest.mark.parametrize("meanwhile", ["removed", "disabled", "replaced", "added"])
def test_a_user_who_was_changed_since_the_command_looked_is_left_alone(meanwhile: str, users_file: Path) -> None:
    seen = read_users_file(users_file).users
    name = "alice"
    if meanwhile == "removed":
        remove(users_file, "alice")
    elif meanwhile == "disabled":
        users_file.write_text(users_file.read_text().replace("alice:", "alice:!"))
    elif meanwhile == "added":
        _set(users_file, name := "carol", cheap_hash(b"new"))
    else:
        _set(users_file, "alice", cheap_hash(b"new"), replace=True)
    with unchanged(users_file), pytest.raises(ConfigError, match=f"user '{name}' was changed by another program"):
        set_hashes(users_file, {"bert": OTHER, name: OTHER}, replace=True, seen=seen)
    set_hashes(users_file, {"bert": OTHER}, replace=True, seen=seen)


def test_a_file_that_another_program_makes_at_the_same_time_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def late(source: Path, target: Path) -> None:
        if not target.exists():
            _written(target, f"alice:{OTHER}\n").chmod(0o600)
        real(source, target)

    monkeypatch.setattr(os, "link", late)
    _set(tmp_path / "users", "carol")
    assert list(read_users_file(tmp_path / "users").users) == ["alice", "carol"]


def test_a_link_stays_a_link(users_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(users_file)
    _set(link, "carol")
    assert link.is_symlink()
    assert "carol" in read_users_file(users_file).users


@pytest.mark.parametrize("there", [True, False])
def test_nobody_else_chooses_which_file_a_command_writes(users_file: Path, tmp_path: Path, there: bool) -> None:
    target, link = users_file if there else tmp_path / "safe" / "new", tmp_path / "ward" / "link"
    target.parent.mkdir(exist_ok=True)
    link.parent.mkdir()
    link.symlink_to(target)
    link.parent.chmod(0o777)
    before = target.read_bytes() if there else None
    with pytest.raises(ConfigError, match=f"everybody may write the folder {link.parent}"):
        _set(link, "carol")
    assert (target.read_bytes() if target.exists() else None) == before
    link.parent.chmod(0o755)
    _set(link, "carol")
    assert "carol" in read_users_file(target).users


def test_no_file_is_made_where_everybody_may_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        _set(tmp_path / "users", "alice")
    assert list(tmp_path.iterdir()) == []


def test_of_many_users_each_line_is_changed_or_added_and_all_else_stays(users_file: Path) -> None:
    comment, _, bert = users_file.read_bytes().splitlines()
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n").replace(b"\n", b"\r\n"))
    users_file.chmod(0o640)
    _set_all(users_file, {"carol": OTHER, "alice": OTHER, "dora": OTHER}, replace=True)
    other = OTHER.encode()
    assert users_file.read_bytes().split(b"\n") == [
        *(comment + b"\r", b"alice:" + other + b"\r", bert, b"carol:" + other, b"dora:" + other, b"")
    ]
    users_file.write_bytes(users_file.read_bytes().rstrip(b"\n"))
    _set_all(users_file, {"bert": OTHER, "dora": OTHER}, replace=True)
    assert users_file.read_bytes().endswith(f"\nbert:{OTHER}\ncarol:{OTHER}\ndora:{OTHER}".encode())
    assert _mode(users_file) == 0o640


def test_all_users_are_added_or_none(users_file: Path, tmp_path: Path) -> None:
    with unchanged(users_file), pytest.raises(UserExistsError):
        _set_all(users_file, {"carol": OTHER, "bert": OTHER}, replace=False)
    _set_all(tmp_path / "new", {"carol": OTHER, "bert": OTHER}, replace=False)
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
