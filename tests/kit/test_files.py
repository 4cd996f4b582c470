"""Files that a login depends on: what they may hold, and who may read, write or replace them."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dicomgate import ConfigError
from dicomgate.kit.files import (
    check_trusted,
    file_stamp,
    read_private,
    read_secret,
    read_secret_text,
    read_trusted,
    read_with_mode,
    trust_stamp,
)

SECRET = b"the canary's own secret"


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.write_bytes(SECRET + b"\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("content", [SECRET, SECRET + b"\n", SECRET + b"\r\n", b"\xef\xbb\xbf" + SECRET])
def test_the_secret(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(content)
    assert read_secret(secret_file) == SECRET
    secret_file.write_bytes(b" \xff ")
    assert read_secret(secret_file) == b" \xff "


@pytest.mark.parametrize("content", [b"", b"\n", SECRET + b"\n\n", b"a\0b", b"a\tb", b"x" * 1025, b"x" * 9999])
def test_a_secret_that_is_none(secret_file: Path, content: bytes) -> None:
    secret_file.write_bytes(b"x" * 1024 + b"\r\n")
    assert len(read_secret(secret_file)) == 1024
    secret_file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"one line of 1 to 1024 bytes|longer than 1029 bytes") as refused:
        read_secret(secret_file)
    assert SECRET.decode() not in str(refused.value)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o606, 0o644])
def test_a_secret_that_is_open_to_everybody(secret_file: Path, mode: int) -> None:
    secret_file.chmod(0o640)
    assert read_secret(secret_file) == SECRET
    secret_file.chmod(mode)
    with pytest.raises(ConfigError, match=f"{secret_file}: everybody may read or write this file"):
        read_secret(secret_file)


def test_a_secret_that_everybody_may_replace(secret_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir()
    link.symlink_to(secret_file)
    assert read_secret(link) == SECRET
    for folder in (tmp_path, link.parent):
        folder.chmod(0o777)
        with pytest.raises(ConfigError, match=f"everybody may write the folder {folder}"):
            read_secret(link)
        folder.chmod(0o1777)
        assert read_secret(link) == SECRET


@pytest.mark.parametrize("through", ["link to the file", "link to its folder"])
def test_the_folder_of_each_link_on_the_way_counts(secret_file: Path, tmp_path: Path, through: str) -> None:
    between, first = tmp_path / "open" / "second", tmp_path / "first"
    between.parent.mkdir()
    to_file = through == "link to the file"
    between.symlink_to(secret_file if to_file else secret_file.parent)
    first.symlink_to(Path("open", "second"))
    path = first if to_file else first / secret_file.name
    assert read_secret(path) == SECRET
    between.parent.chmod(0o777)
    with pytest.raises(ConfigError, match=f"everybody may write the folder {between.parent}"):
        read_secret(path)
    between.parent.chmod(0o1777)
    assert read_secret(path) == SECRET
    if os.geteuid() == 0:
        os.lchown(between, 4711, 4711)
        with pytest.raises(ConfigError, match=f"another user made {between}, where everybody may write; move it"):
            read_secret(path)
    first.unlink()
    first.symlink_to(first)
    with pytest.raises(ConfigError, match="Too many levels of symbolic links"):
        read_secret(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    for path in (tmp_path / "missing", tmp_path):
        with pytest.raises(ConfigError, match=str(path)):
            read_secret(path)
    os.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(ConfigError, match="not a regular file"):
        read_secret(tmp_path / "fifo")


def test_a_secret_from_a_shell_of_windows(secret_file: Path) -> None:
    for encoding in ("utf-16", "utf-16-be"):
        secret_file.write_bytes(("\ufeff" if encoding == "utf-16-be" else "").encode(encoding) + "a".encode(encoding))
        with pytest.raises(ConfigError, match=f"{secret_file}: is UTF-16, not UTF-8: save the file as UTF-8"):
            read_secret(secret_file)


def test_a_secret_that_is_text(secret_file: Path) -> None:
    secret_file.write_text(" ä \n", "utf-8")
    assert read_secret_text(secret_file) == " ä "
    secret_file.write_bytes(b"\xff" + SECRET)
    with pytest.raises(ConfigError, match=f"{secret_file}: line 1 is not UTF-8 .*: save the file as UTF-8") as refused:
        read_secret_text(secret_file)
    assert refused.value.__suppress_context__


@pytest.mark.parametrize(
    ("mode", "private", "trusted"), [(0o640, True, True), (0o644, False, True), (0o602, False, False)]
)
def test_who_may_read_and_who_may_write(secret_file: Path, mode: int, private: bool, trusted: bool) -> None:
    secret_file.chmod(mode)
    for read, allowed in ((read_private, private), (read_trusted, trusted)):
        if allowed:
            assert read(secret_file, 100) == SECRET + b"\n"
        else:
            with pytest.raises(ConfigError, match="everybody may "):
                read(secret_file, 100)


def test_the_mode_of_a_trusted_file_comes_with_its_content(secret_file: Path) -> None:
    for mode in (0o600, 0o644):
        secret_file.chmod(mode)
        content, found = read_with_mode(secret_file, 100)
        assert content == SECRET + b"\n"
        assert stat.S_IMODE(found) == mode
    secret_file.chmod(0o602)
    with pytest.raises(ConfigError, match="everybody may write this file; chmod o-w"):
        read_with_mode(secret_file, 100)


def test_a_file_that_a_library_opens_is_checked_as_one_that_is_read(secret_file: Path, tmp_path: Path) -> None:
    check_trusted(secret_file)
    secret_file.chmod(0o602)
    with pytest.raises(ConfigError, match="everybody may write this file; chmod o-w"):
        check_trusted(secret_file)
    secret_file.chmod(0o644)
    check_trusted(secret_file)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="everybody may write the folder"):
        check_trusted(secret_file)
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="not a regular file"):
        check_trusted(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file") as missing:
        check_trusted(tmp_path / "missing")
    assert isinstance(missing.value.__cause__, OSError)


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """The group of every file has this name and these members, and is the primary group of those users."""

    def have(*members: str, primary_of: Sequence[str] = (), called: str | None = "owner") -> None:
        numbers = {"owner": os.getuid(), "root": 0, "mallory": 4711}

        def user(name: str) -> SimpleNamespace:
            return SimpleNamespace(pw_uid=numbers[name], pw_gid=os.getgid())

        def lookup(number: int) -> SimpleNamespace:
            if called is None:
                raise KeyError(number)
            return SimpleNamespace(gr_name=called, gr_mem=list(members))

        monkeypatch.setattr("grp.getgrgid", lookup)
        monkeypatch.setattr("pwd.getpwnam", user)
        monkeypatch.setattr("pwd.getpwall", lambda: [user(name) for name in primary_of])

    return have


@pytest.mark.parametrize(
    ("members", "primary_of", "called", "allowed"),
    [
        ((), ("owner",), "owner", True),  # a user whose umask is 002, and who has a group of his own
        ((), (), "owner", True),
        (("owner", "root"), ("owner",), "owner", True),
        (("mallory",), ("owner",), "owner", False),
        ((), ("owner", "mallory"), "owner", False),
        ((), ("owner",), None, False),
        (("nobody-knows",), (), "owner", False),
        ((), ("owner",), "domain users", False),  # of a directory that lists neither its users nor who is in a group
        ((), (), "mallory", False),
    ],
)
def test_a_group_may_write_if_nobody_else_is_in_it(
    secret_file: Path, tmp_path: Path, group: Any, members: Any, primary_of: Any, called: str | None, allowed: bool
) -> None:
    group(*members, primary_of=primary_of, called=called)
    assert read_secret(secret_file) == SECRET, "the group may not write"
    name = called or str(secret_file.stat().st_gid)
    for path, what in ((secret_file, "this file; chmod g-w"), (tmp_path, f"the folder {tmp_path}; chmod g-w")):
        before = stat.S_IMODE(path.stat().st_mode)
        path.chmod(before | 0o020)
        if allowed:
            assert read_secret(secret_file) == SECRET
            check_trusted(secret_file)
        else:
            with pytest.raises(ConfigError, match=f"the group {name} may write {what}"):
                read_secret(secret_file)
            with pytest.raises(ConfigError, match=f"the group {name} may write {what}"):
                check_trusted(secret_file)
        path.chmod(before)


def test_a_file_that_is_too_long(secret_file: Path) -> None:
    assert read_trusted(secret_file, len(SECRET) + 1)
    with pytest.raises(ConfigError, match="longer than 5 bytes"):
        read_trusted(secret_file, 5)


def test_a_folder_on_the_way_that_everybody_may_write(secret_file: Path, tmp_path: Path) -> None:
    deep = tmp_path / "open" / "closed" / "secret"
    deep.parent.mkdir(parents=True)
    deep.write_bytes(secret_file.read_bytes())
    deep.chmod(0o600)
    assert read_secret(deep) == SECRET
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(ConfigError, match=r"everybody may write the folder .*open"):
        read_secret(deep)


def test_a_stamp_changes_with_the_file_and_with_nothing_else(secret_file: Path) -> None:
    first = file_stamp(secret_file)
    assert first is not None
    secret_file.read_bytes()
    assert file_stamp(secret_file) == first, "the control: to read it is no change"
    before = secret_file.stat()
    other = secret_file.with_name("other")
    other.write_bytes(SECRET.upper() + b"\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(secret_file)
    second = file_stamp(secret_file)
    assert second != first, "another file of the same size and time"
    secret_file.chmod(0o640)
    assert file_stamp(secret_file) != second, "another mode"
    secret_file.unlink()
    assert file_stamp(secret_file) is None


def test_a_trust_stamp_changes_with_the_modes_of_the_folders_too(secret_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link"
    link.parent.mkdir(mode=0o755)
    link.symlink_to(secret_file)
    plain, first = file_stamp(link), trust_stamp(link)
    assert trust_stamp(link) == first, "the control: nothing has changed"
    for folder in (link.parent, tmp_path):
        folder.chmod(0o777)
        assert trust_stamp(link) != first
        folder.chmod(0o755 if folder == link.parent else 0o700)
        assert file_stamp(link) == plain
    assert trust_stamp(link) == first
    other = tmp_path / "other" / "file"
    other.parent.mkdir(mode=0o777)
    other.parent.chmod(0o777)
    other.write_bytes(SECRET)
    link.unlink()
    assert trust_stamp(link) is None
    link.symlink_to(other)
    leads_elsewhere = trust_stamp(link)
    other.parent.chmod(0o700)
    assert trust_stamp(link) != leads_elsewhere, "the folder that counts is that of the other file now"
