"""Changes to the users file on disk, by the commands and by the renewal of a hash at login: locked, atomic.

Rule 1: the file is read, changed and replaced under one lock, which the commands and the gateway share: flock on the
        folder, so no lock file is left behind or has the wrong owner.
Rule 2: readers see either the old file or the new one: a temporary file in the same folder, fsync, rename.
Rule 3: the new file has the mode, owner and group of the old one; otherwise it does not replace the old one.
Rule 4: only the lines of the users in question change. A broken file is not touched.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dicomgate import ConfigError
from dicomgate.kit.files import check_folders, read_with_mode

from .users_file import LARGEST_FILE, User, UsersFile, parse

_COMMAND_PATIENCE = 10.0
"""How long a command waits for another writer, in seconds. A login does not wait at all."""


class UserExistsError(ConfigError):
    """The user is already in the file, and `replace` is false."""

    def __init__(self) -> None:
        super().__init__("the user exists already; --replace gives a new passcode")


class FileBusyError(ConfigError):
    """Another process is changing the file."""

    def __init__(self) -> None:
        super().__init__("the users file is being changed by another process; try again")


def set_hashes(path: Path, hashes: Mapping[str, str], *, replace: bool) -> None:
    """Add the users, or give existing ones new hashes: all or none. A missing file is created with mode 0600.

    Raises UserExistsError, FileBusyError, ConfigError for a broken file, and OSError if it cannot be written.
    """
    with _locked(path, _COMMAND_PATIENCE) as target:
        if not os.path.lexists(target):
            check_folders(target)
            _write(target, _lines(hashes), like=None)
            return
        data, users = _read(target)
        known = users.users
        if not replace and hashes.keys() & known.keys():
            raise UserExistsError
        data = _changed(data, {known[name]: text for name, text in hashes.items() if name in known})
        added = _lines({name: text for name, text in hashes.items() if name not in known})
        end = b"\n" if added and data and not data.endswith(b"\n") else b""
        _write(target, data + end + added, like=target.stat())


def check_writable(path: Path) -> None:
    """Raise OSError or ConfigError if `set_hashes` certainly would. For a check before slow work."""
    folder = Path(os.path.realpath(path)).parent
    check_folders(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(folder))


def remove(path: Path, name: str) -> bool:
    """Remove the user; False if there is no user of this name. Raises as `set_hashes` does."""
    with _locked(path, _COMMAND_PATIENCE) as target:
        data, users = _read(target)
        if name not in users.users:
            return False
        lines = data.split(b"\n")
        del lines[users.users[name].line - 1]
        _write(target, b"\n".join(lines), like=target.stat())
        return True


def renew_hash(path: Path, user: User, text: str) -> bool:
    """Replace the hash of a user who has just logged in, if the file still has the hash that was verified.

    Returns False if the user was meanwhile removed, disabled or given another passcode: a login never undoes that.
    Raises FileBusyError at once if another process is writing, ConfigError and OSError as `set_hashes` does.
    """
    with _locked(path, 0.0) as target:
        status = target.stat()
        if not status.st_mode & 0o222:
            # The superuser could write it anyway, but the operator set this mode on purpose.
            raise PermissionError(errno.EACCES, "the file is read-only")
        data, users = _read(target)
        now = users.users.get(user.name)
        if now is None or now.hash != user.hash:
            return False
        _write(target, _changed(data, {now: text}), like=status)
        return True


@contextmanager
def _locked(path: Path, patience: float) -> Iterator[Path]:
    """Hold the folder's lock. Yields the file that `path` leads to, so that a symbolic link stays one."""
    target = Path(os.path.realpath(path))
    descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= until:
                    raise FileBusyError from None
                time.sleep(0.05)
        yield target
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


def _write(target: Path, data: bytes, like: os.stat_result | None) -> None:
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
        Path(name).replace(target)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # the rename itself
    finally:
        os.close(folder)
