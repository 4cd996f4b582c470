"""Files on which a login depends: not writable by others, and secrets not readable by everybody.

Rule 1: a file is as trustworthy as the folders on the way to it: anybody who can write those can replace the file.
Rule 2: a group may write them only if it has the name of root, of the file's owner or of the user of this process, and
        nobody else is in it. So the files of a user with the umask 002 and a group of their own are fine (sshd
        on Debian has this rule too). The name counts, since a directory need not list who is in "domain users".
Rule 3: a group may read a secret: 0640, root:dicomgate.
Rule 4: messages name the path, never the content.
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from ..errors import ConfigError
from .accounts import group_name
from .text import read_text, utf_16_problem, without_mark

LONGEST_SECRET = 1024
"""Bytes."""

_WRITABLE, _READABLE = stat.S_IWOTH, stat.S_IROTH
_ROOT = 0
_MOST_LINKS = 40  # path_resolution(7)
_CREDENTIALS = "CREDENTIALS_DIRECTORY"  # systemd.exec(5), LoadCredential=

FileStamp = tuple[int, ...] | None
"""What `file_stamp` returns. Two that differ: the file changed in between."""
CHANGED = 3
"""Which of a stamp's numbers is the time of the file's last change, its mode and owner included: ns since 1970."""


def credential_path(path: Path) -> Path:
    """A path of the configuration, with systemd's folder in place of `$CREDENTIALS_DIRECTORY` at its beginning.

    No other variable is known. Raises ValueError if this one is not set.
    """
    if path.parts[:1] != (f"${_CREDENTIALS}",):
        return path
    if not (folder := os.environ.get(_CREDENTIALS)):
        by_hand = f"for a command by hand, {_CREDENTIALS}=/run/credentials/dicomgate.service while the service runs"
        raise ValueError(f"${_CREDENTIALS} is not set: LoadCredential= in the unit sets it; {by_hand}")
    return Path(folder, *path.parts[1:])


def read_trusted(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may write: at most `longest` bytes. Raises ConfigError."""
    return read_with_mode(path, longest)[0]


def read_with_mode(path: Path, longest: int) -> tuple[bytes, int]:
    """As `read_trusted`, with the mode of the file (`st_mode`): for a file that others had better not read either."""
    return _read(path, longest, _WRITABLE)


def check_trusted(path: Path, *, folders: bool = True) -> None:
    """What `read_trusted` checks, for a file that a library opens; the folders too, or not. Raises ConfigError."""
    try:
        _check_mode(path, path.stat(), _WRITABLE)
        if folders:
            check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_private(path: Path, longest: int) -> bytes:
    """The content of a file that not everybody may read either, for example a private key: at most `longest` bytes.

    Raises ConfigError.
    """
    return _read(path, longest, _WRITABLE | _READABLE)[0]


def read_secret(path: Path) -> bytes:
    """A secret: one line without its line end, 1 to 1024 bytes. Raises ConfigError."""
    line = without_mark(read_private(path, LONGEST_SECRET + len("\ufeff\r\n".encode())))
    secret = line.removesuffix(b"\n").removesuffix(b"\r")
    if not 1 <= len(secret) <= LONGEST_SECRET or any(byte < 0x20 for byte in secret):
        if problem := utf_16_problem(secret):
            raise ConfigError(f"{path}: {problem}")
        raise ConfigError(f"{path}: must be one line of 1 to {LONGEST_SECRET} bytes, without control characters")
    return secret


def read_secret_text(path: Path) -> str:
    """A secret as text, for a library or server that wants a password. Raises ConfigError, also if it is not UTF-8."""
    try:
        return read_text(read_secret(path))
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from None


def check_folders(path: Path) -> None:
    """Refuse a file that others could replace, because they may write a folder on the way to it.

    Folders with the sticky bit are allowed, if what is found in them is not another user's: whoever comes first can
    make it there. Symbolic links count as what they are: the folder of each on the way is looked at.

    Raises ConfigError, and OSError if a folder cannot be examined.
    """
    for folder, name in dict.fromkeys(_steps(path)):
        status = folder.stat()
        if not (writer := _other_writer(status)):
            continue
        if not status.st_mode & stat.S_ISVTX:
            raise ConfigError(f"{path}: {writer[0]} may write the folder {folder}; chmod {writer[1]}")
        with suppress(FileNotFoundError):  # it is about to be made
            if (folder / name).lstat().st_uid not in (_ROOT, status.st_uid, os.geteuid()):
                raise ConfigError(f"{path}: another user made {folder / name}, where {writer[0]} may write; move it")


def _steps(path: Path) -> Iterator[tuple[Path, str]]:
    """The way to a file, as the system goes it: each folder, and the name that is looked for in it."""
    names, folder, links = [*reversed(path.absolute().parts)], Path("/"), 0
    while names:
        name = names.pop()
        if name in ("/", ".."):
            folder = folder.parent if name == ".." else Path("/")
            continue
        yield folder, name
        if not (folder / name).is_symlink():
            folder /= name
        elif (links := links + 1) > _MOST_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        else:
            names += reversed((folder / name).readlink().parts)


def try_to_write(path: Path, *, beside_it: bool = False) -> None:
    """Raise the OSError that opening the file for writing would raise, without creating it.

    `beside_it`: its folder must be writable too, because further files will be made there.
    """
    target = Path(os.path.realpath(path))
    exists = target.exists()
    if exists:
        os.close(os.open(target, os.O_RDWR | os.O_NONBLOCK if beside_it else os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK))
    if beside_it or not exists:
        target.parent.stat()
        if not target.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if os.statvfs(target.parent).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if not os.access(target.parent, os.W_OK | os.X_OK, effective_ids=True):
            raise PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)} (the folder {target.parent})")


def file_stamp(path: Path) -> FileStamp:
    """A value that changes whenever the file does; None if the file cannot be examined.

    It includes the change time, which shows what the modification time does not: another mode, a copy that keeps its
    times. Take it before the file is read; then a change during the reading is seen the next time.
    """
    try:
        file = os.stat(path)  # noqa: PTH116 - called for each login: no Path objects
    except OSError:
        return None
    return file.st_dev, file.st_ino, file.st_mtime_ns, file.st_ctime_ns, file.st_size, file.st_mode


def trust_stamp(path: Path) -> FileStamp:
    """Like `file_stamp`; changes also with the modes of the file's folder, and of the folder that a link leads to."""
    file = file_stamp(path)
    try:
        return file and (*file, *(os.stat(folder).st_mode for folder in _folders(path, file)))  # noqa: PTH116 - as above
    except OSError:
        return None


@lru_cache(maxsize=256)
def _folders(path: Path, _: FileStamp) -> tuple[str, ...]:
    # Looked up once for each version of the file. If a link leads elsewhere from now on, the file is another one; or it
    # is the same one under another name, and replacing it there gives it another stamp.
    return tuple(dict.fromkeys((str(path.parent), os.path.dirname(os.path.realpath(path)))))  # noqa: PTH120


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in the folder; a file's own fsync(2) need not. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path, longest: int, forbidden: int) -> tuple[bytes, int]:
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_mode(path, status, forbidden)
            data = file.read(longest + 1)
        check_folders(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(data) > longest:
        raise ConfigError(f"{path}: longer than {longest} bytes")
    return data, status.st_mode


def _check_mode(path: Path, status: os.stat_result, forbidden: int) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path}: this is not a regular file")
    if forbidden & _READABLE and status.st_mode & forbidden:
        raise ConfigError(f"{path}: everybody may read or write this file; chmod o-rw")
    if writer := _other_writer(status):
        raise ConfigError(f"{path}: {writer[0]} may write this file; chmod {writer[1]}")


def _other_writer(status: os.stat_result) -> tuple[str, str] | None:
    """Who may write it besides root, its owner and this process's user, and the mode that ends it; None: nobody."""
    if status.st_mode & stat.S_IWOTH:
        return "everybody", "o-w"
    if status.st_mode & stat.S_IWGRP and not _is_our_own(status.st_gid, {_ROOT, status.st_uid, os.geteuid()}):
        return f"the group {group_name(status.st_gid)}", "g-w"
    return None


def _is_our_own(group: int, users: set[int]) -> bool:
    """True if the group has the name of one of these users and nobody else is in it, as far as the system tells."""
    try:
        found = grp.getgrgid(group)
        listed = {pwd.getpwnam(name).pw_uid for name in (found.gr_name, *found.gr_mem)}
    except KeyError:
        return False  # an unknown group, one that is no user's own, or one with an unknown user
    return listed | {user.pw_uid for user in pwd.getpwall() if user.pw_gid == group} <= users


def _open_at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits until another process opens it for writing.
    return os.open(path, flags | os.O_NONBLOCK)
