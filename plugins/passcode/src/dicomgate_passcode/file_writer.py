"""Changes to the users file on disk, by the commands: merged with those of other programs, atomic.

Rule 1: a serving gateway never writes the users file: it belongs to the operator and to the operator's tools.
Rule 2: what another program changes or takes away meanwhile stays so. The new version is put in the place of the one
        that it was made from, and of no other (`exchange`); if that is gone, the change is made anew in what is there.
        A user who was changed since the command looked is not changed by it.
Rule 3: readers see either the old file or the new one: a temporary file in the same folder, fsync, exchange.
Rule 4: the new file has the mode, owner and group of the old one; otherwise it does not replace the old one.
Rule 5: only the lines of the users in question change. A broken file is not touched.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import check_folders, read_with_mode

from . import exchange
from .users_file import LARGEST_FILE, User, UsersFile, parse

_PATIENCE = 10.0
"""How long a command waits for other writers, in seconds."""


class UserExistsError(ConfigError):
    """The user is already in the file, and `replace` is false."""

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(f"{path}: has a user {name} already; --replace gives a new passcode")


class FileBusyError(ConfigError):
    """Other processes are changing the file."""

    def __init__(self) -> None:
        super().__init__("the users file is being changed by another process; try again")


def set_hashes(path: Path, hashes: Mapping[str, str], *, replace: bool, seen: Mapping[str, User]) -> None:
    """Add the users, or give existing ones new hashes: all or none. A missing file is created with mode 0600.

    `seen` are the users when the command began: before it asked for a passcode, or computed a thousand hashes. One who
    was removed, disabled or changed since then stays as he is, and nothing is written.

    Raises UserExistsError, FileBusyError, ConfigError for a broken file, and OSError if it cannot be written.
    """

    def change(data: bytes, known: Mapping[str, User]) -> bytes | None:
        if all(name in known and known[name].hash == text for name, text in hashes.items()):
            return None  # another program has copied our version, in the moment before it was taken back
        if not replace and (there := hashes.keys() & known.keys()):
            raise UserExistsError(min(there), path)
        for name in hashes:
            was, now = seen.get(name), known.get(name)
            if (was and was.hash) != (now and now.hash):
                raise ConfigError(f"user {name!r} was changed by another program meanwhile; nothing is changed")
        data = _changed(data, {known[name]: text for name, text in hashes.items() if name in known})
        added = _lines({name: text for name, text in hashes.items() if name not in known})
        return data + (b"\n" if added and data and not data.endswith(b"\n") else b"") + added

    _update(path, change, create=True)


def check_writable(path: Path) -> None:
    """Raise OSError or ConfigError if `set_hashes` certainly would. For a check before slow work."""
    folder = Path(os.path.realpath(path)).parent
    check_folders(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def remove(path: Path, name: str) -> bool:
    """Remove the user; False if there is no user of this name. Raises as `set_hashes` does."""

    def change(data: bytes, known: Mapping[str, User]) -> bytes | None:
        if name not in known:
            return None
        lines = data.split(b"\n")
        del lines[known[name].line - 1]
        return b"\n".join(lines)

    return _update(path, change)


def _update(path: Path, change: Callable[[bytes, Mapping[str, User]], bytes | None], *, create: bool = False) -> bool:
    """Make the change in the file as it is, again and again until no other program comes in between.

    False if there is nothing to change. `create`: a file that does not exist is made.
    """
    until = time.monotonic() + _PATIENCE
    with _locked(path, until):
        while True:
            check_folders(path)  # a link without a target, too: its maker would choose which file is made
            target = Path(os.path.realpath(path))  # so that a symbolic link stays one
            there = os.path.lexists(target)
            if create and not there:
                done = _created(target, change(b"", {}) or b"")
            else:
                status = target.stat() if there else None
                data, users = _read(target)
                new = change(data, users.users)
                if new is None:
                    return False
                done = status is not None and _replaced(target, (status, data), new)
            if done:
                return True
            if time.monotonic() >= until:
                raise FileBusyError


@contextmanager
def _locked(path: Path, until: float) -> Iterator[None]:
    """Hold the lock that the commands share: flock on the folder, so no lock file is left behind."""
    folder = Path(os.path.realpath(path)).parent
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise FileBusyError from None
                time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)  # releases the lock


def _read(target: Path) -> tuple[bytes, UsersFile]:
    data, mode = read_with_mode(target, LARGEST_FILE)
    return data, parse(target, data, mode)


def _lines(hashes: Mapping[str, str]) -> bytes:
    return "".join(f"{name}:{text}\n" for name, text in hashes.items()).encode()


def _changed(data: bytes, hashes: Mapping[User, str]) -> bytes:
    """The content with other hashes for these users; line endings and comments stay."""
    lines = data.split(b"\n")
    for user, text in hashes.items():
        end = b"\r" if lines[user.line - 1].endswith(b"\r") else b""
        lines[user.line - 1] = f"{user.name}:{text}".encode() + end
    return b"\n".join(lines)


def _created(target: Path, data: bytes) -> bool:
    """Make the file; False if another program has made it meanwhile."""
    with _written(target, data, like=None) as new:
        try:
            os.link(new, target)
        except FileExistsError:
            return False
    return True


def _replaced(target: Path, read: tuple[os.stat_result, bytes], data: bytes) -> bool:
    with _written(target, data, like=read[0]) as new:
        return exchange.replace(target, read, new)


@contextmanager
def _written(target: Path, data: bytes, like: os.stat_result | None) -> Iterator[Path]:
    """A new file beside the target, on the disk. Whatever has this name at the end is removed."""
    if len(data) > LARGEST_FILE:
        raise ConfigError(f"{target}: would be larger than {LARGEST_FILE} bytes, and is not changed")
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")  # mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            if like is not None:
                status = os.fstat(descriptor)
                if (status.st_uid, status.st_gid) != (like.st_uid, like.st_gid):
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                os.fchmod(descriptor, stat.S_IMODE(like.st_mode))
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield Path(name)
    finally:
        with suppress(OSError):
            Path(name).unlink()
